//! Signs, now and then, where the log is, and writes that into a file outside of the database.
//!
//! Whoever can write to the database can compute its chain again, but cannot sign. Before anything is signed, the log must
//! still have the event of the checkpoint before: a log that was rewritten or restored gets no new signature.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{config::Checkpoints, ledger::chain, metrics::Metrics, time::Time};
use tidegate_domain::{
    chain::Head,
    checkpoint::{Comparison, Mismatch, Part, PublicKey, parts},
    log::LogView,
};
use tidegate_store::{Store, StoreError};

mod file;
mod key;

pub use file::CheckpointFile;
pub use key::{KeyError, SigningKey, public_key, verify};

/// Why there is no new checkpoint.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(
        "the log no longer has event {0} as it was signed: it was rewritten, or restored from a backup"
    )]
    Strayed(i64),
    #[error("{} cannot be written: {source}", path.display())]
    Unwritten { path: PathBuf, source: io::Error },
}

/// Longest wait for the file in one look. A write that takes longer goes on, and the next look waits for it.
const WRITE: Duration = Duration::from_secs(5);

/// Signs checkpoints.
pub struct Signer {
    store: Store,
    time: Time,
    metrics: Arc<Metrics>,
    key: SigningKey,
    file: Arc<Mutex<CheckpointFile>>,
    path: PathBuf,
    last: Option<Head>,
    /// What is on its way into the file.
    writing: Option<(Head, JoinHandle<io::Result<()>>)>,
}

impl Signer {
    /// With the key and the file of the settings; none where none are named.
    ///
    /// # Errors
    /// When the key cannot be used, or the file cannot be written or is written by another process.
    pub fn new(
        settings: &Checkpoints,
        store: Store,
        time: Time,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Option<Self>> {
        let (Some(key), Some(path)) = (&settings.key, &settings.file) else {
            return Ok(None);
        };
        let key = SigningKey::read(key)?;
        let opened = CheckpointFile::open(path, key.public());
        let (file, last) = opened
            .with_context(|| format!("checkpoints cannot be written into {}", path.display()))?;
        Ok(Some(Self {
            store,
            time,
            metrics,
            key,
            file: Arc::new(Mutex::new(file)),
            path: path.clone(),
            last,
            writing: None,
        }))
    }

    /// Signs every `interval`, if there is something new, until `stop` is cancelled.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let look = async {
                ticks.tick().await;
                self.look().await
            };
            let Some(outcome) = stop.run_until_cancelled(look).await else {
                return;
            };
            match outcome {
                Ok(true) => self.metrics.checkpoints.inc("ok"),
                Ok(false) => {}
                Err(error) => {
                    self.metrics.checkpoints.inc("failed");
                    tracing::error!(error = %chain(&error), "no checkpoint was signed; the next look tries again");
                }
            }
        }
    }

    /// Whether there was something new, which has a checkpoint now.
    async fn look(&mut self) -> Result<bool, Unsigned> {
        if self.writing.is_none() && !self.begin().await? {
            return Ok(false);
        }
        self.finish().await.map_err(|source| Unsigned::Unwritten {
            path: self.path.clone(),
            source,
        })?;
        Ok(true)
    }

    /// Whether there is something new, which is being written then.
    async fn begin(&mut self) -> Result<bool, Unsigned> {
        let at = self.last.map_or(0, |last| last.sequence);
        let view = self.store.within_limit(self.store.look(at)).await?;
        if self.last.is_some_and(|last| !leads_to(&view, last)) {
            return Err(Unsigned::Strayed(at));
        }
        let head = view.bounds.last;
        if head.sequence <= at {
            return Ok(false);
        }
        let signed = self.key.sign(head, self.time.now().await?);
        let file = Arc::clone(&self.file);
        let writing = spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.append(&signed)
        });
        self.writing = Some((head, writing));
        Ok(true)
    }

    /// Waits for what is being written.
    async fn finish(&mut self) -> io::Result<()> {
        let Some((head, writing)) = &mut self.writing else {
            return Ok(());
        };
        let written = timeout(WRITE, writing).await?;
        let head = *head;
        self.writing = None;
        written.unwrap_or_else(|died| Err(died.into()))?;
        self.last = Some(head);
        Ok(())
    }
}

/// Whether the log still has that event, as far as it can be said.
fn leads_to(view: &LogView, known: Head) -> bool {
    let bounds = &view.bounds;
    if known.sequence < bounds.floor.sequence {
        return known.sequence <= bounds.last.sequence;
    }
    view.event == Some(known) || bounds.floor == known
}

/// What a file of checkpoints says of the log, after its signatures were verified.
#[derive(Debug)]
pub struct Witness {
    /// To compare the log with.
    pub comparison: Comparison,
    /// Where a checkpoint was not written to its end.
    pub cut: Vec<usize>,
}

impl Witness {
    /// Reads a file of checkpoints that were signed with one of `keys`.
    ///
    /// # Errors
    /// When a file cannot be read, or there is no checkpoint in it; what is wrong with its checkpoints is the answer.
    pub fn read(path: &Path, keys: &[PathBuf]) -> anyhow::Result<Result<Self, Mismatch>> {
        let keys = keys.iter().map(|key| public_key(key));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let content = std::fs::read(path)
            .with_context(|| format!("the checkpoints in {} cannot be read", path.display()))?;
        let (mut comparison, mut cut, mut whole) = (Comparison::default(), Vec::new(), 0_usize);
        for part in parts(&String::from_utf8_lossy(&content)) {
            match part {
                Part::Cut(line) => cut.push(line),
                Part::Nonsense(line) => return Ok(Err(Mismatch::Nonsense(line))),
                Part::Whole(line, signed) => {
                    whole += 1;
                    let Some(key) = keys.iter().find(|key: &&PublicKey| signed.is_of(key)) else {
                        let origin = signed.origin().to_owned();
                        return Ok(Err(Mismatch::UnknownKey { line, origin }));
                    };
                    if !verify(key, &signed) {
                        return Ok(Err(Mismatch::Forged(line)));
                    }
                    comparison.add(line, signed);
                }
            }
        }
        anyhow::ensure!(whole > 0, "{} holds no whole checkpoint", path.display());
        Ok(Ok(Self { comparison, cut }))
    }
}
