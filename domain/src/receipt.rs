//! What a side of a movement states once it is done, and what it has heard from the other.

use serde::{Deserialize, Serialize};

use super::{outcome::FailureCode, status::named, time::Timestamp};
use crate::id::CredentialId;

/// Longest digest, in bytes.
pub const DIGEST_MAX: usize = 64;
/// Longest name of a way to make a digest, or of a level of verification.
pub const METHOD_MAX: usize = 64;

named! {
    /// Whether what was moved was compared.
    VerificationResult {
        /// It was not.
        NotDone = "NOT_DONE",
        /// It was, and is what it should be.
        Passed = "PASSED",
        /// It was, and is not.
        Failed = "FAILED",
    }
}

/// What one side counted and saw, of the whole movement. It is stored as it is serialized.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Rows sent, or received.
    pub records_transferred: i64,
    /// Rows that the target did not have.
    pub records_created: Option<i64>,
    /// Rows that changed one in the target.
    pub records_updated: Option<i64>,
    /// Rows left out.
    pub records_skipped: Option<i64>,
    /// Rows that the target refused.
    pub records_failed: Option<i64>,
    /// Bytes moved.
    pub bytes_transferred: Option<i64>,
    /// A digest of the rows.
    pub digest: Option<Digest>,
    /// A digest of the table's columns; empty for none.
    pub schema_digest: Vec<u8>,
}

impl Statement {
    /// What became of the rows, by name, in the order of the wire.
    pub const fn outcomes(&self) -> [(&'static str, Option<i64>); 4] {
        [
            ("records_created", self.records_created),
            ("records_updated", self.records_updated),
            ("records_skipped", self.records_skipped),
            ("records_failed", self.records_failed),
        ]
    }
}

/// A digest, and how it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// The name of the way.
    pub algorithm: String,
    /// What it gave.
    pub value: Vec<u8>,
}

/// Rows that were put aside for one reason. It is stored as it is serialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// The reason.
    pub code: FailureCode,
    /// How many.
    pub count: i64,
}

/// A receipt as its side submits it. It is stored as it is serialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReceipt {
    /// What the side itself states.
    pub own: Statement,
    /// What it heard from the other side.
    pub peer: Option<Statement>,
    /// Of which moment the rows are, such as one snapshot; empty when it was not said.
    pub consistency: String,
    /// How thoroughly they were compared; empty when it was not said.
    pub verification_level: String,
    /// What came of that.
    pub verification: VerificationResult,
    /// Rows that were put aside, by reason.
    pub quarantined: Vec<Quarantined>,
}

/// A receipt as the ledger holds it. It is stored as it is serialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 1 for the first one of its transfer, one more for each later one.
    pub number: i64,
    /// The lease under which the transfer ran, or had run last.
    pub lease_epoch: i64,
    /// When it came.
    pub submitted_at: Timestamp,
    /// The credential that it came with; `None` where callers need none.
    pub submitted_by_uuid: Option<CredentialId>,
    /// What it says.
    pub said: NewReceipt,
}
