//! Fills an empty database with an export: all of it or nothing, in one transaction.
//!
//! So nobody ever sees a part of it, whatever ends the import. The log is audited as it is read. Before the commit
//! everything is read back and must come to what the export came to.

use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    mem,
};

use data_encoding::HEXLOWER;
use sea_orm::{ConnectionTrait as _, DbBackend, Value};
use sha2::{Digest as _, Sha256};

use self::lines::Lines;
use crate::{
    Carried, Migrate, Options, Store, WriteTransaction,
    error::{ImportError, StoreError},
    export::{Records, key},
    ndjson::{self, Header, NO_EXPORT, Totals, Trailer},
    tables::{Table, each_table},
};
use tidegate_domain::chain::{Audit, Head};

mod lines;

/// Rows of one statement at most, and bytes of their lines.
const ROWS: usize = 512;
const BYTES: usize = 1 << 20;

/// Reads an export into the database at `url`, which must have this version's schema and be empty.
///
/// No server may have an SQLite file open meanwhile; on PostgreSQL the changes of servers wait, and are refused.
///
/// # Errors
/// One line that says what is wrong, with the number of the line of the export. The database is as it was, unless it is
/// [`ImportError::Unknown`].
pub async fn import(
    url: &str,
    options: &Options,
    input: impl BufRead,
) -> Result<Carried, ImportError> {
    let options = Options {
        migrate: Migrate::Check,
        ..options.clone()
    };
    let store = Store::open(url, &options).await?;
    let imported = read(&store, input).await;
    store.close().await;
    imported
}

async fn read(store: &Store, input: impl BufRead) -> Result<Carried, ImportError> {
    let transaction = store.begin().await.map_err(failed)?;
    let mut import = Import {
        lines: Lines::new(input),
        audit: None,
        counts: BTreeMap::new(),
        digest: Sha256::new(),
    };
    let read = async {
        prepare(&transaction).await?;
        import.all(&transaction).await
    };
    let imported = match read.await {
        Ok(imported) => imported,
        Err(error) => {
            // A database that is gone does not keep what was not committed either.
            _ = transaction.rollback().await;
            return Err(error);
        }
    };
    _ = transaction.head.set(imported.head);
    let committed = transaction.commit().await;
    committed.map_err(|error| ImportError::Unknown(error.into_database().to_string()))?;
    Ok(imported)
}

/// Takes the lock that every change takes, and looks whether there is anything.
async fn prepare(transaction: &WriteTransaction) -> Result<(), ImportError> {
    let db = &transaction.transaction;
    if db.get_database_backend() == DbBackend::Postgres {
        // Whoever writes the export may take their time.
        let patient =
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        let set = db.execute_unprepared(patient).await;
        set.map_err(|error| failed(error.into()))?;
    }
    each_table!(T => is_empty::<T>(transaction).await?);
    Ok(())
}

async fn is_empty<T: Table>(transaction: &WriteTransaction) -> Result<(), ImportError> {
    if T::is_empty(transaction).await.map_err(failed)? {
        Ok(())
    } else {
        let table = T::default().table_name().to_owned();
        Err(ImportError::NotEmpty { table })
    }
}

fn failed(error: StoreError) -> ImportError {
    ImportError::Failed(error.into_database().to_string())
}

struct Import<R> {
    lines: Lines<R>,
    audit: Option<Audit>,
    counts: BTreeMap<String, u64>,
    digest: Sha256,
}

impl<R: BufRead> Import<R> {
    async fn all(&mut self, transaction: &WriteTransaction) -> Result<Carried, ImportError> {
        self.header()?;
        each_table!(T => self.table::<T>(transaction).await?);
        let trailer = self.trailer()?;
        let head = self.head(&trailer)?;
        if self.lines.next()?.is_some() {
            return Err(self.lines.problem("the export has ended before"));
        }
        let mut stored = Records::new(io::sink());
        let read = stored.write(&transaction.transaction).await;
        read.map_err(|error| ImportError::Failed(error.to_string()))?;
        if stored.finish(head).0 != trailer {
            return Err(ImportError::Failed(
                "what it stored is not what it was given".to_owned(),
            ));
        }
        let records = trailer.records;
        Ok(Carried { records, head })
    }

    fn header(&mut self) -> Result<(), ImportError> {
        let Some(line) = self.lines.next()? else {
            return Err(self.lines.problem("there is nothing to import"));
        };
        let header = ndjson::read::<Header>(line);
        let problem = header.map_or_else(|_| Some(NO_EXPORT.to_owned()), |it| it.problem());
        problem.map_or(Ok(()), |problem| Err(self.lines.problem(problem)))
    }

    /// Stores the rows of a table, as far as they come next.
    async fn table<T: Table>(&mut self, transaction: &WriteTransaction) -> Result<(), ImportError> {
        let opening = ndjson::opening::<T>();
        let (mut rows, mut count, mut bytes, mut before) = (Vec::new(), 0, 0, None);
        while let Some(line) = self.lines.next_with(opening.as_bytes())? {
            bytes += line.len();
            self.digest.update(line);
            self.digest.update(b"\n");
            let row = ndjson::decode::<T>(line).map_err(|problem| self.lines.problem(problem))?;
            let place = Some(place(&key::<T>(&row)));
            if place <= before {
                return Err(self.lines.problem("it is not after the line before"));
            }
            before = place;
            let followed = T::follow(&row, &mut self.audit);
            followed.map_err(|fault| self.lines.problem(fault.to_string()))?;
            rows.push(row);
            count += 1;
            if rows.len() == ROWS || bytes >= BYTES {
                bytes = 0;
                self.store::<T>(transaction, mem::take(&mut rows)).await?;
            }
        }
        self.store::<T>(transaction, rows).await?;
        self.counts
            .insert(T::default().table_name().to_owned(), count);
        Ok(())
    }

    async fn store<T: Table>(
        &self,
        transaction: &WriteTransaction,
        rows: Vec<T::Model>,
    ) -> Result<(), ImportError> {
        let stored = T::store(transaction, &rows).await;
        stored.map_err(|error| ImportError::Refused {
            number: self.lines.number(),
            count: rows.len(),
            cause: error.into_database().to_string(),
        })
    }

    fn trailer(&mut self) -> Result<Totals, ImportError> {
        let Some(line) = self.lines.next()? else {
            return Err(self
                .lines
                .problem("the last line is missing: the export was cut"));
        };
        let trailer = ndjson::read::<Trailer>(line);
        let trailer = trailer.map_err(|problem| {
            self.lines
                .problem(format!("it does not belong here: {problem}"))
        })?;
        Ok(trailer.end)
    }

    /// The end of the log, if the records come to what the trailer says.
    fn head(&mut self, trailer: &Totals) -> Result<Head, ImportError> {
        let audit = self.audit.take();
        let audit = audit.ok_or_else(|| self.lines.problem("the event counter is missing"))?;
        let summary = audit.finish();
        let head = summary
            .map_err(|fault| self.lines.problem(fault.to_string()))?
            .head;
        let found = Totals {
            records: mem::take(&mut self.counts),
            head: head.to_string(),
            sha256: HEXLOWER.encode(&mem::take(&mut self.digest).finalize()),
        };
        for (table, count) in &found.records {
            let wanted = trailer.records.get(table).copied().unwrap_or_default();
            if *count != wanted {
                return Err(self.lines.problem(format!(
                    "{wanted} records of {table} were exported, {count} are here"
                )));
            }
        }
        if found == *trailer {
            return Ok(head);
        }
        Err(self.lines.problem(
            "the lines before are not those that were exported: their SHA-256 is another one",
        ))
    }
}

/// A key so that keys are in the order of the table when their bytes are.
fn place(key: &[Value]) -> Vec<Vec<u8>> {
    let bytes = |value: &Value| match value {
        Value::Uuid(Some(uuid)) => uuid.as_bytes().to_vec(),
        Value::String(Some(text)) => text.clone().into_bytes(),
        Value::BigInt(Some(number)) => (number ^ i64::MIN).to_be_bytes().to_vec(),
        _ => Vec::new(),
    };
    key.iter().map(bytes).collect()
}
