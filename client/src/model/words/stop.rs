//! The vocabularies of stops that were asked for.

use super::*;

vocabulary! {
    /// What a stop is for.
    StopKind from StopKind {
        /// The transfer is called off.
        Cancel = "cancel",
        /// The transfer waits until it is resumed.
        Pause = "pause",
    }
}

vocabulary! {
    /// What led to a stop.
    StopCause from StopCause {
        /// Somebody asked for it.
        Request = "request",
        /// The transfer's connection was suspended; reactivating it resumes the transfer.
        ConnectionSuspended = "connection_suspended",
        /// The transfer's connection was revoked.
        ConnectionRevoked = "connection_revoked",
        /// The transfer's time to finish was over.
        FinishBy = "finish_by",
    }
}
