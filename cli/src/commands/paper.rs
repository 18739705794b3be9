//! What is made of the command line itself: completions and manual pages. No server is asked.

use std::{fs, io, path::Path};

use clap_complete::Shell;

use crate::args;
use crate::failure::Failure;

/// Writes the completions of a shell to stdout.
pub(super) fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "tidegate", &mut script);
    Ok(io::Write::write_all(&mut io::stdout(), &script)?)
}

/// Writes a page for the tool and for each of its commands into a folder.
pub(super) fn man(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    Ok(clap_mangen::generate_to(args::command(), folder)?)
}
