//! Running a transfer: start, progress, and its ends.

use std::{future::IntoFuture, time::Duration};

use futures::future::BoxFuture;
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, request};
use crate::{Client, Error, Progress, Transfer, convert, transport::Stubs};

request! {
    /// Starts a transfer; made by [`Client::start_transfer`].
    change StartTransfer(StartTransferRequest) by transfers.start_transfer,
    StartTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Reports progress once; made by [`Client::update_progress`].
    change UpdateProgress(UpdateProgressRequest) by transfers.update_progress,
    UpdateProgressResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Completes a transfer; made by [`Client::complete_transfer`].
    change CompleteTransfer(CompleteTransferRequest) by transfers.complete_transfer,
    CompleteTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Gives a transfer up; made by [`Client::fail_transfer`].
    change FailTransfer(FailTransferRequest) by transfers.fail_transfer,
    FailTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Calls a transfer off; made by [`Client::cancel_transfer`].
    change CancelTransfer(CancelTransferRequest) by transfers.cancel_transfer,
    CancelTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

impl Client {
    /// Starts a transfer that is `Pending` and needs no approval, or is `Approved`. Of several callers one wins; the
    /// others are refused with `ILLEGAL_TRANSITION`. Without a needed approval: `APPROVAL_REQUIRED`.
    pub fn start_transfer(&self, uuid: Uuid) -> StartTransfer {
        StartTransfer {
            client: self.clone(),
            message: v1::StartTransferRequest {
                uuid: uuid.to_string(),
                ..v1::StartTransferRequest::default()
            },
        }
    }

    /// Reports progress of a transfer that is `InProgress`, and renews its heartbeat. For a report now and then; an
    /// agent under way uses [`Client::report_progress`].
    ///
    /// Totals below the stored ones are refused with `PROGRESS_REGRESSED`.
    pub fn update_progress(&self, uuid: Uuid, progress: Progress) -> UpdateProgress {
        UpdateProgress {
            client: self.clone(),
            message: v1::UpdateProgressRequest {
                uuid: uuid.to_string(),
                progress: Some(convert::to_progress(progress)),
                ..v1::UpdateProgressRequest::default()
            },
        }
    }

    /// Completes a transfer that is `InProgress`.
    pub fn complete_transfer(&self, uuid: Uuid) -> CompleteTransfer {
        CompleteTransfer {
            client: self.clone(),
            message: v1::CompleteTransferRequest {
                uuid: uuid.to_string(),
                ..v1::CompleteTransferRequest::default()
            },
        }
    }

    /// Gives up a transfer that is `InProgress`. `error_message` says why, in 1 to 2,000 characters.
    pub fn fail_transfer(&self, uuid: Uuid, error_message: impl Into<String>) -> FailTransfer {
        FailTransfer {
            client: self.clone(),
            message: v1::FailTransferRequest {
                uuid: uuid.to_string(),
                error_message: error_message.into(),
                ..v1::FailTransferRequest::default()
            },
        }
    }

    /// Calls off a transfer that is `Pending`, `PendingApproval`, `Approved` or `InProgress`.
    pub fn cancel_transfer(&self, uuid: Uuid) -> CancelTransfer {
        CancelTransfer {
            client: self.clone(),
            message: v1::CancelTransferRequest {
                uuid: uuid.to_string(),
                ..v1::CancelTransferRequest::default()
            },
        }
    }
}

impl StartTransfer {
    /// Lets the transfer fail when its agent is silent for so long: 1 s to 24 h. Never by default.
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.message.heartbeat_timeout = Some(convert::to_duration(timeout));
        self
    }
}

impl UpdateProgress {
    /// Where the agent would resume, at most 4,096 bytes; what is stored stays by default.
    pub fn checkpoint(mut self, checkpoint: impl Into<Vec<u8>>) -> Self {
        self.message.checkpoint = Some(checkpoint.into());
        self
    }
}

impl CompleteTransfer {
    /// Final totals; what is stored stays by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.message.progress = Some(convert::to_progress(progress));
        self
    }
}

impl FailTransfer {
    /// Final totals; what is stored stays by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.message.progress = Some(convert::to_progress(progress));
        self
    }
}

impl CancelTransfer {
    /// Why, in at most 1,000 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }
}
