//! Certificates for tests of TLS: authorities that are made up on the spot, and what they sign.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

/// What the server's certificates are for, unless a test says otherwise.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new("an authority of the tests")
    }
}

impl Authority {
    /// One that nobody else knows.
    ///
    /// # Panics
    /// Never: the parameters are fine.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for servers of these names and addresses.
    pub fn server(&self, names: &[&str]) -> Signed {
        self.sign(params(names, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// One that has expired long ago.
    pub fn expired(&self, names: &[&str]) -> Signed {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params)
    }

    /// One that expires in so many days.
    pub fn expiring(&self, names: &[&str], days: u64) -> Signed {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        let days = Duration::from_secs(days * 24 * 3_600);
        params.not_after = (SystemTime::now() + days).into();
        self.sign(params)
    }

    /// A certificate for a client.
    pub fn client(&self, name: &str) -> Signed {
        self.sign(params(&[name], ExtendedKeyUsagePurpose::ClientAuth))
    }

    fn sign(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("it can be signed");
        Signed {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn params(names: &[&str], usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("they are names");
    params.extended_key_usages = vec![usage];
    params
}

/// The files of a server's TLS, and of whoever calls it.
pub struct Folder(TempDir);

impl Folder {
    /// With the certificate of a server, and its authority's.
    pub fn of(authority: &Authority, server: &Signed) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        folder.write("ca.pem", &authority.pem());
        folder.put("server", server);
        folder
    }

    /// Writes a certificate and its key, in place of what was there.
    pub fn put(&self, name: &str, signed: &Signed) {
        self.write(&format!("{name}.pem"), &signed.certificate);
        self.write(&format!("{name}.key"), &signed.key);
    }

    /// Writes a file in one step, in place of what was there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let fresh = self.0.path().join("fresh");
        fs::write(&fresh, text).expect("it can be written");
        fs::rename(&fresh, self.0.path().join(name)).expect("it can be renamed");
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where a file is, as an argument.
    ///
    /// # Panics
    /// Never: temporary folders have plain names.
    pub fn argument(&self, name: &str) -> String {
        let path = self.path(name);
        path.to_str().expect("a plain name").to_owned()
    }

    /// The arguments that turn TLS on.
    pub fn arguments(&self) -> Vec<String> {
        let pair = ["server.pem", "server.key"].map(|name| self.argument(name));
        let [certificate, key] = pair;
        vec!["--tls-cert".into(), certificate, "--tls-key".into(), key]
    }
}

/// Shakes hands as a client that calls `localhost`, trusts this authority and speaks `protocols`.
///
/// # Errors
/// What the handshake says.
///
/// # Panics
/// When the authority is none.
pub async fn shake(
    stream: TcpStream,
    authority_pem: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority_pem.as_bytes());
    roots
        .add(certificate.expect("a certificate"))
        .expect("an authority");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
