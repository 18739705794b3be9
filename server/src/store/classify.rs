//! Sorts the database's errors by the codes of its drivers, never by their text.

use sea_orm::{
    DbErr, RuntimeErr, SqlxError,
    sqlx::{error::DatabaseError, postgres::PgDatabaseError},
};

use super::error::StoreError;

/// The unique indexes that two writers can race on: the loser finds the winner's row when it does its batch again.
pub(super) const REQUEST_INDEXES: [&str; 2] =
    ["transfer_event_request_key", "connection_request_key"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Conflict,
    Unavailable,
    Internal,
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match verdict(&error) {
            Verdict::Conflict => Self::Conflict(error),
            Verdict::Unavailable => Self::Unavailable(error),
            Verdict::Internal => Self::Internal(Box::new(error)),
        }
    }
}

/// The driver's own error, if that is what `error` is about.
pub(super) fn driver_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match sqlx_error(error)? {
        SqlxError::Database(error) => Some(error.as_ref()),
        _ => None,
    }
}

/// SQLite's primary result code, if the error carries one.
pub(super) fn sqlite_code(error: &dyn DatabaseError) -> Option<i32> {
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

fn verdict(error: &DbErr) -> Verdict {
    if matches!(error, DbErr::ConnectionAcquire(_)) {
        return Verdict::Unavailable;
    }
    match sqlx_error(error) {
        Some(SqlxError::Database(error)) => {
            if let Some(postgres) = error.try_downcast_ref::<PgDatabaseError>() {
                of_postgres(postgres.code(), postgres.constraint())
            } else {
                of_sqlite(error.as_ref())
            }
        }
        Some(
            SqlxError::Io(_)
            | SqlxError::Tls(_)
            | SqlxError::PoolTimedOut
            | SqlxError::PoolClosed
            | SqlxError::WorkerCrashed,
        ) => Verdict::Unavailable,
        _ => Verdict::Internal,
    }
}

fn of_postgres(code: &str, constraint: Option<&str>) -> Verdict {
    match code {
        // Serialisation failure, deadlock, lock timeout.
        "40001" | "40P01" | "55P03" => Verdict::Conflict,
        "23505" if constraint.is_some_and(|name| REQUEST_INDEXES.contains(&name)) => {
            Verdict::Conflict
        }
        // Shutdown, crash, starting up, statement timeout, a standby that does not take writes.
        "57P01" | "57P02" | "57P03" | "57014" | "25006" => Verdict::Unavailable,
        // Connection exceptions and exhausted resources.
        _ if code.starts_with("08") || code.starts_with("53") => Verdict::Unavailable,
        _ => Verdict::Internal,
    }
}

fn of_sqlite(error: &dyn DatabaseError) -> Verdict {
    /// `SQLITE_CONSTRAINT_UNIQUE`. Primary keys have a code of their own, so it can only be one of [`REQUEST_INDEXES`].
    const UNIQUE: &str = "2067";
    if error.code().as_deref() == Some(UNIQUE) {
        return Verdict::Conflict;
    }
    match sqlite_code(error) {
        // BUSY in all its forms, LOCKED.
        Some(5 | 6) => Verdict::Conflict,
        // READONLY, IOERR, FULL, CANTOPEN.
        Some(8 | 10 | 13 | 14) => Verdict::Unavailable,
        _ => Verdict::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sea_orm::ConnAcquireErr;

    use super::*;

    #[test]
    fn postgres_is_judged_by_sqlstate() {
        for (code, constraint, verdict) in [
            ("40001", None, Verdict::Conflict),
            ("40P01", None, Verdict::Conflict),
            (
                "23505",
                Some("transfer_event_request_key"),
                Verdict::Conflict,
            ),
            ("23505", Some("transfer_pkey"), Verdict::Internal),
            ("23505", None, Verdict::Internal),
            ("57P01", None, Verdict::Unavailable),
            ("08006", None, Verdict::Unavailable),
            ("53300", None, Verdict::Unavailable),
            ("42P01", None, Verdict::Internal),
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
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let lost = DbErr::Query(RuntimeErr::SqlxError(Arc::new(SqlxError::Io(io))));
        assert_eq!(verdict(&lost), Verdict::Unavailable);
        let exhausted = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        assert_eq!(verdict(&exhausted), Verdict::Unavailable);
        assert_eq!(verdict(&DbErr::RecordNotUpdated), Verdict::Internal);
    }
}
