//! A PostgreSQL of three nodes of a run's own, of which Patroni lets one lead.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{command, run};

/// Three throw-away nodes as `scripts/patroni` makes them: what was committed is on two of them. Stopped and deleted when
/// dropped.
#[derive(Debug)]
pub struct Trio {
    /// Leads to whoever leads.
    pub url: String,
    folder: TempDir,
}

impl Trio {
    /// Starts one: some ten seconds.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let mut trio = Self {
            url: String::new(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        trio.url = trio.script("start").await.trim().to_owned();
        trio
    }

    /// Kills the node that leads, as a power cut does.
    ///
    /// # Panics
    /// When none leads.
    pub async fn kill_leader(&self) {
        self.script("kill-leader").await;
    }

    /// Starts the nodes that were killed, and waits until two follow the one that leads.
    ///
    /// # Panics
    /// When they do not within a minute.
    pub async fn mend(&self) {
        self.script("mend").await;
    }

    async fn script(&self, what: &str) -> String {
        let mut script = command(script());
        let ended = run(script.arg(what).arg(self.folder.path())).await;
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        ended.stdout
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        let mut script = Command::new(script()).into_std();
        let stopped = script.arg("stop").arg(self.folder.path()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the nodes in {} go on", self.folder.path().display());
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/patroni")
}
