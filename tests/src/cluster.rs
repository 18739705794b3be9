//! A PostgreSQL of a test's own, to be stopped and broken without disturbing the others.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;
use url::Url;

use crate::process::{command, run};

/// A throw-away PostgreSQL as `scripts/postgres` makes it. Stopped and deleted when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// Its URL, with a user who may do everything. Stays the same when it is restarted.
    pub url: String,
    folder: TempDir,
    how: How,
}

/// How a cluster differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Lines of its `postgresql.conf`, such as `wal_level = logical`, which come after those of the script.
    pub settings: Vec<String>,
    /// Variables of its processes.
    pub variables: Vec<(&'static str, String)>,
    /// The encoding of its databases, such as `LATIN1`; `UTF8` unless said. The locale is `C` then.
    pub encoding: Option<&'static str>,
}

impl Cluster {
    /// Creates and starts one: about a second.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(How::default()).await
    }

    /// Creates and starts one that differs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(how: How) -> Self {
        let mut cluster = Self {
            url: String::new(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            how,
        };
        cluster.url = cluster.script(&["start"]).await.trim().to_owned();
        cluster
    }

    /// Stops it as hard as a crash, and starts it again at the same port: what was not synced is lost.
    ///
    /// # Panics
    /// When it does not come back.
    pub async fn crash(&self) {
        self.script(&["restart", "immediate"]).await;
    }

    /// Stops it as hard as a crash.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&self) {
        self.script(&["stop", "immediate"]).await;
    }

    /// Starts it after a stop, at the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn resume(&self) {
        self.script(&["start"]).await;
    }

    /// An asynchronous standby of it, which follows it until one of them is stopped.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn standby(&self) -> Self {
        let mut standby = Self {
            url: String::new(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            how: self.how.clone(),
        };
        let primary = self.folder.path().display().to_string();
        let url = standby.script(&["standby", &primary]).await;
        standby.url = url.trim().to_owned();
        standby
    }

    /// Makes a standby a primary.
    ///
    /// # Panics
    /// When it does not become one.
    pub async fn promote(&self) {
        self.script(&["promote"]).await;
    }

    /// Its host and port.
    ///
    /// # Panics
    /// Never: its URL has both.
    pub fn authority(&self) -> String {
        let url = Url::parse(&self.url).expect("its URL is one");
        let (host, port) = (url.host_str(), url.port());
        format!("{}:{}", host.expect("a host"), port.expect("a port"))
    }

    /// Its folder, with its log in `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn script(&self, words: &[&str]) -> String {
        let mut script = command(script());
        script
            .arg(words[0])
            .arg(self.folder.path())
            .args(&words[1..]);
        let How {
            settings,
            variables,
            encoding,
        } = &self.how;
        script
            .env("TIDEGATE_POSTGRES_SETTINGS", settings.join("\n"))
            .env("TIDEGATE_POSTGRES_ENCODING", encoding.unwrap_or_default())
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let ended = run(&mut script).await;
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        ended.stdout
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut script = Command::new(script()).into_std();
        let stopped = script
            .arg("stop")
            .arg(self.folder.path())
            .arg("immediate")
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("PostgreSQL in {} goes on", self.folder.path().display());
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres")
}
