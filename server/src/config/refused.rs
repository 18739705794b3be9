//! Settings that cannot be used.

use std::{io::Write as _, process};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::settings::known;

/// Why settings cannot be used.
#[derive(Debug)]
pub enum Refused {
    /// The command line makes no sense, or asks for help.
    Usage(Box<clap::Error>),
    /// Settings are wrong, or their file is: a line for each.
    Wrong(Vec<String>),
}

impl Refused {
    /// Says so and ends the process.
    pub fn exit(self) -> ! {
        match self {
            Self::Usage(error) => error.exit(),
            Self::Wrong(lines) => {
                let lines: String = lines.iter().map(|it| format!("error: {it}\n")).collect();
                _ = std::io::stderr().write_all(lines.as_bytes());
                process::exit(2)
            }
        }
    }

    /// A line for each thing that is wrong.
    pub fn lines(self) -> Vec<String> {
        match self {
            Self::Usage(error) => {
                let text = error.to_string();
                let first = text.split("\n\n").next().unwrap_or_default();
                let words: Vec<_> = first.split_whitespace().skip(1).collect();
                vec![words.join(" ")]
            }
            Self::Wrong(lines) => lines,
        }
    }
}

/// Settings that others need are told in a line for each; anything else is clap's to tell.
pub(super) fn unmet(error: clap::Error) -> Refused {
    let missing = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names))) => {
            names.as_slice()
        }
        _ => &[],
    };
    let known = known();
    let is_setting = |flag: &String| {
        let name = flag.trim_start_matches('-').split(' ').next();
        name.is_some_and(|name| known.contains(name))
    };
    match missing.is_empty() || !missing.iter().all(is_setting) {
        true => Refused::Usage(Box::new(error)),
        false => Refused::Wrong(
            missing
                .iter()
                .map(|it| format!("{it} is missing"))
                .collect(),
        ),
    }
}
