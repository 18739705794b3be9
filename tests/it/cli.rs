//! The operators' tool does what it says: every command in both forms, and exit codes that scripts can rely on.

mod approvals;
mod bulk;
mod commands;
mod connections;
mod credentials;
mod export;
mod formats;
mod names;
mod operations;
mod paper;
mod profiles;
mod refusals;
mod running;
mod terminal;
mod times;
mod top;
mod watch;

use serde_json::Value;
use tidegate_tests::{
    Database, ServerProcess,
    process::{Finished, binary, command, run},
};
use tokio::process::Command;

const ADMIN: &str = "00000000-0000-4000-8000-000000000001";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000009";

/// A server and the tool that talks to it. Command lines are given as people type them; no argument here has a space.
struct Desk {
    server: ServerProcess,
}

impl Desk {
    async fn new() -> Self {
        let database = Database::fresh().await;
        // Often enough that an approval's deadline is noticed soon.
        let server = ServerProcess::start(&database, 0, &["--sweep-interval", "50ms"]).await;
        Self { server }
    }

    fn tidegate(&self, line: &str) -> Command {
        let mut tidegate = command(binary("tidegate"));
        tidegate
            .env("TIDEGATE_ADDRESS", &self.server.address)
            .args(line.split_whitespace());
        tidegate
    }

    async fn run(&self, line: &str) -> Finished {
        run(&mut self.tidegate(line)).await
    }

    /// Runs a command that has to succeed, and returns what it prints.
    async fn text(&self, line: &str) -> String {
        let ended = self.run(line).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        ended.stdout
    }

    /// Runs a command that has to succeed, and parses what it prints.
    async fn json(&self, line: &str) -> Value {
        let text = self.text(&format!("{line} -o json")).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {line}: {text}"))
    }

    /// Runs a command that has to succeed, once for people and once for programs.
    async fn both(&self, line: &str) -> (String, Value) {
        (self.text(line).await, self.json(line).await)
    }

    /// Makes a change, for people and, under the same request id, for programs: it happens once.
    async fn change(&self, line: &str) -> (String, Value) {
        let request_id = uuid::Uuid::new_v4();
        self.both(&format!("{line} --request-id {request_id}"))
            .await
    }

    /// Declares a transfer and returns its uuid.
    async fn declare(&self, table: &str) -> String {
        id(&self
            .json(&format!("transfer create --direction send --table {table}"))
            .await)
    }
}

fn id(thing: &Value) -> String {
    thing["uuid"]
        .as_str()
        .unwrap_or_else(|| panic!("no uuid in {thing}"))
        .to_owned()
}

/// Asserts that the words are for people and say all of `wanted`.
fn says(text: &str, wanted: &[&str]) {
    assert!(!text.contains('\u{1b}'), "colours in a pipe: {text:?}");
    for words in wanted {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
}
