//! What may be said about credentials and sessions.

use std::time::Duration;

use clap::{Args, Subcommand};
use tidegate_client::Role;

use super::{ConfirmArgs, CredentialArg, LimitArgs, RequestArgs, Which, value, which};

/// What can be done with credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Creates a credential and shows its token, this once.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, value_parser = value::role())]
        role: Role,
        /// The connection that an agent belongs to, by name or id.
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name, required_if_eq("role", "agent"))]
        connection: Option<Which>,
        /// Lets it name other people as initiators and deciders: for a service that has signed them in itself.
        #[arg(long)]
        acts_for_others: bool,
        #[command(flatten)]
        life: LifeArgs,
        #[command(flatten)]
        shown: ShownArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Shows one credential.
    Get {
        #[command(flatten)]
        credential: CredentialArg,
    },
    /// Lists credentials, newest first.
    List {
        /// Only this role.
        #[arg(long, value_parser = value::role())]
        role: Option<Role>,
        /// Only those of this connection, by name or id.
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
        connection: Option<Which>,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Gives a credential a new token and shows it, this once.
    Rotate {
        #[command(flatten)]
        credential: CredentialArg,
        #[command(flatten)]
        rotation: RotationArgs,
    },
    /// Ends a credential for good, with all its tokens.
    Revoke {
        #[command(flatten)]
        credential: CredentialArg,
        /// Why, for the log.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Opens a session and shows its code, this once: an agent redeems it for a token of the connection.
    Create {
        /// The connection that it is for, by name or id.
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
        connection: Which,
        /// How long the code can be redeemed, from 1m to 24h; 15m unless set.
        #[arg(long, value_name = "DURATION", value_parser = value::duration)]
        expires_in: Option<Duration>,
        /// How long the token that it is redeemed for is good, from 1m to 24h; 1h unless set.
        #[arg(long, value_name = "DURATION", value_parser = value::duration)]
        token_expires_in: Option<Duration>,
        #[command(flatten)]
        shown: ShownArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Redeems a session code for a token and shows it, this once. Needs no token itself.
    Redeem {
        /// The code; case, spaces and hyphens do not matter.
        code: SessionCode,
        #[command(flatten)]
        shown: ShownArgs,
    },
}

/// A session code; it is not shown.
#[derive(Clone)]
pub(crate) struct SessionCode(pub(crate) String);

impl std::fmt::Debug for SessionCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionCode(..)")
    }
}

impl std::str::FromStr for SessionCode {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// How a token takes the place of another.
#[derive(Clone, Debug, Args)]
pub(crate) struct RotationArgs {
    /// How long the token before it stays good, at most 24h; it ends at once unless set.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) overlap: Option<Duration>,
    #[command(flatten)]
    pub(crate) life: LifeArgs,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// How long a token is good.
#[derive(Clone, Debug, Args)]
pub(crate) struct LifeArgs {
    /// How long the token is good, from 1m to 366d; 90d unless set.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) expires_in: Option<Duration>,
}

/// How a secret is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShownArgs {
    /// Prints the token or code alone, whatever --output says: to be written to a file or a vault.
    #[arg(long)]
    pub(crate) plain: bool,
}
