//! How people call things: by id, by a part of it, or by name.

use std::fmt;

use clap::Args;
use uuid::Uuid;

/// Shorter parts of an id are too often those of several things.
pub(crate) const SHORTEST_PART: usize = 6;

/// A thing as the command line calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its whole id.
    Id(Uuid),
    /// By a part of its id or, if it has one, by its name.
    Said(String),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(uuid) => uuid.fmt(f),
            Self::Said(text) => f.write_str(text),
        }
    }
}

/// A thing that has no name.
pub(super) fn id(text: &str) -> Result<Which, String> {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    match text.parse() {
        Ok(uuid) => Ok(Which::Id(uuid)),
        Err(_) if text.chars().all(is_part) && text.len() >= SHORTEST_PART => {
            Ok(Which::Said(text.to_ascii_lowercase()))
        }
        Err(_) => Err(format!(
            "it must be an id, or {SHORTEST_PART} or more characters of one"
        )),
    }
}

/// A thing that has a name.
#[expect(clippy::unnecessary_wraps, reason = "as the parser wants it")]
pub(super) fn id_or_name(text: &str) -> Result<Which, String> {
    Ok(match text.parse() {
        Ok(uuid) => Which::Id(uuid),
        Err(_) => Which::Said(text.to_owned()),
    })
}

/// One transfer.
#[derive(Clone, Debug, Args)]
pub(crate) struct TransferArg {
    /// The transfer: its id, or 6 or more characters of it that no other transfer's id has.
    #[arg(value_name = "ID", value_parser = id)]
    pub(crate) id: Which,
}

/// Transfers.
#[derive(Clone, Debug, Args)]
pub(crate) struct TransferArgs {
    /// The transfers: their ids, or 6 or more characters of each that no other transfer's id has.
    #[arg(value_name = "ID", required = true, value_parser = id)]
    pub(crate) ids: Vec<Which>,
}

/// One connection.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionArg {
    /// The connection: its name or id, or 6 or more characters of its id; it must be the only one.
    #[arg(value_name = "CONNECTION", value_parser = id_or_name)]
    pub(crate) connection: Which,
}

/// One credential.
#[derive(Clone, Debug, Args)]
pub(crate) struct CredentialArg {
    /// The credential: its name or id, or 6 or more characters of its id; it must be the only one.
    #[arg(value_name = "CREDENTIAL", value_parser = id_or_name)]
    pub(crate) credential: Which,
}

/// One agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentArg {
    /// The agent: what it calls itself or its id, or 6 or more characters of its id; it must be the only one.
    #[arg(value_name = "AGENT", value_parser = id_or_name)]
    pub(crate) agent: Which,
}

/// Whether to ask before something that cannot be undone.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Does not ask, as it does on a terminal.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parts_and_names_are_told_apart() {
        let uuid = "01a21351-4946-7033-8908-041dd227f4fb";
        let whole = Which::Id(uuid.parse().unwrap());
        assert_eq!(id(uuid), Ok(whole.clone()));
        assert_eq!(id_or_name(uuid), Ok(whole));
        assert_eq!(id("D227F4"), Ok(Which::Said("d227f4".to_owned())));
        assert_eq!(id("8908-04"), Ok(Which::Said("8908-04".to_owned())));
        assert!(id("d227f").is_err() && id("not-an-id").is_err());
        assert_eq!(id_or_name("B"), Ok(Which::Said("B".to_owned())));
    }
}
