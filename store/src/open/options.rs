//! How a database is opened.

use std::{fmt, path::PathBuf, time::Duration};

/// What to do about migrations that the database does not have yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Migrate {
    /// Apply them.
    #[default]
    Auto,
    /// Refuse to open the database while there are any.
    Check,
    /// Open the database without a look at them. A newer schema is refused all the same.
    Off,
}

/// What a connection to PostgreSQL is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// A session of its own, directly or through a pooler in session mode.
    #[default]
    Session,
    /// One to a pooler that lends a session for each transaction.
    Transaction,
}

/// How the database is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections that read from SQLite at the same time; writes have one of their own.
    pub readers: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// What to do about migrations that the database does not have yet.
    pub migrate: Migrate,
    /// The file with the password for PostgreSQL, read anew for new connections; the URL's password counts without it.
    pub password_file: Option<PathBuf>,
    /// What a connection to PostgreSQL is.
    pub pooling: Pooling,
    /// PostgreSQL's own address, if the URL is that of a pooler.
    pub direct_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            acquire_timeout: Duration::from_secs(2),
            migrate: Migrate::default(),
            password_file: None,
            pooling: Pooling::default(),
            direct_url: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The direct address may hold a password.
        formatter
            .debug_struct("Options")
            .field("readers", &self.readers)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("migrate", &self.migrate)
            .field("pooling", &self.pooling)
            .finish_non_exhaustive()
    }
}
