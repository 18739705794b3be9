//! Makes the history of a ledger longer: copies of the transfers that have ended in it, with their events, older and
//! older.
//!
//! A copy has a uuid and a movement of its own, and its requests do; all else is that of its model, moved in time. So
//! every index has as many entries as it would have, in an order as it would have come to. What is not made is the
//! chain of hashes (each copy of an event has the hash of its model), attempts of transfers that were tried again, and
//! the sums, which the server makes anew.

use anyhow::Context as _;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tidegate_tests::Database;

use crate::subject::Kind;

/// Transfers that are copied in one transaction.
const AT_ONCE: u32 = 50_000;
/// A transfer every so many microseconds.
const APART: u32 = 1_000_000;

/// What the databases have different words for.
struct Words {
    /// Wait for no disk, and have room to sort.
    begin: &'static [&'static str],
    /// A `UUIDv7` of the time `created`.
    uuid: &'static str,
    /// An id of a request, as long as a UUID in text.
    request: &'static str,
    columns: &'static str,
    /// Do now what would otherwise be done while something is measured.
    settle: &'static [&'static str],
}

const SQLITE: Words = Words {
    begin: &[
        "PRAGMA synchronous = OFF",
        "PRAGMA cache_size = -262144",
        "PRAGMA temp_store = MEMORY",
    ],
    uuid: "unhex(printf('%012x', created / 1000) || '7' || substr(hex(randomblob(2)), 2) \
           || '8' || substr(hex(randomblob(8)), 2))",
    request: "lower(hex(randomblob(18)))",
    columns: "SELECT name FROM pragma_table_info('",
    settle: &["PRAGMA wal_checkpoint(TRUNCATE)"],
};

const POSTGRES: Words = Words {
    begin: &["SET synchronous_commit = off", "SET work_mem = '256MB'"],
    uuid: "(lpad(to_hex(created / 1000), 12, '0') || '7' \
           || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid",
    request: "gen_random_uuid()::text",
    columns: "SELECT column_name::text AS name FROM information_schema.columns \
              WHERE table_schema = current_schema() AND (table_name = '",
    settle: &["VACUUM (ANALYZE)", "CHECKPOINT"],
};

const fn words(kind: Kind) -> &'static Words {
    match kind {
        Kind::Sqlite => &SQLITE,
        Kind::Postgres => &POSTGRES,
    }
}

async fn all(db: &DatabaseConnection, statements: &[impl AsRef<str>]) -> anyhow::Result<()> {
    for statement in statements {
        db.execute_unprepared(statement.as_ref()).await?;
    }
    Ok(())
}

/// Leaves nothing to do in the background.
pub(super) async fn settle(kind: Kind, database: &Database) -> anyhow::Result<()> {
    let db = database.connect().await;
    all(&db, words(kind).settle).await?;
    Ok(db.close().await?)
}

/// How long the history is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copies {
    /// Transfers in all, with those that are there already.
    pub(super) transfers: u32,
    /// When it ends, in seconds.
    pub(super) end: u64,
    /// Whether events are copied with them.
    pub(super) events: bool,
}

impl Copies {
    /// Makes them, in a ledger that no server has open.
    pub(super) async fn make(self, kind: Kind, database: &Database) -> anyhow::Result<()> {
        let db = database.connect().await;
        let words = words(kind);
        all(&db, words.begin).await?;
        all(&db, &MODELS).await?;
        let models = number(&db, "SELECT COUNT(*) AS number FROM model").await?;
        let copies = i64::from(self.transfers) - models;
        anyhow::ensure!(copies > 0, "there are {models} transfers already");
        let mut copying = vec![copy_of_transfers(
            &columns(&db, words, "transfer").await?,
            models,
        )];
        if self.events {
            let columns = columns(&db, words, "event").await?;
            copying.push(copy_of_events(&columns, models, words));
            copying.push(COUNT.to_owned());
        }
        let mut first = 1;
        while first <= copies {
            let last = copies.min(first + i64::from(AT_ONCE) - 1);
            all(&db, &["BEGIN", &self.times(words, first, last, copies)]).await?;
            all(&db, &copying).await?;
            all(&db, &["DROP TABLE made", "COMMIT"]).await?;
            first = last + 1;
        }
        Ok(db.close().await?)
    }

    /// Who they are and when they were created: of `copies` those from `first` to `last`, oldest first.
    fn times(self, words: &Words, first: i64, last: i64, copies: i64) -> String {
        let (end, uuid) = (self.end * 1_000_000, words.uuid);
        format!(
            "CREATE TEMP TABLE made AS WITH RECURSIVE n(i) AS (SELECT CAST({first} AS BIGINT) \
             UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             SELECT i, created, {uuid} AS uuid \
             FROM (SELECT i, {end} - ({copies} - i + 1) * {APART} AS created FROM n) AS n"
        )
    }
}

/// What is copied, in the order in which it was made.
const MODELS: [&str; 2] = [
    "CREATE TEMP TABLE model AS SELECT ROW_NUMBER() OVER (ORDER BY uuid) - 1 AS place, transfer.* FROM transfer",
    "CREATE TEMP TABLE told AS SELECT model.place, model.inserted_at AS born, event.* FROM event \
     INNER JOIN model ON model.uuid = event.transfer_uuid",
];

/// The log goes on after its last event.
const COUNT: &str = "UPDATE event_counter SET last_sequence = (SELECT MAX(sequence) FROM event)";

/// The copies of transfers that `made` names.
fn copy_of_transfers(columns: &[String], models: i64) -> String {
    copy(
        "transfer",
        "model",
        columns,
        models,
        |column| match column {
            "uuid" | "correlation_uuid" => "made.uuid".to_owned(),
            // They take ten seconds or some more.
            "completed_at" | "updated_at" => {
                format!(
                    "model.{column} - model.inserted_at + made.created + (1 + made.i % 7) * 10000000"
                )
            }
            _ if column.ends_with("_at") => {
                format!("model.{column} - model.inserted_at + made.created")
            }
            _ => format!("model.{column}"),
        },
    )
}

/// Their events, numbered from the end of the log on.
fn copy_of_events(columns: &[String], models: i64, words: &Words) -> String {
    copy("event", "told", columns, models, |column| match column {
        "sequence" => "(SELECT last_sequence FROM event_counter) \
                       + ROW_NUMBER() OVER (ORDER BY made.i, told.sequence)"
            .to_owned(),
        "transfer_uuid" => "made.uuid".to_owned(),
        "occurred_at" => "told.occurred_at - told.born + made.created".to_owned(),
        "request_id" => {
            let request = words.request;
            format!("CASE WHEN told.request_id IS NOT NULL THEN {request} END")
        }
        _ => format!("told.{column}"),
    })
}

fn copy(
    table: &str,
    models: &str,
    columns: &[String],
    count: i64,
    value: impl Fn(&str) -> String,
) -> String {
    let values: Vec<_> = columns.iter().map(|column| value(column)).collect();
    let names: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM made INNER JOIN {models} ON {models}.place = made.i % {count} \
         ORDER BY made.i, {models}.{}",
        names.join(", "),
        values.join(", "),
        columns[0]
    )
}

async fn columns(
    db: &DatabaseConnection,
    words: &Words,
    table: &str,
) -> anyhow::Result<Vec<String>> {
    let sql = format!("{}{table}')", words.columns);
    let rows = db
        .query_all_raw(Statement::from_string(db.get_database_backend(), sql))
        .await?;
    anyhow::ensure!(!rows.is_empty(), "there is no table {table}");
    let names = rows.iter().map(|row| row.try_get("", "name"));
    Ok(names.collect::<Result<_, _>>()?)
}

async fn number(db: &DatabaseConnection, sql: &str) -> anyhow::Result<i64> {
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await?;
    Ok(row.context("a count")?.try_get("", "number")?)
}
