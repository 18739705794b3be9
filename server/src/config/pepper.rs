//! The key that the digests of tokens depend on.

use std::{fs, io, path::PathBuf};

use clap::Args;

use tidegate_domain::token::Pepper;

/// Fewest bytes of a pepper.
pub const PEPPER_MIN: usize = 32;

/// Where the pepper is kept.
#[derive(Clone, Debug, Default, Args)]
pub struct PepperFile {
    /// A key of at least 32 bytes that the digests of tokens and session codes depend on; the same on every replica.
    ///
    /// With another key, or without it, the tokens that were made with this one are no longer good. White space around it
    /// is not part of it.
    #[arg(
        id = "token_pepper_file",
        long = "token-pepper-file",
        env = "TIDEGATE_TOKEN_PEPPER_FILE",
        value_name = "FILE"
    )]
    pub path: Option<PathBuf>,
}

/// Why the pepper cannot be used. The content of the file is not told.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    /// The file cannot be read.
    #[error("the pepper in {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The key can be guessed.
    #[error(
        "the pepper in {} has {length} bytes and needs {PEPPER_MIN}: `openssl rand -hex 32` makes one",
        path.display()
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Bytes without the white space around them.
        length: usize,
    },
}

impl PepperFile {
    /// The pepper; none where no file was named.
    ///
    /// # Errors
    /// When the file cannot be read, or the key is too short.
    pub fn read(&self) -> Result<Pepper, PepperError> {
        let Some(path) = &self.path else {
            return Ok(Pepper::default());
        };
        let content = fs::read(path).map_err(|source| PepperError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let key = content.trim_ascii();
        if key.len() < PEPPER_MIN {
            return Err(PepperError::TooShort {
                path: path.clone(),
                length: key.len(),
            });
        }
        Ok(Pepper::new(key.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Pepper, PepperError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pepper");
        fs::write(&path, content).expect("written");
        PepperFile { path: Some(path) }.read()
    }

    #[test]
    fn a_pepper_has_32_bytes_and_the_white_space_does_not_count() {
        let bare = read(&[b'x'; 32]).expect("long enough");
        let padded = read(format!("  {}\r\n", "x".repeat(32)).as_bytes()).expect("long enough");
        assert_eq!(bare.digest("token", b"s"), padded.digest("token", b"s"));
        assert_ne!(
            bare.digest("token", b"s"),
            Pepper::default().digest("token", b"s")
        );
        let short = format!("{}\n", "x".repeat(31));
        let refused = read(short.as_bytes()).expect_err("too short").to_string();
        assert!(refused.contains("31 bytes"), "{refused}");
        assert!(!refused.contains("xxx"), "{refused}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let path = Some(PathBuf::from("/nowhere/pepper"));
        let refused = PepperFile { path }.read().expect_err("it is not there");
        assert!(refused.to_string().contains("/nowhere/pepper"), "{refused}");
        assert!(PepperFile::default().read().is_ok());
    }
}
