//! Where the ledger is kept, and how it is opened.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tidegate_store::{Migrate, Options, Pooling};

/// Where the ledger is kept.
#[derive(Clone, Debug, Args)]
pub struct Database {
    /// The database; created and migrated on start.
    #[arg(
        id = "database_url",
        long = "database-url",
        env = "TIDEGATE_DATABASE_URL",
        default_value = "sqlite://tidegate.db?mode=rwc",
        hide_env_values = true
    )]
    pub url: String,
    /// A file with the password for PostgreSQL, in place of one in the URL; read again when it is refused.
    ///
    /// A line end after it is not part of it. Without it, PGPASSFILE and PGPASSWORD mean what they mean to libpq.
    #[arg(
        id = "database_password_file",
        long = "database-password-file",
        env = "TIDEGATE_DATABASE_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// What a connection to PostgreSQL is.
    #[arg(
        id = "database_pooling",
        long = "database-pooling",
        env = "TIDEGATE_DATABASE_POOLING",
        value_enum,
        default_value_t = PoolingMode::Session
    )]
    pub pooling: PoolingMode,
    /// PostgreSQL's own address where --database-url is that of a pooler: to listen on, to migrate and to audit.
    ///
    /// Without it a server behind --database-pooling transaction polls for the changes of other replicas.
    #[arg(
        id = "database_direct_url",
        long = "database-direct-url",
        env = "TIDEGATE_DATABASE_DIRECT_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub direct_url: Option<String>,
}

impl Database {
    /// How the database is opened.
    pub fn options(&self, migrate: Migrate) -> Options {
        Options {
            migrate,
            password_file: self.password_file.clone(),
            pooling: self.pooling.into(),
            direct_url: self.direct_url.clone(),
            ..Options::default()
        }
    }
}

/// What to do about migrations that the database does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MigrateMode {
    /// Apply them.
    Auto,
    /// Refuse to open the database while there are any.
    Check,
    /// Open the database without a look at them. A newer schema is refused all the same.
    Off,
}

impl From<MigrateMode> for Migrate {
    fn from(mode: MigrateMode) -> Self {
        match mode {
            MigrateMode::Auto => Self::Auto,
            MigrateMode::Check => Self::Check,
            MigrateMode::Off => Self::Off,
        }
    }
}

/// What a connection to PostgreSQL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PoolingMode {
    /// A session of its own, directly or through a pooler in session mode.
    Session,
    /// One to a pooler that lends a session for each transaction.
    Transaction,
}

impl From<PoolingMode> for Pooling {
    fn from(mode: PoolingMode) -> Self {
        match mode {
            PoolingMode::Session => Self::Session,
            PoolingMode::Transaction => Self::Transaction,
        }
    }
}
