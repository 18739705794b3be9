//! An agent that copies one table of a SQLite file into another, for real, as a transfer of Tidegate.
//!
//! It shows what an agent owes the ledger: declare, wait for the approval, start with a heartbeat, report totals and a
//! checkpoint, stop when told so, end in words. What makes it safe to kill is not the ledger but the target: the rows of
//! a batch and the position after it are committed in one transaction there. Read `agent.rs` first.

mod agent;
mod args;
mod convert;
mod copier;
mod position;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tidegate_client::TransferStatus;

use crate::agent::Ended;
use crate::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(name) = &args.claim {
        return match agent::work(name, &args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::FAILURE
            }
        };
    }
    let result = tokio::select! {
        result = agent::run(args) => result,
        // The position in the target makes this as harmless as any other end of the process.
        _ = tokio::signal::ctrl_c() => {
            complain("interrupted; go on with --transfer and the uuid in the first line");
            return ExitCode::from(130);
        }
    };
    match result {
        Ok(counts) => {
            say(&format!("completed: {}", copier::summary(counts)));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(error.downcast_ref::<Ended>().map_or(1, exit_code))
        }
    }
}

fn exit_code(ended: &Ended) -> u8 {
    match ended.status {
        TransferStatus::Failed => 10,
        TransferStatus::Denied => 11,
        TransferStatus::Expired => 12,
        TransferStatus::Cancelled => 13,
        _ => 1,
    }
}

/// Writes a line on stdout at once. Whether anyone still reads it is no reason to stop copying.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes a line on stderr, control characters escaped: part of it may come from a file or from the network.
fn complain(line: &str) {
    let safe: String = line
        .chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    _ = writeln!(std::io::stderr(), "{safe}");
}
