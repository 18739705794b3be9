//! How a run goes and how it ended, beyond its totals: its phases, why it failed, and which records made trouble.

use serde::{Deserialize, Serialize};

use super::{status::named, time::Timestamp};

/// Most kinds of trouble that are kept of a run, each with its code.
pub const PROBLEMS_MAX: usize = 16;
/// Most records that are kept as samples of one kind.
pub const SAMPLES_MAX: usize = 10;
/// Largest list of kinds and samples, in bytes of JSON.
pub const PROBLEMS_BYTES_MAX: usize = 4 * 1024;

named! {
    /// What part a run is in. They follow each other in this order, and each may be left out.
    Phase {
        /// The agent looks at source and target.
        Preparing = "PREPARING",
        /// Records are moved.
        Transferring = "TRANSFERRING",
        /// What was moved is compared.
        Verifying = "VERIFYING",
        /// The agent tidies up.
        Finalizing = "FINALIZING",
    }
}

named! {
    /// Where the cause of a failure lies.
    FailureCode {
        /// In how the agent or the transfer is set up.
        Config = "CONFIG",
        /// In the site that gives the records.
        Source = "SOURCE",
        /// In the site that takes the records.
        Target = "TARGET",
        /// Between the two.
        Network = "NETWORK",
        /// In the records.
        Data = "DATA",
        /// In what was moved, which is not what it should be.
        Verification = "VERIFICATION",
        /// In what one of the sites allows.
        Policy = "POLICY",
        /// Somebody stopped the agent.
        Cancelled = "CANCELLED",
        /// The agent did not report in time: said by the server alone.
        HeartbeatLost = "HEARTBEAT_LOST",
        /// In the agent.
        Internal = "INTERNAL",
    }
}

/// Why a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where the cause lies; `None` when it was not said.
    pub code: Option<FailureCode>,
    /// Whether the same transfer may well succeed if it is tried again.
    pub retryable: bool,
}

/// When a run entered a phase. It is stored as it is serialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseStart {
    /// The phase.
    pub phase: Phase,
    /// When it was entered.
    pub at: Timestamp,
}

/// Records that made one kind of trouble. It is stored as it is serialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordProblems {
    /// The kind.
    pub code: FailureCode,
    /// How many there are in all.
    pub count: i64,
    /// Some of them.
    pub samples: Vec<RecordProblem>,
}

/// A record that made trouble: which, and what trouble, but never what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordProblem {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}
