//! The `tidegate-server-torture` binary: the server with places to die at (`FAILPOINTS`) and, if it is told so, one
//! deliberate fault (`TIDEGATE_PLANTED_BUG`). For torture runs alone.

use std::process::ExitCode;

use tidegate_server::planted;

#[path = "main.rs"]
mod server;

fn main() -> ExitCode {
    eprintln!(
        "WARNING: this server is made for torture runs and must never hold a ledger that anybody needs"
    );
    match (std::env::var(planted::VARIABLE), planted::chosen()) {
        (Err(_), _) => {}
        (Ok(_), Some(bug)) => eprintln!("WARNING: it has a deliberate fault: {bug:?}"),
        (Ok(name), None) => {
            eprintln!("tidegate-server-torture: there is no fault named {name}");
            return ExitCode::FAILURE;
        }
    }
    let _places = fail::FailScenario::setup();
    server::main()
}
