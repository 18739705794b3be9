//! What rustls says.

use std::{error, io};

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as Rustls, InvalidMessage};

use super::TlsProblem;
use crate::error::decode::chain;

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

impl TlsProblem {
    /// What is behind a call that did not succeed.
    pub(in crate::error) fn of(error: &(dyn error::Error + 'static)) -> Option<Self> {
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
}
