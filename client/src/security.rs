//! How the way to the server is kept private, and how the client says who it is: TLS and the token.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::Interceptor,
    transport::{Endpoint, Uri},
};

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
    pub(crate) token: Option<Secret<String>>,
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

    /// What every call carries. A token goes nowhere that others could read it on its way.
    pub(crate) fn bearer(&self, address: &Uri) -> Result<Bearer, Error> {
        let Some(Secret(token)) = &self.token else {
            return Ok(Bearer(None));
        };
        let is_private =
            address.scheme_str() == Some("https") || address.host().is_some_and(is_loopback);
        if !is_private {
            let host = address.host().unwrap_or_default();
            return Err(Error::invalid(format!(
                "the token would be sent to {host} in clear text: use https://, or a loopback address"
            )));
        }
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Error::invalid(
                "the token is empty or has characters that no token has, such as a space or a line break",
            ));
        }
        let mut value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::invalid("the token is no valid header value"))?;
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }
}

/// Whether the host of an address is this machine, by number or by the one name that is reserved for it.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || bare.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback())
}

/// Attaches the token, if there is one, to every call and stream.
#[derive(Clone, Default)]
pub(crate) struct Bearer(Option<AsciiMetadataValue>);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.as_ref().map(|_| "(secret)");
        f.debug_tuple("Bearer").field(&shown).finish()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_token(token: &str) -> Security {
        Security {
            token: Some(Secret(token.to_owned())),
            ..Security::default()
        }
    }

    fn bearer(address: &str, token: &str) -> Result<Bearer, Error> {
        with_token(token).bearer(&address.parse().expect("an address"))
    }

    #[test]
    fn a_token_goes_through_tls_or_nowhere() {
        for address in [
            "https://gate.example",
            "https://10.0.0.1:50051",
            "http://127.0.0.1:50051",
            "http://127.200.3.4",
            "http://[::1]:50051",
            "http://localhost:1",
            "http://LOCALHOST:1",
        ] {
            assert!(bearer(address, "tg_s3cret").is_ok(), "{address}");
        }
        for address in [
            "http://gate.example:50051",
            "http://10.0.0.1",
            "http://0.0.0.0:1",
            "http://[::]:1",
            "http://[2001:db8::1]:1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@gate.example",
        ] {
            let error = bearer(address, "tg_s3cret").expect_err(address);
            assert!(error.is_invalid(), "{error:?}");
            assert!(error.message().contains("clear text"), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused_and_not_shown() {
        for token in ["", "s3cret\n", "s3 cret", "s3crét", "s3cret\0"] {
            let error = bearer("https://gate.example", token).expect_err(token);
            assert!(error.is_invalid(), "{error:?}");
            assert!(!format!("{error:?}").contains("s3"), "{error:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let security = Security {
            identity: Some((Vec::new(), Secret(b"s3cret".to_vec()))),
            ..with_token("s3cret")
        };
        let bearer = security.bearer(&Uri::from_static("https://gate.example"));
        let mut bearer = bearer.expect("a token");
        let request = bearer.call(Request::new(())).expect("a request");
        let value = request.metadata().get("authorization");
        let value = value.expect("the token is attached");
        assert_eq!(value.to_str().ok(), Some("Bearer s3cret"));
        assert!(value.is_sensitive());
        let shown = format!("{security:?} {bearer:?} {request:?}");
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
        assert!(refusal.message().contains("feature tls-webpki-roots"), "{refusal}");
    }
}
