//! Settings from a file, variables and flags: which comes first, what is said of those that are wrong, and what SIGHUP
//! changes in a running server.

mod check;
mod refused;
mod reload;
mod walk;

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use clap::CommandFactory as _;
use tempfile::TempDir;
use tidegate_server::config::{Arguments, definitions};
use tidegate_tests::process::{Finished, binary, command, run};
use tokio::process::Command;

/// A folder with a file of settings.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new(text: &str) -> Self {
        let home = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        home.write(text);
        home.set_mode(0o600);
        home
    }

    fn file(&self) -> PathBuf {
        self.path("tidegate.toml")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the file says from now on.
    fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("it can be written");
    }

    fn set_mode(&self, mode: u32) {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.file(), permissions).expect("it can be set");
    }

    /// The server with that file, in that folder.
    fn server(&self, arguments: &[&str]) -> Command {
        let mut server = command(binary("tidegate-server"));
        server
            .args(arguments)
            .env("TIDEGATE_CONFIG", self.file())
            .current_dir(self.folder.path());
        server
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.server(arguments)).await
    }
}

/// The names of all settings.
fn keys() -> Vec<String> {
    let command = Arguments::command();
    let keys: Vec<_> = definitions(&command)
        .map(|(key, _)| key.to_owned())
        .collect();
    assert!(keys.len() > 25, "{keys:?}");
    keys
}

fn variable(key: &str) -> String {
    format!("TIDEGATE_{}", key.to_uppercase().replace('-', "_"))
}

/// What `config print` says: each key's value as the file would have it, and where that is from.
fn printed(finished: &Finished) -> BTreeMap<String, (String, String)> {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines = finished
        .stdout
        .lines()
        .filter(|line| !line.starts_with('#'));
    let parts = lines.map(|line| {
        let (key, rest) = line.split_once(" = ").expect("a key");
        let (value, origin) = rest.rsplit_once(" # ").expect("an origin");
        (key.to_owned(), (value.to_owned(), origin.to_owned()))
    });
    parts.collect()
}
