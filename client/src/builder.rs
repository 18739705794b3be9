//! How a client is set up, and the first call that tells whether a Tidegate server is there.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use tidegate_proto::v1;
use tokio::runtime::Handle;

#[cfg(feature = "tls")]
use crate::probe;
use crate::{
    Client, ClientSettings, Error, RetryPolicy, Token,
    error::Code,
    security::{Secret, Security},
    token::{Bearer, TokenSource},
    transport::{self, Stubs},
};

/// Sets up a [`Client`].
#[derive(Clone, Debug)]
#[must_use = "it connects nothing until `connect` or `connect_lazy`"]
pub struct ClientBuilder {
    address: String,
    timeout: Duration,
    connect_timeout: Duration,
    retry: RetryPolicy,
    user_agent: String,
    security: Security,
    token: Option<TokenSource>,
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address: transport::with_scheme(address),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
            user_agent: concat!("tidegate-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            security: Security::default(),
            token: None,
        }
    }

    /// Takes address, token and certificates from the variables `TIDEGATE_ADDRESS`, `TIDEGATE_TOKEN` or
    /// `TIDEGATE_TOKEN_FILE`, `TIDEGATE_CA`, `TIDEGATE_CERT` and `TIDEGATE_KEY`. Where they name no address it is
    /// [`DEFAULT_ADDRESS`](crate::DEFAULT_ADDRESS). A variable that is empty is not set.
    ///
    /// With the feature `profiles`, what the variables do not say comes from the profile that `TIDEGATE_PROFILE` names; where
    /// neither it nor an address is set, from the user's default profile, if there is one. Without the feature
    /// `TIDEGATE_PROFILE` is refused.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a variable is not Unicode, the profiles are refused, the profile is not there, its secrets
    /// would go to another address than its own, or a file cannot be read.
    pub fn from_env() -> Result<Self, Error> {
        ClientSettings::from_env()?.builder()
    }

    /// Takes address, token and certificates from one of the user's [`Profiles`](crate::Profiles), whatever the variables
    /// say. Needs the feature `profiles`.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    #[cfg(feature = "profiles")]
    pub fn from_profile(name: &str) -> Result<Self, Error> {
        let named = ClientSettings {
            profile: Some(name.to_owned()),
            ..ClientSettings::default()
        };
        named.builder()
    }

    /// How long each try of a call may take, 10 s by default and 24 h at most; the server is told. Streams have no end.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the making of a connection may take; 5 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How often and how soon calls are tried again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// What the client calls itself; the server records it on transfers that name no other user agent.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Trusts the authorities in this bundle (PEM) and no others; without it, those that browsers trust. For `https://`.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.security.ca = Some(pem.into());
        self
    }

    /// Shows this certificate to a server that asks for one: its chain and its private key without a password, PEM. For
    /// `https://`.
    pub fn identity(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.security.identity = Some((certificate_pem.into(), Secret(key_pem.into())));
        self
    }

    /// The name that the server's certificate must be for, where it is not the host of the address. For `https://`.
    pub fn domain_name(mut self, name: impl Into<String>) -> Self {
        self.security.domain_name = Some(name.into());
        self
    }

    /// Says who calls, on every call and stream. The token never travels in clear text: with an `http://` address whose
    /// host is not `localhost`, in 127.0.0.0/8 or `::1` the client is not made.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(TokenSource::Fixed(Secret(token.into())));
        self
    }

    /// As [`token`](Self::token), with the token in this file; white space at its end does not count. The file is read
    /// again for each try of a call and for each stream that is opened, so what replaces it counts from the next call on,
    /// on the same connection. A watch or a progress reporter whose token ends goes on with the new one. Replace the file at
    /// once, by renaming another over it.
    ///
    /// While the file cannot be read, calls fail as with [`token_provider`](Self::token_provider).
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token = Some(TokenSource::File(path.into()));
        self
    }

    /// As [`token`](Self::token), with the token that this function gives. It is asked for each try of a call and for each
    /// stream that is opened, not for the messages on one, by several calls at once, and within their timeout: let it
    /// keep what is still good.
    ///
    /// ```no_run
    /// # use tidegate_client::{Client, Error, Token};
    /// # async fn from_vault() -> std::io::Result<Token> { Ok(Token::from(String::new())) }
    /// # async fn connect() -> Result<(), Error> {
    /// let client = Client::builder("https://gate.example").token_provider(from_vault).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Where it fails, nothing is sent: a call ends in `UNAUTHENTICATED` with the function's error as its
    /// [`source`](std::error::Error::source), and is not tried again. Watches and progress reporters try again, as when
    /// they have no connection.
    pub fn token_provider<P, F, T, E>(mut self, provider: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Token>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.token = Some(TokenSource::Provider(Arc::new(move || {
            let asked = provider();
            Box::pin(async move { asked.await.map(T::into).map_err(E::into) })
        })));
        self
    }

    /// Connects, and asks the server one question to be sure that it is one. Does not try again.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an address, user agent, certificate or token that cannot be used; `UNAVAILABLE`, `DEADLINE_EXCEEDED` or
    /// `UNIMPLEMENTED`, with the address and the causes in the text, when no Tidegate server answers there.
    pub async fn connect(self) -> Result<Client, Error> {
        let address = self.address.clone();
        let is_clear = address.starts_with("http://");
        #[cfg(feature = "tls")]
        let security = self.security.clone();
        let client = self.connect_lazy()?;
        let question = v1::ListRecentTransfersRequest {
            limit: 1,
            preload: Vec::new(),
        };
        let answer = client.call_once(question).await;
        #[cfg(feature = "tls")]
        let answer = match answer {
            Err(error) if !is_clear && error.is_unexplained() => {
                let said = probe::listen(&address, &security).await;
                Err(said.unwrap_or(error))
            }
            answer => answer,
        };
        match answer {
            Ok(_) => Ok(client),
            Err(error) => match complaint(&error, is_clear) {
                Some(what) => {
                    Err(error.explained(format!("{address}: {what}: {}", error.message())))
                }
                // It answered in the words of the contract, so it is there; the first call will tell the rest.
                None => Ok(client),
            },
        }
    }

    /// Makes a client that connects when it is first used.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an address, user agent, certificate or token that cannot be used, `FAILED_PRECONDITION`
    /// outside a tokio runtime.
    pub fn connect_lazy(self) -> Result<Client, Error> {
        let runtime = Handle::try_current().map_err(|_| {
            let text = "a client must be made within a tokio runtime";
            Error::local(Code::FailedPrecondition, text)
        })?;
        let endpoint = transport::endpoint(&self.address, self.connect_timeout, &self.user_agent)?;
        let endpoint = self.security.secure(endpoint)?;
        let bearer = Bearer::new(self.token.as_ref(), endpoint.uri())?;
        Ok(Client::new(
            self.address,
            Stubs::new(endpoint.connect_lazy()),
            Stubs::new(endpoint.connect_lazy()),
            bearer,
            self.timeout,
            self.retry,
            runtime,
        ))
    }
}

/// What to tell about a first call that failed; `None` when a Tidegate server refused it.
fn complaint(error: &Error, is_clear: bool) -> Option<&'static str> {
    if error.is_connect() || error.tls_problem().is_some() {
        Some("no connection")
    } else if error.is_broken() && is_clear {
        Some(
            "something listens there, but it does not speak gRPC; if it speaks TLS, the address is https://",
        )
    } else if error.is_broken() {
        Some(
            "something listens there, but it does not speak gRPC, or it does not accept this client's certificate",
        )
    } else if error.is_timeout() {
        Some("something listens there, but it does not answer")
    } else if error.code() == Code::Unimplemented {
        Some("something answers there, but it is no Tidegate server")
    } else if error.is_unavailable() {
        Some("the server cannot serve at present")
    } else {
        None
    }
}
