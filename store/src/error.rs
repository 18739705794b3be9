//! What can go wrong with the database, sorted by what to do about it.

use std::{io, path::PathBuf, sync::Arc};

use sea_orm::{DbErr, RuntimeErr};

/// A statement or transaction that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was faster; the same batch can succeed when it is done again from the start.
    #[error("the database asks to do the batch again")]
    Conflict(#[source] DbErr),
    /// The database cannot be reached or cannot write at present; it may have got a commit nevertheless.
    #[error("the database is not available")]
    Unavailable(#[source] DbErr),
    /// There is no room to write; as above, a commit may have taken place nevertheless.
    #[error("the database has no room left")]
    Full(#[source] DbErr),
    /// It is not what it was, or cannot be recovered. The process must end.
    #[error("{0}")]
    Lost(String),
    /// Nothing that waiting would mend.
    #[error("the database failed")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// What was read does not fit together any more.
    pub fn conflict(what: &'static str) -> Self {
        Self::Conflict(DbErr::Custom(what.to_owned()))
    }

    /// The time that the database had to answer is over.
    pub fn late() -> Self {
        Self::Unavailable(silence())
    }

    /// What the database said.
    pub(super) fn into_database(self) -> DbErr {
        match self {
            Self::Conflict(error) | Self::Unavailable(error) | Self::Full(error) => error,
            Self::Lost(what) => DbErr::Custom(what),
            Self::Internal(error) => DbErr::Custom(error.to_string()),
        }
    }
}

/// The database did not answer in time. What it was asked to do may or may not have been done.
pub(super) fn silence() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(
        "the database did not answer in time".to_owned(),
    ))
}

/// What a stored value or a result should never be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Inconsistency {
    #[error("column {column} holds {value:?}, which has no meaning")]
    Value { column: &'static str, value: String },
    #[error("{wanted} rows were to be {done}, {found} were")]
    Rows {
        done: &'static str,
        wanted: usize,
        found: u64,
    },
    #[error("the event counter has no row")]
    NoCounter,
    #[error("an event has no position: {0}")]
    Sequence(String),
    #[error("the database does not tell the time")]
    NoTime,
}

impl From<Inconsistency> for StoreError {
    fn from(inconsistency: Inconsistency) -> Self {
        Self::Internal(Arc::new(inconsistency))
    }
}

/// Why there is no backup. Each says it in one line, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is no file.
    #[error(
        "{database} is PostgreSQL: pg_dump makes a backup of it, which is consistent while servers run"
    )]
    Shared {
        /// Host and database.
        database: String,
    },
    /// The copy cannot be written, or is there already.
    #[error("the backup {} cannot be written", copy.display())]
    File {
        /// The file.
        copy: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database could not be copied.
    #[error("database {database} could not be copied: {cause}")]
    Failed {
        /// The file.
        database: String,
        /// What went wrong.
        cause: String,
    },
}

/// Why an export is not whole. Each says it in one line, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A row cannot be read, or has no meaning.
    #[error("the ledger cannot be read: {0}")]
    Read(#[from] DbErr),
    /// A value cannot be written.
    #[error("a row cannot be written as JSON")]
    Value(#[source] serde_json::Error),
    /// Nobody takes what is written.
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into_database())
    }
}

/// Why nothing was imported. Each says it in one line, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Somebody has used it.
    #[error(
        "nothing was imported: the database is not empty, there is something in {table}; import into a new one"
    )]
    NotEmpty {
        /// The first table that is not empty.
        table: String,
    },
    /// The export is not what was exported.
    #[error("nothing was imported: line {number}: {problem}")]
    Line {
        /// The line, from 1 on.
        number: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The export cannot be read.
    #[error("nothing was imported: line {number} cannot be read")]
    Read {
        /// The line, from 1 on.
        number: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The database does not take some rows.
    #[error(
        "nothing was imported: line {number}, or one of the {count} before it: the database does not take it: {cause}"
    )]
    Refused {
        /// The line that was read last, from 1 on.
        number: u64,
        /// How many records are in question.
        count: usize,
        /// What the database says.
        cause: String,
    },
    /// The database failed.
    #[error("nothing was imported: the database failed: {0}")]
    Failed(String),
    /// The database failed at the last step.
    #[error(
        "everything was imported or nothing, since the database failed at the commit: {0}; `audit verify` tells which"
    )]
    Unknown(String),
}

/// Why a database was not opened. Each says it in one line, for the operator; passwords are left out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not one that a ledger can be kept at.
    #[error("database URL {url}: {problem}")]
    UnsupportedUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another server has it open.
    #[error("database {database} is in use by another server")]
    Locked {
        /// The file.
        database: String,
    },
    /// The folder is not there.
    #[error("database {database} cannot be created: the directory {directory} does not exist")]
    DirectoryMissing {
        /// The file.
        database: String,
        /// Its folder.
        directory: String,
    },
    /// The file is not there, and the URL does not say to create it.
    #[error("database {database} does not exist; ?mode=rwc at the end of its URL creates it")]
    Missing {
        /// The file.
        database: String,
    },
    /// The file is not there, and was only to be read.
    #[error("database {database} does not exist")]
    NothingToRead {
        /// The file.
        database: String,
    },
    /// The file or its folder does not let us write.
    #[error("database {database} cannot be written: {cause}")]
    NotWritable {
        /// The file.
        database: String,
        /// What the system says.
        cause: String,
    },
    /// The file holds something else.
    #[error("{database} is not an SQLite database")]
    NotADatabase {
        /// The file.
        database: String,
    },
    /// A newer version has been here.
    #[error(
        "database {database} has the schema of a newer version: migration {migration} is unknown to this one"
    )]
    NewerSchema {
        /// The database.
        database: String,
        /// The first migration that is unknown.
        migration: String,
    },
    /// The schema is older than this version, and it may not be changed.
    #[error(
        "database {database} lacks {count} migrations of this version; run `tidegate-server migrate` first"
    )]
    OlderSchema {
        /// The database.
        database: String,
        /// How many migrations are pending.
        count: usize,
    },
    /// The library has known defects.
    #[error("SQLite {found} is too old: {wanted} or newer is needed")]
    SqliteTooOld {
        /// The version in use.
        found: String,
        /// The oldest one that will do.
        wanted: &'static str,
    },
    /// A setting that safety depends on is another one.
    #[error("database {database} has {setting}={found}; {setting}={wanted} is needed")]
    Setting {
        /// The database.
        database: String,
        /// The setting.
        setting: &'static str,
        /// The value it should have.
        wanted: &'static str,
        /// The value it has.
        found: String,
    },
    /// It takes no changes.
    #[error("database {database} may only be read: {cause}")]
    ReadOnly {
        /// The database.
        database: String,
        /// Why, and what to do.
        cause: &'static str,
    },
    /// A pooler lends sessions by the transaction where they should be our own.
    #[error("database {database} is behind a pooler that shares sessions; {advice}")]
    SharedSessions {
        /// The database.
        database: String,
        /// What to do.
        advice: &'static str,
    },
    /// Anything else.
    #[error("database {database} cannot be opened: {cause}")]
    Other {
        /// The database.
        database: String,
        /// What it says.
        cause: String,
    },
}
