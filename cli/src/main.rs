//! `tidegate`: the operators' and approvers' tool. A thin shell around the client crate: it parses, calls and prints,
//! and must hold no rule of its own.

mod args;
mod board;
mod commands;
mod failure;
mod output;
mod progress;
mod text;
mod top;
mod view;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::args::Cli;
use crate::failure::{Failure, INTERRUPTED};
use crate::output::{Format, Output, Template};

#[tokio::main]
async fn main() -> ExitCode {
    let command = args::command().color(args::colour(std::env::args_os()));
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    output::use_colour(cli.connect.color);
    let result = tokio::select! {
        result = run(cli) => result,
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure::tell(&failure, None);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(mut cli: Cli) -> Result<(), Failure> {
    let variables = |name: &str| std::env::var_os(name);
    cli.connect.fill(variables).map_err(Failure::Usage)?;
    let template = cli.connect.template.take().map(Template::new).transpose()?;
    let mut out = Output::stdout(cli.connect.output.unwrap_or(Format::Table), template);
    commands::run(cli, &mut out).await
}
