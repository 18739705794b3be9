//! Who calls, and whom the call may reach: the token and the certificates, and the files that they are in.

use std::{
    convert::Infallible,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use tidegate_client::ClientBuilder;

/// A token; it is not shown.
#[derive(Clone)]
pub(crate) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FromStr for Token {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The token and the certificates.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct SecurityArgs {
    /// Token that says who calls. Others on this machine can see a command line: better use the variable or a file.
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "TIDEGATE_TOKEN",
        hide_env_values = true
    )]
    token: Option<Token>,
    /// File with the token.
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Authorities that sign the server's certificate, PEM; without it those that browsers trust.
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_CA")]
    ca: Option<PathBuf>,
    /// Client certificate for servers that ask for one, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_CERT")]
    cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM without a password.
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_KEY")]
    key: Option<PathBuf>,
}

impl SecurityArgs {
    /// Hands everything to the builder.
    ///
    /// # Errors
    /// What cannot be meant, or which file cannot be read, in words.
    pub(crate) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, String> {
        if let Some(path) = &self.ca {
            builder = builder.ca_certificate(read(path)?);
        }
        builder = match (&self.cert, &self.key) {
            (Some(certificate), Some(key)) => builder.identity(read(certificate)?, read(key)?),
            (None, None) => builder,
            (Some(_), None) => return Err("--cert needs --key as well".to_owned()),
            (None, Some(_)) => return Err("--key needs --cert as well".to_owned()),
        };
        match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => {
                Err("--token and --token-file, or their variables, are both set".to_owned())
            }
            (Some(Token(token)), None) => Ok(builder.token(token)),
            (None, Some(path)) => {
                let text = String::from_utf8(read(path)?)
                    .map_err(|_| format!("{}: is not text", path.display()))?;
                // Editors end a file with a line break.
                Ok(builder.token(text.trim_end()))
            }
            (None, None) => Ok(builder),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error: io::Error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use tidegate_client::Client;

    use super::*;

    fn refusal(args: &SecurityArgs) -> String {
        let builder = Client::builder("https://127.0.0.1:1");
        args.apply(builder).expect_err("it cannot be meant")
    }

    #[test]
    fn halves_and_contradictions_are_refused() {
        let path = || Some(PathBuf::from("/nowhere/file.pem"));
        let cases = [
            (
                SecurityArgs {
                    key: path(),
                    ..SecurityArgs::default()
                },
                "--cert",
            ),
            (
                SecurityArgs {
                    cert: path(),
                    ..SecurityArgs::default()
                },
                "--key",
            ),
            (
                SecurityArgs {
                    token: Some(Token("s3cret".to_owned())),
                    token_file: path(),
                    ..SecurityArgs::default()
                },
                "both set",
            ),
            (
                SecurityArgs {
                    ca: path(),
                    ..SecurityArgs::default()
                },
                "/nowhere/file.pem",
            ),
        ];
        for (args, word) in cases {
            let refusal = refusal(&args);
            assert!(refusal.contains(word), "{refusal}");
            assert!(!format!("{refusal} {args:?}").contains("s3cret"));
        }
    }
}
