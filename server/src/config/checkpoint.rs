//! Where signed checkpoints of the log go.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::value::interval;

/// How checkpoints are signed.
#[derive(Clone, Debug, Args)]
pub struct Checkpoints {
    /// The private key of Ed25519 that signs checkpoints of the log, PKCS#8 in PEM; no checkpoints unless set. Others than
    /// its owner and group may not read it.
    #[arg(
        id = "checkpoint_key",
        long = "checkpoint-key",
        env = "TIDEGATE_CHECKPOINT_KEY",
        value_name = "FILE",
        requires = "checkpoint_file"
    )]
    pub key: Option<PathBuf>,
    /// The file that checkpoints are appended to, one for each server; keep copies where the owner of the database cannot
    /// write.
    #[arg(
        id = "checkpoint_file",
        long = "checkpoint-file",
        env = "TIDEGATE_CHECKPOINT_FILE",
        value_name = "FILE",
        requires = "checkpoint_key"
    )]
    pub file: Option<PathBuf>,
    /// How often a checkpoint is signed, if something has happened.
    #[arg(
        id = "checkpoint_interval",
        long = "checkpoint-interval",
        env = "TIDEGATE_CHECKPOINT_INTERVAL",
        default_value = "1m",
        value_parser = interval
    )]
    pub interval: Duration,
}
