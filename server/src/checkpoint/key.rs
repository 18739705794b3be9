//! Keys of Ed25519 from PEM files, as `openssl` writes them.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use tokio_rustls::rustls::pki_types::{
    PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _,
};

use tidegate_domain::{
    chain::Head,
    checkpoint::{Checkpoint, PublicKey, Signed},
    time::Timestamp,
};

/// What comes before the 32 bytes of a public key of Ed25519 in DER.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Rights that nobody but the owner, and a group that reads, may have.
const EXPOSED: u32 = 0o027;

/// Why a key cannot be used. The content of the file is not told.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the key in {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Others may read a secret.
    #[error(
        "the checkpoint key in {} is not for its owner alone (mode {mode:03o}): chmod 600",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no private key of Ed25519.
    #[error(
        "{} holds no private key of Ed25519 in PEM: `openssl genpkey -algorithm ed25519` makes one",
        path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// It is no public key of Ed25519.
    #[error(
        "{} holds no public key of Ed25519 in PEM: `openssl pkey -pubout` makes one of a private key",
        path.display()
    )]
    NotPublic {
        /// The file.
        path: PathBuf,
    },
}

/// The key that checkpoints are signed with.
#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// From a file of PKCS#8 in PEM that others may not read.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let (content, mode) = read(path)?;
        if mode & EXPOSED != 0 {
            let path = path.to_owned();
            return Err(KeyError::Exposed { path, mode });
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(&content).ok();
        let key = key.and_then(|key| Self::of(key.secret_pkcs8_der()));
        key.ok_or_else(|| KeyError::NotPrivate {
            path: path.to_owned(),
        })
    }

    fn of(pkcs8: &[u8]) -> Option<Self> {
        // What openssl writes has no public key that could be compared.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, public })
    }

    /// Its public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs that the log ended so at that time.
    pub fn sign(&self, head: Head, time: Timestamp) -> Signed {
        let key = self.public;
        let checkpoint = Checkpoint { key, head, time };
        let signature = self.pair.sign(checkpoint.text().as_bytes());
        let mut bytes = [0; 64];
        bytes.copy_from_slice(signature.as_ref());
        checkpoint.signed(bytes)
    }
}

/// A public key in PEM.
///
/// # Errors
/// When the file is none.
pub fn public_key(path: &Path) -> Result<PublicKey, KeyError> {
    let (content, _) = read(path)?;
    let key = SubjectPublicKeyInfoDer::from_pem_slice(&content).ok();
    let bare = key.and_then(|key| key.strip_prefix(&SPKI)?.try_into().ok());
    bare.ok_or_else(|| KeyError::NotPublic {
        path: path.to_owned(),
    })
}

/// Whether the signature is that of the key.
pub fn verify(key: &PublicKey, signed: &Signed) -> bool {
    let key = UnparsedPublicKey::new(&ED25519, key);
    let verified = key.verify(signed.text().as_bytes(), signed.signature());
    verified.is_ok()
}

/// The content of a file, and its mode.
fn read(path: &Path) -> Result<(Vec<u8>, u32), KeyError> {
    let read = || {
        let mut file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok((content, mode))
    };
    read().map_err(|source| KeyError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As openssl writes it: without the public key.
    pub(in crate::checkpoint) fn key() -> SigningKey {
        let mut pkcs8 = vec![
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        pkcs8.extend([7; 32]);
        SigningKey::of(&pkcs8).expect("a key")
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_text() {
        let key = key();
        let head = Head {
            sequence: 3,
            hash: [1; 32],
        };
        let signed = key.sign(head, Timestamp::from_micros(5));
        assert!(verify(key.public(), &signed) && signed.is_of(key.public()));
        assert!(!verify(&[1; 32], &signed));
        let text = signed.to_string().replacen("\n3\n", "\n4\n", 1);
        let parts = tidegate_domain::checkpoint::parts(&text);
        let [tidegate_domain::checkpoint::Part::Whole(1, altered)] = &parts[..] else {
            panic!("{parts:?}");
        };
        assert!(!verify(key.public(), altered));
    }
}
