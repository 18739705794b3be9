//! Prints the public API that is in a JSON file of rustdoc, an item a line. What every type has by itself is left out:
//! blanket and derived implementations, and those of auto traits.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let Some(json) = env::args_os().nth(1) else {
        eprintln!("usage: tidegate-client-api JSON");
        return ExitCode::from(2);
    };
    let listed = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_derived_impls(true)
        .omit_auto_trait_impls(true)
        .build();
    match listed {
        Ok(api) => {
            print!("{api}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
