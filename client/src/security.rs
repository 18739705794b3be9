//! How the way to the server is kept private.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use tonic::transport::Endpoint;

use crate::Error;

#[cfg(feature = "tls")]
mod tls;

/// What must not be shown.
#[derive(Clone)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    /// PEM.
    pub(crate) ca: Option<Vec<u8>>,
    /// Certificates and key, PEM.
    pub(crate) identity: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    pub(crate) domain_name: Option<String>,
}

impl Security {
    /// Turns TLS on where the address asks for it.
    pub(crate) fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        if endpoint.uri().scheme_str() != Some("https") {
            let wants_tls =
                self.ca.is_some() || self.identity.is_some() || self.domain_name.is_some();
            if wants_tls {
                return Err(Error::invalid(
                    "certificates are for TLS: the server address must begin with https://",
                ));
            }
            return Ok(endpoint);
        }
        self.encrypt(endpoint)
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "with TLS it is what is set up")]
    fn encrypt(&self, _: Endpoint) -> Result<Endpoint, Error> {
        Err(Error::invalid(
            "https:// needs tidegate-client with its feature tls-webpki-roots, tls-native-roots or tls",
        ))
    }
}

/// Whether the host of an address is this machine, by number or by the one name that is reserved for it.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || bare.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let security = Security {
            identity: Some((Vec::new(), Secret(b"s3cret".to_vec()))),
            ..Security::default()
        };
        let shown = format!("{security:?}");
        // As text, and as the numbers of its bytes.
        assert!(
            !shown.contains("s3cret") && !shown.contains("115, 51"),
            "{shown}"
        );
    }

    #[test]
    #[cfg(not(any(feature = "tls-webpki-roots", feature = "tls-native-roots")))]
    fn what_was_left_out_is_named() {
        let endpoint = Endpoint::from_static("https://gate.example");
        let refusal = Security::default().secure(endpoint).expect_err("no roots");
        assert!(refusal.is_invalid(), "{refusal:?}");
        assert!(
            refusal.message().contains("feature tls-webpki-roots"),
            "{refusal}"
        );
    }
}
