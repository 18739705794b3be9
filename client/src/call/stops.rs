//! Calling a transfer off, letting it wait, and saying that it has stopped.

use std::{future::IntoFuture, time::Duration};

use futures_util::future::BoxFuture;
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, request};
use crate::{Client, Error, Progress, Run, Transfer, Transfers, convert, transport::Stubs};

request! {
    /// Calls a transfer off; made by [`Transfers::cancel`].
    change CancelTransfer(CancelTransferRequest) by transfers.cancel_transfer,
    CancelTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Pauses a transfer; made by [`Transfers::pause`].
    change PauseTransfer(PauseTransferRequest) by transfers.pause_transfer,
    PauseTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Resumes a transfer; made by [`Transfers::resume`].
    change ResumeTransfer(ResumeTransferRequest) by transfers.resume_transfer,
    ResumeTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Says that a transfer runs no more; made by [`Transfers::acknowledge_stop`].
    change AcknowledgeStop(AcknowledgeStopRequest) by transfers.acknowledge_stop,
    AcknowledgeStopResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

impl Transfers {
    /// Calls off a transfer that is `Pending`, `PendingApproval` or `Approved`. The agent of one that is `InProgress` is
    /// asked to stop, which `stop` of the answer tells: it is `Cancelled` once the agent has, or at the end of the grace.
    pub fn cancel(&self, uuid: Uuid) -> CancelTransfer {
        CancelTransfer {
            client: self.client.clone(),
            message: v1::CancelTransferRequest {
                uuid: uuid.to_string(),
                ..v1::CancelTransferRequest::default()
            },
        }
    }

    /// Keeps a transfer from being started until it is resumed. The agent of one that is `InProgress` is asked to stop:
    /// the transfer is `Pending` or `Approved` again once the agent has, or at the end of the grace.
    ///
    /// One that is about to be cancelled is refused with `CANCEL_REQUESTED`.
    pub fn pause(&self, uuid: Uuid) -> PauseTransfer {
        PauseTransfer {
            client: self.client.clone(),
            message: v1::PauseTransferRequest {
                uuid: uuid.to_string(),
                ..v1::PauseTransferRequest::default()
            },
        }
    }

    /// Takes a pause back, or the request for one. Does nothing to a transfer that is not paused.
    pub fn resume(&self, uuid: Uuid) -> ResumeTransfer {
        ResumeTransfer {
            client: self.client.clone(),
            message: v1::ResumeTransferRequest {
                uuid: uuid.to_string(),
                ..v1::ResumeTransferRequest::default()
            },
        }
    }

    /// Says that the caller, who was asked to, has stopped. Where nobody has asked, or not any more, it is refused with
    /// `STOP_NOT_REQUESTED`, and a lease that was lost with `LEASE_LOST`.
    pub fn acknowledge_stop(&self, run: impl Into<Run>) -> AcknowledgeStop {
        let run = run.into();
        AcknowledgeStop {
            client: self.client.clone(),
            message: v1::AcknowledgeStopRequest {
                uuid: run.uuid.to_string(),
                lease_epoch: run.epoch(),
                ..v1::AcknowledgeStopRequest::default()
            },
        }
    }
}

impl CancelTransfer {
    /// Why, in at most 1,000 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }

    /// How long the agent of a running transfer has to confirm: up to 24 h, zero to cancel at once. By default as the
    /// connection's policy says, or else as the server is set, which is 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.message.grace = Some(convert::to_duration(grace));
        self
    }
}

impl PauseTransfer {
    /// Why, in at most 1,000 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }

    /// As [`CancelTransfer::grace`].
    pub fn grace(mut self, grace: Duration) -> Self {
        self.message.grace = Some(convert::to_duration(grace));
        self
    }
}

impl AcknowledgeStop {
    /// Final totals; what is stored stays by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.message.progress = Some(convert::to_progress(progress));
        self
    }

    /// Where the next agent would resume, at most 4,096 bytes; what is stored stays by default.
    pub fn checkpoint(mut self, checkpoint: impl Into<Vec<u8>>) -> Self {
        self.message.checkpoint = Some(checkpoint.into());
        self
    }
}
