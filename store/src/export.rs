//! A ledger as lines of JSON, as of one moment, beside whoever writes it.

use std::{collections::BTreeMap, fmt, io::Write};

use data_encoding::HEXLOWER;
use sea_orm::{
    ConnectionTrait, Iterable as _, ModelTrait as _, PrimaryKeyToColumn as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Value,
    sea_query::{Expr, ExprTrait as _},
};
use sha2::{Digest as _, Sha256};

use crate::{
    Options, Snapshot,
    error::ExportError,
    event,
    ndjson::{self, Header, Totals, Trailer},
    snapshot::answer,
    tables::{Table, each_table},
};
use tidegate_domain::chain::Head;

/// Rows that are read at once.
const PAGE: u64 = 256;

/// What was exported or imported; written in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// How many rows there are of each table.
    pub records: BTreeMap<String, u64>,
    /// The end of the log.
    pub head: Head,
}

impl fmt::Display for Carried {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, count) in self.records.iter().filter(|(_, count)| **count > 0) {
            write!(out, "{table} {count}, ")?;
        }
        write!(out, "head {}", self.head)
    }
}

/// Writes the ledger at `url` to `out`. The database must have this version's schema.
///
/// Whoever goes on writing meanwhile is neither kept waiting nor in the export.
///
/// # Errors
/// One line that says what is wrong. What was written then lacks its last line.
pub async fn export(
    url: &str,
    options: &Options,
    out: &mut impl Write,
) -> Result<Carried, ExportError> {
    let snapshot = Snapshot::open(url, options).await?;
    let exported = write(&snapshot, out).await?;
    snapshot.close().await?;
    Ok(exported)
}

async fn write(snapshot: &Snapshot, out: &mut impl Write) -> Result<Carried, ExportError> {
    let db = &snapshot.transaction;
    let head = answer(async { event::head(db).await.map_err(|error| error.into_database()) });
    let head = head.await?;
    write_line(out, &line(&Header::own())?)?;
    let mut records = Records::new(out);
    records.write(db).await?;
    let (totals, out) = records.finish(head);
    let trailer = Trailer { end: totals };
    write_line(out, &line(&trailer)?)?;
    out.flush()?;
    Ok(Carried {
        records: trailer.end.records,
        head,
    })
}

fn line(value: &impl serde::Serialize) -> Result<Vec<u8>, ExportError> {
    serde_json::to_vec(value).map_err(ExportError::Value)
}

fn write_line(out: &mut impl Write, line: &[u8]) -> Result<(), ExportError> {
    out.write_all(line)?;
    Ok(out.write_all(b"\n")?)
}

/// Writes records and adds them up.
pub(crate) struct Records<W> {
    out: W,
    counts: BTreeMap<String, u64>,
    digest: Sha256,
}

impl<W: Write> Records<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            counts: BTreeMap::new(),
            digest: Sha256::new(),
        }
    }

    /// Writes all that there are.
    pub(crate) async fn write<C: ConnectionTrait>(&mut self, db: &C) -> Result<(), ExportError> {
        each_table!(T => self.table::<T, C>(db).await?);
        Ok(())
    }

    async fn table<T: Table, C: ConnectionTrait>(&mut self, db: &C) -> Result<(), ExportError> {
        let mut count = 0;
        let mut after = None;
        loop {
            let rows = page::<T, C>(db, after).await?;
            for row in &rows {
                let mut line = ndjson::encode::<T>(row).map_err(ExportError::Value)?;
                line.push(b'\n');
                self.digest.update(&line);
                self.out.write_all(&line)?;
                count += 1;
            }
            match rows.last() {
                Some(last) => after = Some(key::<T>(last)),
                None => break,
            }
        }
        self.counts
            .insert(T::default().table_name().to_owned(), count);
        Ok(())
    }

    pub(crate) fn finish(self, head: Head) -> (Totals, W) {
        let totals = Totals {
            records: self.counts,
            head: head.to_string(),
            sha256: HEXLOWER.encode(&self.digest.finalize()),
        };
        (totals, self.out)
    }
}

/// What tells a row from the others of its table, and gives it its place among them.
pub(crate) fn key<T: Table>(row: &T::Model) -> Vec<Value> {
    let columns = T::PrimaryKey::iter().map(|part| part.into_column());
    columns.map(|column| row.get(column)).collect()
}

/// The rows after the one with the key `after`.
async fn page<T: Table, C: ConnectionTrait>(
    db: &C,
    after: Option<Vec<Value>>,
) -> Result<Vec<T::Model>, ExportError> {
    let columns: Vec<T::Column> = T::PrimaryKey::iter()
        .map(|part| part.into_column())
        .collect();
    let mut select = T::find().limit(PAGE);
    if let Some(after) = after {
        let place = Expr::tuple(columns.iter().map(|column| Expr::col(*column)));
        let after = Expr::tuple(after.into_iter().map(Expr::value));
        select = select.filter(place.gt(after));
    }
    for column in columns {
        select = select.order_by_asc(column);
    }
    Ok(answer(select.all(db)).await?)
}
