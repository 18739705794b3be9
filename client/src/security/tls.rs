//! TLS as it was asked for.

use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::{Secret, Security};
use crate::Error;

impl Security {
    pub(super) fn encrypt(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        endpoint.tls_config(self.tls()?).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.to_string());
            Error::invalid(format!("TLS cannot be used as it is set up: {cause}"))
        })
    }

    fn tls(&self) -> Result<ClientTlsConfig, Error> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca {
            Some(pem) => {
                certificates(pem, "the CA bundle")?;
                tls.ca_certificate(Certificate::from_pem(pem))
            }
            None => with_roots(tls)?,
        };
        if let Some((certificate, Secret(key))) = &self.identity {
            certificates(certificate, "the client's certificate")?;
            // What the parser says could quote the key.
            PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                Error::invalid("the client's key is no private key in PEM without a password")
            })?;
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        if let Some(name) = &self.domain_name {
            tls = tls.domain_name(name);
        }
        Ok(tls)
    }
}

#[cfg(any(feature = "tls-webpki-roots", feature = "tls-native-roots"))]
#[expect(clippy::unnecessary_wraps, reason = "without roots it fails")]
fn with_roots(tls: ClientTlsConfig) -> Result<ClientTlsConfig, Error> {
    Ok(tls.with_enabled_roots())
}

#[cfg(not(any(feature = "tls-webpki-roots", feature = "tls-native-roots")))]
fn with_roots(_: ClientTlsConfig) -> Result<ClientTlsConfig, Error> {
    Err(Error::invalid(
        "no authority is trusted: name one, or use tidegate-client's feature tls-webpki-roots or tls-native-roots",
    ))
}

fn certificates(pem: &[u8], what: &str) -> Result<(), Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(()),
        _ => Err(Error::invalid(format!(
            "{what} holds no certificate in PEM"
        ))),
    }
}
