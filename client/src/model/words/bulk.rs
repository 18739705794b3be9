//! The vocabularies of bulk operations.

use super::*;

vocabulary! {
    /// What a bulk operation does to each transfer.
    BulkVerb from BulkVerb {
        /// It is cancelled.
        Cancel = "cancel",
        /// It is tried again.
        Retry = "retry",
        /// Its row is deleted.
        Delete = "delete",
    }
}

vocabulary! {
    /// How far a bulk operation is.
    BulkState from BulkState {
        /// It goes on.
        Running = "running",
        /// Every transfer had its turn. Some may have been refused.
        Completed = "completed",
        /// It was stopped.
        Stopped = "stopped",
    }
}

vocabulary! {
    /// What came of one transfer of a bulk operation.
    BulkResult from BulkResult {
        /// The verb was carried out.
        Succeeded = "succeeded",
        /// The verb was refused, and the operation went on.
        Refused = "refused",
    }
}
