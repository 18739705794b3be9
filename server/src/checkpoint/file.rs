//! The file that checkpoints are appended to.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::key::verify;
use tidegate_domain::{
    chain::Head,
    checkpoint::{Part, PublicKey, Signed, parts},
};

/// Bytes at the end of the file that the newest checkpoint is looked for in.
const TAIL: u64 = 64 * 1024;

/// An open file of checkpoints, which nobody else writes.
#[derive(Debug)]
pub struct CheckpointFile {
    file: File,
    /// Whether it may end within a line.
    ragged: bool,
}

impl CheckpointFile {
    /// Opens or creates the file, and finds the newest checkpoint in it that was signed with `key`.
    ///
    /// # Errors
    /// When it is no regular file or cannot be written, or another process writes it.
    pub fn open(path: &Path, key: &PublicKey) -> io::Result<(Self, Option<Head>)> {
        // A device could be read without an end.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process writes it"),
            TryLockError::Error(error) => error,
        })?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let newest = parts(&String::from_utf8_lossy(&tail)).into_iter().rev();
        let newest = newest.filter_map(|part| match part {
            Part::Whole(_, signed) => Some(signed),
            Part::Cut(_) | Part::Nonsense(_) => None,
        });
        let last = newest
            .filter(|signed| signed.is_of(key) && verify(key, signed))
            .map(|signed| signed.head())
            .next();
        let ragged = tail.last().is_some_and(|byte| *byte != b'\n');
        Ok((Self { file, ragged }, last))
    }

    /// Writes one more, which is on disk then.
    ///
    /// # Errors
    /// When it cannot be written. Part of it may be: the next one begins in a line of its own.
    pub fn append(&mut self, signed: &Signed) -> io::Result<()> {
        let before = if self.ragged { "\n" } else { "" };
        self.ragged = true;
        self.file
            .write_all(format!("{before}{signed}\n").as_bytes())?;
        self.file.sync_data()?;
        self.ragged = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::time::Timestamp;

    use super::{super::key::tests::key, *};

    #[test]
    fn a_device_is_no_file_of_checkpoints() {
        for path in ["/dev/full", "/"] {
            let refused = CheckpointFile::open(Path::new(path), key().public());
            let refused = refused.expect_err("it is no file").to_string();
            assert_eq!(refused, "it is no regular file");
        }
    }

    #[test]
    fn a_file_has_one_writer_who_goes_on_where_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoints");
        let key = key();
        let head = |sequence| Head {
            sequence,
            hash: [1; 32],
        };
        let time = Timestamp::from_micros(1);
        let open = || CheckpointFile::open(&path, key.public());
        let (mut file, last) = open().expect("it is made");
        assert_eq!(last, None);
        let second = open().expect_err("it has a writer").to_string();
        assert_eq!(second, "another process writes it");
        for sequence in [1, 2] {
            let signed = key.sign(head(sequence), time);
            file.append(&signed).expect("it is written");
        }
        drop(file);
        // As after a crash: the last one is not whole.
        let length = fs::metadata(&path).expect("it is there").len();
        let torn = OpenOptions::new().write(true).open(&path).expect("open");
        torn.set_len(length - 20).expect("it is cut");
        drop(torn);
        let (mut file, last) = open().expect("it opens");
        assert_eq!(last, Some(head(1)));
        file.append(&key.sign(head(3), time)).expect("written");
        drop(file);
        assert_eq!(open().expect("it opens").1, Some(head(3)));
        let text = fs::read_to_string(&path).expect("text");
        let found = parts(&text);
        assert!(
            matches!(found[..], [Part::Whole(..), Part::Cut(8), Part::Whole(..)]),
            "{text}"
        );
    }
}
