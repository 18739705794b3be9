//! The `tidegate-server-failpoints` binary: the server with places to end at (`FAILPOINTS`). For chaos runs and tests alone.

use std::process::ExitCode;

#[path = "main.rs"]
mod server;

fn main() -> ExitCode {
    eprintln!(
        "WARNING: this server is made for tests and must never hold a ledger that anybody needs"
    );
    let _failpoints = fail::FailScenario::setup();
    server::main()
}
