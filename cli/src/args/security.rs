//! Who calls, and whom the call may reach: the token and the certificates, and the files that they are in.

use std::{
    convert::Infallible,
    ffi::OsString,
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
#[expect(
    clippy::doc_markdown,
    reason = "it is a help text, which shows variables as they are"
)]
#[command(next_help_heading = "Global options")]
pub(crate) struct SecurityArgs {
    /// Token that says who calls. Others on this machine can see a command line: better use the variable or a file.
    /// [env: TIDEGATE_TOKEN]
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
    /// Takes from variables what the command line does not say.
    ///
    /// # Errors
    /// Which variable cannot be used, and why.
    pub(super) fn fill(
        &mut self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), String> {
        let file = |name| variable(name).map(PathBuf::from);
        // A token on the command line says who calls, whatever the variables say.
        if self.token.is_none() && self.token_file.is_none() {
            self.token = super::text(&variable, "TIDEGATE_TOKEN")?.map(Token);
            self.token_file = file("TIDEGATE_TOKEN_FILE");
            if self.token.is_some() && self.token_file.is_some() {
                return Err("TIDEGATE_TOKEN and TIDEGATE_TOKEN_FILE are both set".to_owned());
            }
        }
        if self.cert.is_none() && self.key.is_none() {
            self.cert = file("TIDEGATE_CERT");
            self.key = file("TIDEGATE_KEY");
        }
        if self.ca.is_none() {
            self.ca = file("TIDEGATE_CA");
        }
        Ok(())
    }

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
            (Some(Token(token)), _) => Ok(builder.token(token)),
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
                    ca: path(),
                    ..SecurityArgs::default()
                },
                "/nowhere/file.pem",
            ),
        ];
        for (args, word) in cases {
            let refusal = refusal(&args);
            assert!(refusal.contains(word), "{refusal}");
        }
    }

    fn filled(flag: Option<&str>, variables: &[&str]) -> Result<SecurityArgs, String> {
        let mut args = SecurityArgs {
            token_file: flag.map(PathBuf::from),
            ..SecurityArgs::default()
        };
        args.fill(|name| variables.contains(&name).then(|| "s3cret".into()))?;
        Ok(args)
    }

    #[test]
    fn the_flag_of_a_token_beats_its_variables() {
        let both = ["TIDEGATE_TOKEN", "TIDEGATE_TOKEN_FILE"];
        let args = filled(Some("file"), &both).expect("the flag says it");
        assert_eq!(args.token_file, Some(PathBuf::from("file")));
        assert!(args.token.is_none());
        let args = filled(None, &both[..1]).expect("one variable says it");
        assert!(args.token.is_some() && !format!("{args:?}").contains("s3cret"));
        let refusal = filled(None, &both).expect_err("which?");
        assert!(refusal.contains("both set"), "{refusal}");
    }

    #[test]
    fn a_pair_of_certificate_and_key_is_from_one_place() {
        let mut args = SecurityArgs {
            cert: Some(PathBuf::from("cert")),
            ..SecurityArgs::default()
        };
        args.fill(|_| Some("other".into())).ok();
        assert_eq!(args.key, None);
    }
}
