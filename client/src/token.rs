//! Who calls: where the token comes from, and how a request carries it.

use std::{
    error, fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tonic::{Request, metadata::AsciiMetadataValue, transport::Uri};

use crate::{
    Error, Token,
    security::{Secret, is_loopback},
};

#[cfg(test)]
mod tests;

pub(crate) type Cause = Box<dyn error::Error + Send + Sync>;
type Provider = dyn Fn() -> BoxFuture<'static, Result<Token, Cause>> + Send + Sync;

/// Where the token comes from.
#[derive(Clone)]
pub(crate) enum TokenSource {
    Fixed(Secret<String>),
    /// Read for every call, so that a new one is never missed.
    File(PathBuf),
    Provider(Arc<Provider>),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(secret) => f.debug_tuple("Fixed").field(secret).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Provider(_) => f.write_str("Provider"),
        }
    }
}

/// Shows the token, if there is one, with every call and stream.
#[derive(Clone, Debug)]
pub(crate) enum Bearer {
    None,
    Fixed(AsciiMetadataValue),
    Asked(TokenSource),
}

impl Bearer {
    /// A token goes nowhere that others could read it on its way.
    pub(crate) fn new(source: Option<&TokenSource>, address: &Uri) -> Result<Self, Error> {
        let Some(source) = source else {
            return Ok(Self::None);
        };
        let is_private =
            address.scheme_str() == Some("https") || address.host().is_some_and(is_loopback);
        if !is_private {
            let host = address.host().unwrap_or_default();
            return Err(Error::invalid(format!(
                "the token would be sent to {host} in clear text: use https://, or a loopback address"
            )));
        }
        match source {
            TokenSource::Fixed(Secret(token)) => {
                let value = header(token).map_err(Error::invalid)?;
                return Ok(Self::Fixed(value));
            }
            // What is wrong now is told now.
            TokenSource::File(path) => {
                let token = read(path).map_err(|error| Error::invalid(error.to_string()))?;
                header(token.reveal())
                    .map_err(|why| Error::invalid(format!("{}: {why}", path.display())))?;
            }
            TokenSource::Provider(_) => {}
        }
        Ok(Self::Asked(source.clone()))
    }

    pub(crate) async fn sign<T>(&self, request: &mut Request<T>) -> Result<(), Error> {
        let value = match self {
            Self::None => return Ok(()),
            Self::Fixed(value) => value.clone(),
            Self::Asked(source) => {
                let token = ask(source).await.map_err(Error::no_token)?;
                header(token.reveal()).map_err(|why| Error::no_token(why.into()))?
            }
        };
        request.metadata_mut().insert("authorization", value);
        Ok(())
    }
}

async fn ask(source: &TokenSource) -> Result<Token, Cause> {
    match source {
        TokenSource::Fixed(Secret(token)) => Ok(Token::from(token.clone())),
        TokenSource::File(path) => {
            let path = path.clone();
            tokio::task::spawn_blocking(move || read(&path)).await?
        }
        TokenSource::Provider(provider) => provider().await,
    }
}

/// The token in a file. Editors end a file with a line break.
pub(crate) fn read(path: &Path) -> Result<Token, Cause> {
    let file = path.display();
    let bytes = fs::read(path).map_err(|error| format!("{file}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{file}: is not text"))?;
    Ok(Token::from(text.trim_end().to_owned()))
}

fn header(token: &str) -> Result<AsciiMetadataValue, &'static str> {
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(
            "the token is empty or has characters that no token has, such as a space or a line break",
        );
    }
    let value = AsciiMetadataValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| "the token is no valid header value")?;
    value.set_sensitive(true);
    Ok(value)
}
