//! A handshake apart from any call, to hear what a server says about it.
//!
//! A server that does not accept the client's certificate says so after the handshake, from the client's point of view; by
//! then a call may be under way, which is told no more than that its connection has ended.

use std::{io, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject as _},
    },
};
use tonic::transport::Uri;

use crate::{
    Error,
    security::{Secret, Security},
};

/// Time for all of it. A server that has nothing to object waits for a request for longer than that.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the server at `address` says to a handshake; `None` when it does not object to it.
pub(crate) async fn listen(address: &str, security: &Security) -> Option<Error> {
    let address: Uri = address.parse().ok()?;
    let config = config(security).ok()?;
    let heard = tokio::time::timeout(PATIENCE, shake(&address, config, security)).await;
    Error::from_handshake(heard.ok()?.err()?)
}

async fn shake(address: &Uri, config: ClientConfig, security: &Security) -> io::Result<()> {
    let host = address.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, address.port_u16().unwrap_or(443))).await?;
    let name = security.domain_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut secret = connector.connect(name, stream).await?;
    secret.read_u8().await.map(|_| ())
}

fn config(security: &Security) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    match &security.ca {
        Some(pem) => _ = roots.add_parsable_certificates(certificates(pem)?),
        None => {
            #[cfg(feature = "tls-webpki-roots")]
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            #[cfg(feature = "tls-native-roots")]
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &security.identity {
        Some((certificate, Secret(key))) => {
            let key = PrivateKeyDer::from_pem_slice(key)?;
            builder.with_client_auth_cert(certificates(certificate)?, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}
