//! The vocabularies of receipts.

use super::*;

vocabulary! {
    /// Whether what was moved was compared.
    VerificationResult from VerificationResult {
        /// It was not.
        NotDone = "not_done",
        /// It was, and is what it should be.
        Passed = "passed",
        /// It was, and is not.
        Failed = "failed",
    }
}

vocabulary! {
    /// What is known of whether both sides of a movement agree.
    ReconciliationState from ReconciliationState {
        /// Neither side has given a receipt.
        Pending = "pending",
        /// One side has given a receipt, and nothing is known of what the other counted.
        OneSided = "one_sided",
        /// Both say the same.
        Matched = "matched",
        /// They contradict each other.
        Diverged = "diverged",
    }
}
