//! How far a copy has come, kept in the target beside the rows, so that both are committed together or not at all.

use anyhow::{Context, Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, named_params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Largest checkpoint that the ledger takes, in bytes.
const LARGEST_CHECKPOINT: usize = 4096;

/// Totals of a copy since its transfer was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Rows read from the source.
    pub(crate) transferred: i64,
    /// Rows that the target did not have, or got under a new key.
    pub(crate) created: i64,
    /// Rows that replaced or changed one in the target.
    pub(crate) updated: i64,
    /// Rows left out because the target had them.
    pub(crate) skipped: i64,
    /// Rows that a constraint of the target refused.
    pub(crate) failed: i64,
    /// Bytes of the values read: 8 for a number, the length of a text or blob.
    pub(crate) bytes: i64,
}

impl Counts {
    /// Whether no total is above its counterpart in `other`.
    pub(crate) fn within(self, other: Self) -> bool {
        self.transferred <= other.transferred
            && self.created <= other.created
            && self.updated <= other.updated
            && self.skipped <= other.skipped
            && self.failed <= other.failed
            && self.bytes <= other.bytes
    }
}

/// One value of a key in a form that survives the way through JSON unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyPart {
    /// An integer.
    Integer(i64),
    /// A floating-point number, by its bits.
    Real(u64),
    /// A text.
    Text(String),
    /// A blob.
    Blob(Vec<u8>),
}

impl KeyPart {
    /// Takes over a value; a null identifies no row.
    pub(crate) fn from_value(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Null => anyhow::bail!("a row of the source has a null in its key"),
            Value::Integer(number) => Self::Integer(*number),
            Value::Real(number) => Self::Real(number.to_bits()),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Blob(bytes) => Self::Blob(bytes.clone()),
        })
    }

    /// The value again.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Integer(number) => Value::Integer(*number),
            Self::Real(bits) => Value::Real(f64::from_bits(*bits)),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Blob(bytes) => Value::Blob(bytes.clone()),
        }
    }
}

/// Where a copy stands: everything up to and including `last_key` is in the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Key of the last row that was dealt with; none at the beginning.
    pub(crate) last_key: Option<Vec<KeyPart>>,
    /// Totals up to there.
    pub(crate) counts: Counts,
}

impl Position {
    /// The position as a checkpoint for the ledger; a key too long for that is left out.
    pub(crate) fn to_checkpoint(&self) -> Vec<u8> {
        let whole = serde_json::to_vec(self).unwrap_or_default();
        if whole.len() <= LARGEST_CHECKPOINT {
            return whole;
        }
        let short = Self {
            last_key: None,
            counts: self.counts,
        };
        serde_json::to_vec(&short).unwrap_or_default()
    }

    /// Makes sure that what the ledger knows is not ahead of the target, as it would be of another or an older file.
    ///
    /// # Errors
    /// When it is ahead, or stands at another key after the same number of rows.
    pub(crate) fn check_ledger(&self, totals: Counts, checkpoint: &[u8]) -> Result<()> {
        let hint = "is --to the file that this transfer was begun with?";
        ensure!(
            totals.within(self.counts),
            "the ledger knows of {} rows but the target only of {}; {hint}",
            totals.transferred,
            self.counts.transferred
        );
        if checkpoint.is_empty() {
            return Ok(());
        }
        let noted: Self = serde_json::from_slice(checkpoint).context(
            "the transfer's checkpoint is not one of this agent: was it begun by another?",
        )?;
        ensure!(
            noted.counts.within(self.counts),
            "the ledger's checkpoint is ahead of the target; {hint}"
        );
        let same_place =
            noted.counts.transferred == self.counts.transferred && noted.last_key.is_some();
        ensure!(
            !same_place || noted.last_key == self.last_key,
            "the ledger's checkpoint and the target stand at different keys; {hint}"
        );
        Ok(())
    }
}

/// Creates the table of positions when it is missing.
pub(crate) fn create_table(db: &Connection) -> Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS tidegate_copy_position (
        transfer_uuid TEXT PRIMARY KEY NOT NULL,
        key_columns TEXT NOT NULL,
        last_key TEXT NOT NULL,
        records_transferred INTEGER NOT NULL,
        records_created INTEGER NOT NULL,
        records_updated INTEGER NOT NULL,
        records_skipped INTEGER NOT NULL,
        records_failed INTEGER NOT NULL,
        bytes_transferred INTEGER NOT NULL)";
    db.execute(sql, [])
        .context("the table of positions cannot be created in the target")?;
    Ok(())
}

/// Reads the position of a transfer; the beginning when the target has none.
///
/// # Errors
/// When the copy was begun with other key columns.
pub(crate) fn load(db: &Connection, transfer: Uuid, key_columns: &str) -> Result<Position> {
    let sql = "SELECT key_columns, last_key, records_transferred, records_created, records_updated, records_skipped,
        records_failed, bytes_transferred FROM tidegate_copy_position WHERE transfer_uuid = ?1";
    let found = db
        .query_row(sql, [transfer.to_string()], |row| {
            let counts = Counts {
                transferred: row.get(2)?,
                created: row.get(3)?,
                updated: row.get(4)?,
                skipped: row.get(5)?,
                failed: row.get(6)?,
                bytes: row.get(7)?,
            };
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, counts))
        })
        .optional()?;
    let Some((begun_with, last_key, counts)) = found else {
        return Ok(Position::default());
    };
    ensure!(
        begun_with == key_columns,
        "the copy was begun with the key {begun_with}, not {key_columns}"
    );
    let last_key =
        serde_json::from_str(&last_key).context("the target's position cannot be read")?;
    Ok(Position { last_key, counts })
}

/// Writes the position of a transfer.
pub(crate) fn store(
    db: &Connection,
    transfer: Uuid,
    key_columns: &str,
    position: &Position,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO tidegate_copy_position VALUES
        (:transfer, :columns, :key, :transferred, :created, :updated, :skipped, :failed, :bytes)";
    let Position { last_key, counts } = position;
    db.execute(
        sql,
        named_params! {
            ":transfer": transfer.to_string(),
            ":columns": key_columns,
            ":key": serde_json::to_string(last_key)?,
            ":transferred": counts.transferred,
            ":created": counts.created,
            ":updated": counts.updated,
            ":skipped": counts.skipped,
            ":failed": counts.failed,
            ":bytes": counts.bytes,
        },
    )?;
    Ok(())
}

/// Removes the position of a transfer.
pub(crate) fn forget(db: &Connection, transfer: Uuid) -> Result<()> {
    db.execute(
        "DELETE FROM tidegate_copy_position WHERE transfer_uuid = ?1",
        [transfer.to_string()],
    )?;
    Ok(())
}
