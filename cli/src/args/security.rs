//! Who calls, and whom the call may reach: the token and the certificates, and the files that they are in.

use std::path::PathBuf;

use clap::Args;
use tidegate_client::{ClientSettings, Token};

/// The token and the certificates.
#[derive(Clone, Debug, Default, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "it is a help text, which shows variables as they are"
)]
#[command(next_help_heading = "Global options")]
pub(crate) struct SecurityArgs {
    /// Token that says who calls. Others on this machine can see a command line: better use `tidegate login`, the variable
    /// or a file. [env: TIDEGATE_TOKEN]
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        conflicts_with = "token_file"
    )]
    token: Option<Token>,
    /// File with the token. [env: TIDEGATE_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authorities that sign the server's certificate, PEM; without it those that browsers trust. [env: TIDEGATE_CA]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Client certificate for servers that ask for one, PEM. [env: TIDEGATE_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM without a password. [env: TIDEGATE_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl SecurityArgs {
    /// The same as settings.
    pub(super) fn settings(self) -> ClientSettings {
        ClientSettings {
            profile: None,
            address: None,
            token: self.token,
            token_file: self.token_file,
            ca: self.ca,
            cert: self.cert,
            key: self.key,
        }
    }
}
