//! TLS: the certificate from its files, and again whenever these have changed. What was read last and could be used is
//! what new handshakes get; connections keep what they began with.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};
use tokio_util::sync::CancellationToken;
use x509_parser::parse_x509_certificate;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);
/// What is spoken inside, dearest first; HTTP/1.1 is for gRPC-Web.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where certificate, key and authority are; PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The server's certificate, followed by those that lead to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of client certificates. With it every client must show one that they signed.
    pub client_ca: Option<PathBuf>,
}

/// Why files cannot be used. Never tells what is in a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file lacks what it should have.
    #[error("{path}: holds no {what}")]
    Lacking {
        /// Which.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// The key does not belong to the certificate, or is of a kind that TLS does not use.
    #[error("{certificate} with {key}: {source}")]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// An authority cannot be used.
    #[error("{path}: {why}")]
    Authority {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The contents of the files; compared, never shown.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// TLS as it is at present; cheap to clone.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<Mutex<Arc<ServerConfig>>>,
    expiry: Gauge,
}

impl Tls {
    /// Reads the files, and returns how to [keep them current](Watch::run). `expiry` is told when the certificates expire.
    ///
    /// # Errors
    /// When they cannot be read or used.
    pub async fn load(files: Files, expiry: Gauge) -> Result<(Self, Watch), Unusable> {
        let contents = read(&files).await?;
        let config = config(&files, &contents)?;
        let tls = Self {
            files: Arc::new(files),
            current: Arc::new(Mutex::new(config)),
            expiry,
        };
        tls.tell_expiry(&contents);
        let watch = Watch {
            tls: tls.clone(),
            used: contents,
            last: None,
        };
        Ok((tls, watch))
    }

    /// For one handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }

    fn replace(&self, config: Arc<ServerConfig>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn tell_expiry(&self, contents: &Contents) {
        let chain = certificates(&self.files.certificate, &contents.certificate);
        let chain = chain.unwrap_or_default();
        let expiries = chain.iter().filter_map(|certificate| {
            let (_, parsed) = parse_x509_certificate(certificate).ok()?;
            Some(parsed.validity().not_after.timestamp())
        });
        self.expiry.set(expiries.min().unwrap_or(0));
    }
}

/// Looks at the files.
pub struct Watch {
    tls: Tls,
    used: Contents,
    /// What the last look found, if that is not in use.
    last: Option<Seen>,
}

struct Seen {
    found: Result<Contents, String>,
    /// Whether it was tried, and refused.
    refused: bool,
}

impl Watch {
    /// Looks every 2 s, and at once on SIGHUP, until `stop` is cancelled.
    pub async fn run(mut self, mut hangup: tokio::signal::unix::Signal, stop: CancellationToken) {
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                asked = hangup.recv() => asked.is_some(),
                () = tokio::time::sleep(LOOK) => false,
            };
            self.look(asked).await;
        }
    }

    /// Takes the files into use if they have changed. Unless somebody asks for it they must have been the same for two
    /// looks: certificate and key are seldom replaced at the same moment.
    async fn look(&mut self, asked: bool) {
        let found = read(&self.tls.files).await;
        if found.as_ref().is_ok_and(|contents| *contents == self.used) {
            self.last = None;
            if asked {
                tracing::info!("TLS: the files have not changed");
            }
            return;
        }
        let found = found.map_err(|error| error.to_string());
        let seen = self.last.take().filter(|last| last.found == found);
        let is_due = asked || seen.as_ref().is_some_and(|last| !last.refused);
        let refused = seen.is_some_and(|last| last.refused);
        if !is_due {
            self.last = Some(Seen { found, refused });
            return;
        }
        let loaded = match &found {
            Ok(contents) => config(&self.tls.files, contents).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        match (loaded, found) {
            (Ok(config), Ok(contents)) => {
                self.tls.replace(config);
                self.tls.tell_expiry(&contents);
                self.used = contents;
                tracing::info!("TLS: the changed files are in use for new connections");
            }
            (Err(error), found) => {
                tracing::warn!(%error, "TLS: the changed files cannot be used; the previous ones stay in use");
                let refused = true;
                self.last = Some(Seen { found, refused });
            }
            (Ok(_), Err(_)) => {}
        }
    }
}

async fn read(files: &Files) -> Result<Contents, Unusable> {
    Ok(Contents {
        certificate: read_one(&files.certificate).await?,
        key: read_one(&files.key).await?,
        client_ca: match &files.client_ca {
            Some(path) => Some(read_one(path).await?),
            None => None,
        },
    })
}

async fn read_one(path: &Path) -> Result<Vec<u8>, Unusable> {
    let read = tokio::fs::read(path).await;
    read.map_err(|source| Unusable::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn config(files: &Files, contents: &Contents) -> Result<Arc<ServerConfig>, Unusable> {
    // Named rather than left to the process: another part of it may bring a provider of its own.
    let provider = Arc::new(ring::default_provider());
    let unfit = |source| Unusable::Unfit {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let chain = certificates(&files.certificate, &contents.certificate)?;
    // What the parser says could quote the key.
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| Unusable::Lacking {
        path: files.key.clone(),
        what: "private key in PEM without a password",
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?;
    let builder = match (&files.client_ca, &contents.client_ca) {
        (Some(path), Some(authority)) => {
            builder.with_client_cert_verifier(verifier(path, authority, provider)?)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn verifier(
    path: &Path,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let refuse = |why: String| Unusable::Authority {
        path: path.to_owned(),
        why,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| refuse(error.to_string()))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| Unusable::Lacking {
            path: path.to_owned(),
            what: "certificate in PEM",
        })
}
