//! A pgbouncer of a test's own, in front of the PostgreSQL that the tests use.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;
use url::Url;

use crate::{
    Database,
    process::{command, run},
};

/// A throw-away pgbouncer as `scripts/pgbouncer` makes it. Stopped and deleted when dropped.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    folder: TempDir,
}

impl Pooler {
    /// Starts one before the PostgreSQL of `database`, in the mode `session` or `transaction`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn before(database: &Database, mode: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = Url::parse(database.url()).expect("a URL");
        let port = url.port().expect("a port").to_string();
        let mut script = command(script());
        script.arg("start").arg(folder.path()).args([&port, mode]);
        let ended = run(&mut script).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let port = ended.stdout.trim().parse().expect("it prints its port");
        Self { port, folder }
    }

    /// `database` by way of it.
    ///
    /// # Panics
    /// When `database` is a file.
    pub fn to(&self, database: &Database) -> Database {
        let mut url = Url::parse(database.url()).expect("a URL");
        url.set_port(Some(self.port)).expect("a server");
        database.at(url.as_str())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let mut script = Command::new(script()).into_std();
        let stopped = script.arg("stop").arg(self.folder.path()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("pgbouncer in {} goes on", self.folder.path().display());
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/pgbouncer")
}
