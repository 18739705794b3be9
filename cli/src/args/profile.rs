//! What may be said about profiles.

use clap::Subcommand;

use super::ConfirmArgs;

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Lists the profiles.
    List,
    /// Shows one profile, without its token.
    Show {
        /// The profile [default: the one that is used].
        name: Option<String>,
    },
    /// Says which profile is used where none is named.
    Use {
        /// The profile.
        name: String,
    },
    /// Deletes a profile, with its token.
    Delete {
        /// The profile.
        name: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}
