//! What keeps TLS from being spoken, in the words of who has to mend it.

use std::{error, io};

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as Rustls, InvalidMessage};

use super::decode::chain;

/// What a server says to a client certificate that it does not accept.
const REFUSALS: [AlertDescription; 8] = [
    AlertDescription::UnknownCA,
    AlertDescription::BadCertificate,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

/// Why TLS could not be spoken with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The server's certificate is signed by an authority that is not trusted here.
    UnknownIssuer,
    /// The server's certificate has expired, or is not valid yet.
    Expired,
    /// The server's certificate is for other names than the one it was called by.
    WrongName,
    /// What answers does not speak TLS.
    NotTls,
    /// The server wants a client certificate, and was shown none.
    ClientCertificateRequired,
    /// The server does not accept the client certificate.
    ClientCertificateRefused,
    /// Anything else; the text of the error tells it.
    Other,
}

impl TlsProblem {
    /// What is behind a call that did not succeed.
    pub(super) fn of(error: &(dyn error::Error + 'static)) -> Option<Self> {
        chain(error).find_map(|cause| {
            if let Some(rustls) = cause.downcast_ref::<Rustls>() {
                return Some(Self::from_rustls(rustls));
            }
            // The error inside an I/O error is not among its causes.
            let inner = cause.downcast_ref::<io::Error>()?.get_ref()?;
            match inner.downcast_ref::<Rustls>() {
                Some(rustls) => Some(Self::from_rustls(rustls)),
                None => Self::from_words(&inner.to_string()),
            }
        })
    }

    /// An alert that comes after the handshake, as those about client certificates do, is passed on by HTTP/2 as its words.
    fn from_words(words: &str) -> Option<Self> {
        let said = |alert: &AlertDescription| words == Rustls::AlertReceived(*alert).to_string();
        if said(&AlertDescription::CertificateRequired) {
            Some(Self::ClientCertificateRequired)
        } else {
            let refused = REFUSALS.iter().any(said);
            refused.then_some(Self::ClientCertificateRefused)
        }
    }

    fn from_rustls(error: &Rustls) -> Self {
        match error {
            Rustls::InvalidCertificate(problem) => match problem {
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                _ => Self::Other,
            },
            Rustls::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            Rustls::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::ClientCertificateRequired
            }
            Rustls::AlertReceived(alert) if REFUSALS.contains(alert) => {
                Self::ClientCertificateRefused
            }
            _ => Self::Other,
        }
    }

    /// What it means.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "the server's certificate is signed by an authority that is not trusted here"
            }
            Self::Expired => {
                "the server's certificate is not valid at this time, or this machine's clock is wrong"
            }
            Self::WrongName => "the server's certificate is not for the name in its address",
            Self::NotTls => {
                "the server does not speak TLS at this port; its address may be http://"
            }
            Self::ClientCertificateRequired => "the server asks for a client certificate",
            Self::ClientCertificateRefused => "the server does not accept the client certificate",
            Self::Other => "TLS failed",
        }
    }
}
