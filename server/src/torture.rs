//! The `tidegate-server-torture` binary: the server with places to die at (`FAILPOINTS`). For torture runs alone.

use std::process::ExitCode;

#[path = "main.rs"]
mod server;

fn main() -> ExitCode {
    eprintln!(
        "WARNING: this server is made for torture runs and must never hold a ledger that anybody needs"
    );
    let _places = fail::FailScenario::setup();
    server::main()
}
