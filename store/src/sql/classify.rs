//! Sorts the database's errors by the codes of its drivers, never by their text.

use std::{io, sync::Arc};

use sea_orm::{
    DbErr, RuntimeErr, SqlxError,
    sqlx::{
        error::DatabaseError,
        postgres::{PgDatabaseError, PgSeverity},
    },
};

use crate::error::StoreError;

/// The unique indexes that two writers can race on: the loser finds the winner's row when it does its batch again.
pub(crate) const RACED: [&str; 3] = ["event_request_key", "transfer_side", "transfer_side_alone"];

/// Primary keys that two writers can race on, since they follow from what is written.
const RACED_KEYS: [&str; 1] = ["agent_pkey"];

/// A change where only reads are taken.
const READ_ONLY: &str = "25006";

/// A prepared statement that is not there, or that is there already.
const SHARED_SESSION: [&str; 2] = ["26000", "42P05"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    Conflict,
    Unavailable,
    Full,
    Internal,
}

/// What an error of SQLite says about the connection and the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Somebody else holds a lock.
    Busy,
    /// There is no room.
    Full,
    /// The system could not read, write or sync.
    Io,
    /// What is stored makes no sense.
    Corrupt,
    Other,
}

/// Judges an error on SQLite.
pub(crate) fn trouble(error: &DbErr) -> Trouble {
    /// Those of `SQLITE_IOERR` that are about the memory that processes share: opening, sizing, locking, mapping it.
    const SHARED_MEMORY: [&str; 4] = ["4618", "4874", "5130", "5386"];
    match sqlx_error(error) {
        Some(SqlxError::Io(error)) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full,
            _ => Trouble::Io,
        },
        Some(SqlxError::Database(error)) => match sqlite_code(error.as_ref()) {
            Some(5 | 6) => Trouble::Busy,
            Some(13) => Trouble::Full,
            Some(10) => match error.code() {
                Some(code) if SHARED_MEMORY.contains(&&*code) => Trouble::Other,
                _ => Trouble::Io,
            },
            Some(11 | 26) => Trouble::Corrupt,
            _ => Trouble::Other,
        },
        _ => Trouble::Other,
    }
}

/// Whether SQLite refuses because somebody else holds a lock.
pub(crate) fn is_busy(error: &DbErr) -> bool {
    trouble(error) == Trouble::Busy
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match verdict(&error) {
            ErrorClass::Conflict => Self::Conflict(error),
            ErrorClass::Unavailable => Self::Unavailable(error),
            ErrorClass::Full => Self::Full(error),
            ErrorClass::Internal => Self::Internal(Arc::new(error)),
        }
    }
}

/// The driver's own error, if that is what `error` is about.
pub(crate) fn driver_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match sqlx_error(error)? {
        SqlxError::Database(error) => Some(error.as_ref()),
        _ => None,
    }
}

/// What kept one from connecting.
pub(crate) fn connecting(error: SqlxError) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// What went wrong with a statement.
pub(crate) fn failed(error: SqlxError) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Whether an error of PostgreSQL says that the session is gone.
pub(crate) fn is_lost(error: &DbErr) -> bool {
    match sqlx_error(error) {
        Some(SqlxError::Io(_)) => true,
        Some(SqlxError::Database(error)) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| is_final(error.severity())),
        _ => false,
    }
}

/// Whether other sessions are to be looked at before they are used: one is gone, or may only read.
pub(crate) fn puts_others_in_doubt(error: &DbErr) -> bool {
    is_lost(error)
        || driver_error(error).is_some_and(|error| error.code().as_deref() == Some(READ_ONLY))
}

/// Whether an error says that other connections to PostgreSQL are no good either, or that new ones need another password.
pub(crate) fn taints(error: &DbErr) -> bool {
    match sqlx_error(error) {
        // Sessions that somebody else shares: an answer to another question, a prepared statement that is gone.
        Some(SqlxError::Protocol(_) | SqlxError::BeginFailed) => true,
        Some(SqlxError::Database(error)) => error
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| {
                error.code().starts_with("28") || SHARED_SESSION.contains(&error.code())
            }),
        _ => false,
    }
}

/// SQLite's primary result code, if the error carries one.
pub(crate) fn sqlite_code(error: &dyn DatabaseError) -> Option<i32> {
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn sqlx_error(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn verdict(error: &DbErr) -> ErrorClass {
    if matches!(error, DbErr::ConnectionAcquire(_)) {
        return ErrorClass::Unavailable;
    }
    // Whatever keeps one from connecting is for the operator to mend, and passes.
    let is_connecting = matches!(error, DbErr::Conn(_));
    match sqlx_error(error) {
        Some(SqlxError::Database(error)) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) if is_connecting || is_final(postgres.severity()) => {
                ErrorClass::Unavailable
            }
            Some(postgres) => of_postgres(postgres.code(), postgres.constraint()),
            None => of_sqlite(error.as_ref()),
        },
        // An answer that cannot be understood is not to the question that was asked.
        Some(
            SqlxError::Io(_)
            | SqlxError::Tls(_)
            | SqlxError::Protocol(_)
            | SqlxError::BeginFailed
            | SqlxError::PoolTimedOut
            | SqlxError::PoolClosed
            | SqlxError::WorkerCrashed,
        ) => ErrorClass::Unavailable,
        _ if is_connecting => ErrorClass::Unavailable,
        _ => ErrorClass::Internal,
    }
}

/// Whether the server ends the session with it, whatever it is about.
fn is_final(severity: PgSeverity) -> bool {
    matches!(severity, PgSeverity::Fatal | PgSeverity::Panic)
}

fn of_postgres(code: &str, constraint: Option<&str>) -> ErrorClass {
    match code {
        // Serialisation failure, deadlock, lock timeout.
        "40001" | "40P01" | "55P03" => ErrorClass::Conflict,
        "23505" if constraint.is_some_and(|it| RACED.contains(&it) || RACED_KEYS.contains(&it)) => {
            ErrorClass::Conflict
        }
        // A standby or a server that was told not to take writes, a transaction that was ended for being idle.
        READ_ONLY | "25P03" | "25P04" => ErrorClass::Unavailable,
        // A disk without room.
        "53100" => ErrorClass::Full,
        _ if SHARED_SESSION.contains(&code) => ErrorClass::Unavailable,
        // Connection exceptions, login, exhausted resources, shutdown and its like, errors of the system below.
        _ if ["08", "28", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default()) => {
            ErrorClass::Unavailable
        }
        _ => ErrorClass::Internal,
    }
}

fn of_sqlite(error: &dyn DatabaseError) -> ErrorClass {
    /// `SQLITE_CONSTRAINT_UNIQUE`. Primary keys have a code of their own, so it can only be one of [`RACED`].
    const UNIQUE: &str = "2067";
    if error.code().as_deref() == Some(UNIQUE) {
        return ErrorClass::Conflict;
    }
    match sqlite_code(error) {
        // BUSY in all its forms, LOCKED.
        Some(5 | 6) => ErrorClass::Conflict,
        // FULL.
        Some(13) => ErrorClass::Full,
        // READONLY, IOERR, CORRUPT (which some read errors are told as), CANTOPEN, NOTADB. A file that is really corrupt is
        // found by the recovery.
        Some(8 | 10 | 11 | 14 | 26) => ErrorClass::Unavailable,
        _ => ErrorClass::Internal,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnAcquireErr;

    use super::*;

    #[test]
    fn postgres_is_judged_by_sqlstate() {
        for (code, constraint, verdict) in [
            ("40001", None, ErrorClass::Conflict),
            ("40P01", None, ErrorClass::Conflict),
            ("23505", Some("event_request_key"), ErrorClass::Conflict),
            ("23505", Some("transfer_side"), ErrorClass::Conflict),
            ("23505", Some("transfer_side_alone"), ErrorClass::Conflict),
            ("23505", Some("transfer_pkey"), ErrorClass::Internal),
            ("23505", None, ErrorClass::Internal),
            ("57P01", None, ErrorClass::Unavailable),
            ("08006", None, ErrorClass::Unavailable),
            ("53300", None, ErrorClass::Unavailable),
            ("25006", None, ErrorClass::Unavailable),
            ("25P03", None, ErrorClass::Unavailable),
            ("28P01", None, ErrorClass::Unavailable),
            ("57P03", None, ErrorClass::Unavailable),
            ("57P04", None, ErrorClass::Unavailable),
            ("57P05", None, ErrorClass::Unavailable),
            ("26000", None, ErrorClass::Unavailable),
            ("53100", None, ErrorClass::Full),
            ("42P01", None, ErrorClass::Internal),
            ("25P02", None, ErrorClass::Internal),
        ] {
            assert_eq!(
                of_postgres(code, constraint),
                verdict,
                "{code} {constraint:?}"
            );
        }
    }

    #[test]
    fn a_lost_or_exhausted_connection_is_unavailable() {
        let io = io::Error::from(io::ErrorKind::ConnectionReset);
        let lost = DbErr::Query(RuntimeErr::SqlxError(Arc::new(SqlxError::Io(io))));
        assert_eq!(verdict(&lost), ErrorClass::Unavailable);
        let garbled = SqlxError::Protocol("unexpected message".to_owned());
        let garbled = DbErr::Query(RuntimeErr::SqlxError(Arc::new(garbled)));
        assert_eq!(verdict(&garbled), ErrorClass::Unavailable);
        assert!(taints(&garbled) && !taints(&lost));
        let unreadable = SqlxError::Configuration("the certificate is gone".into());
        assert_eq!(verdict(&connecting(unreadable)), ErrorClass::Unavailable);
        let exhausted = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        assert_eq!(verdict(&exhausted), ErrorClass::Unavailable);
        assert_eq!(verdict(&DbErr::RecordNotUpdated), ErrorClass::Internal);
    }
}
