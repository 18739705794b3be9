//! Where a server is and who calls it, out of several sources: the stronger one is asked first.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::{Client, ClientBuilder, DEFAULT_ADDRESS, Error, Token, token};

#[cfg(feature = "profiles")]
mod profile;
#[cfg(test)]
mod tests;

/// Where a server is, who calls it and whom to trust, as far as one source says so: variables, a command line, a program.
///
/// ```no_run
/// use tidegate_client::{ClientSettings, Error};
///
/// # async fn connect(given: Option<String>) -> Result<(), Error> {
/// // What the program was told beats the variables, and these beat the profile.
/// let told = ClientSettings { address: given, ..ClientSettings::default() };
/// let client = told.or(ClientSettings::from_env()?).builder()?.connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// The name of a profile, from which comes what is not said here. Needs the feature `profiles`.
    pub profile: Option<String>,
    /// The server, as for [`Client::builder`].
    pub address: Option<String>,
    /// Says who calls.
    pub token: Option<Token>,
    /// File with the token, as for [`ClientBuilder::token_file`].
    pub token_file: Option<PathBuf>,
    /// File with the authorities that sign the server's certificate, PEM.
    pub ca: Option<PathBuf>,
    /// File with the client certificate, PEM.
    pub cert: Option<PathBuf>,
    /// File with the private key of the client certificate, PEM.
    pub key: Option<PathBuf>,
}

impl ClientSettings {
    /// What the variables `TIDEGATE_PROFILE`, `TIDEGATE_ADDRESS`, `TIDEGATE_TOKEN`, `TIDEGATE_TOKEN_FILE`, `TIDEGATE_CA`,
    /// `TIDEGATE_CERT` and `TIDEGATE_KEY` say. One that is empty says nothing.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, with the variable, for one that is not Unicode.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The same of variables that come from elsewhere.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| {
            let text = set(name).map(OsString::into_string).transpose();
            text.map_err(|_| Error::invalid(format!("{name} is not Unicode")))
        };
        let file = |name: &str| set(name).map(PathBuf::from);
        Ok(Self {
            profile: text("TIDEGATE_PROFILE")?,
            address: text("TIDEGATE_ADDRESS")?,
            token: text("TIDEGATE_TOKEN")?.map(Token::from),
            token_file: file("TIDEGATE_TOKEN_FILE"),
            ca: file("TIDEGATE_CA"),
            cert: file("TIDEGATE_CERT"),
            key: file("TIDEGATE_KEY"),
        })
    }

    /// Takes from a weaker source what is not said here. A token and its file are one thing, and so are a certificate and
    /// its key: both are from one source.
    #[must_use]
    pub fn or(self, weaker: Self) -> Self {
        let (token, token_file) = if self.has_token() {
            (self.token, self.token_file)
        } else {
            (weaker.token, weaker.token_file)
        };
        let (cert, key) = match (self.cert, self.key) {
            (None, None) => (weaker.cert, weaker.key),
            own => own,
        };
        Self {
            profile: self.profile.or(weaker.profile),
            address: self.address.or(weaker.address),
            token,
            token_file,
            ca: self.ca.or(weaker.ca),
            cert,
            key,
        }
    }

    /// Whether these name a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    #[cfg(not(feature = "profiles"))]
    fn with_profile(self) -> Result<Self, Error> {
        match &self.profile {
            None => Ok(self),
            Some(name) => Err(Error::invalid(format!(
                "the profile {name:?} cannot be read: this program has tidegate-client without its feature profiles"
            ))),
        }
    }

    /// The token itself, from wherever it is.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there are two, or the file cannot be read.
    pub fn read_token(&self) -> Result<Option<Token>, Error> {
        match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "TIDEGATE_TOKEN and TIDEGATE_TOKEN_FILE are both set: leave one out",
            )),
            (Some(token), None) => Ok(Some(token.clone())),
            (None, Some(path)) => {
                let token = token::read(path).map_err(|error| Error::invalid(error.to_string()))?;
                Ok(Some(token))
            }
            (None, None) => Ok(None),
        }
    }

    /// A builder with all of this and, for what is not said here, the profile. The address is
    /// [`DEFAULT_ADDRESS`] where nobody names one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a profile, a file or a combination cannot be used.
    pub fn builder(self) -> Result<ClientBuilder, Error> {
        let settings = self.with_profile()?;
        let mut builder = Client::builder(settings.address.as_deref().unwrap_or(DEFAULT_ADDRESS));
        if let Some(path) = &settings.ca {
            builder = builder.ca_certificate(read(path)?);
        }
        builder = match (&settings.cert, &settings.key) {
            (Some(certificate), Some(key)) => builder.identity(read(certificate)?, read(key)?),
            (None, None) => builder,
            (Some(_), None) => {
                return Err(Error::invalid(
                    "a client certificate (cert) needs its key (key) as well",
                ));
            }
            (None, Some(_)) => {
                return Err(Error::invalid(
                    "the key of a client certificate (key) needs the certificate (cert) as well",
                ));
            }
        };
        Ok(match (settings.read_token()?, settings.token_file) {
            (_, Some(file)) => builder.token_file(file),
            (Some(token), None) => builder.token(token.reveal()),
            (None, None) => builder,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}
