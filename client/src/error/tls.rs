//! What keeps TLS from being spoken, in the words of who has to mend it.

#[cfg(not(feature = "tls"))]
use std::error;

#[cfg(feature = "tls")]
mod cause;

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
    /// Without TLS nothing is.
    #[cfg(not(feature = "tls"))]
    pub(super) fn of(_: &(dyn error::Error + 'static)) -> Option<Self> {
        None
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
