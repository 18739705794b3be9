//! Everything that can be done to an existing transfer, as values: for tests that try all of it.

use tidegate_proto::v1::TransferStatus as S;
use tonic::Status;

use crate::{
    raw::{Raw, totals},
    request,
};

/// Something to do to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferAction {
    /// `RequestApproval`.
    RequestApproval,
    /// `ApproveTransfer`.
    Approve,
    /// `DenyTransfer`.
    Deny,
    /// `StartTransfer`.
    Start,
    /// `UpdateProgress`.
    UpdateProgress,
    /// `CompleteTransfer`.
    Complete,
    /// `FailTransfer`.
    Fail,
    /// `CancelTransfer`.
    Cancel,
    /// `PauseTransfer`.
    Pause,
    /// `ResumeTransfer`.
    Resume,
    /// `AcknowledgeStop`.
    AcknowledgeStop,
    /// `DeleteTransfer`.
    Delete,
}

impl TransferAction {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::RequestApproval,
        Self::Approve,
        Self::Deny,
        Self::Start,
        Self::UpdateProgress,
        Self::Complete,
        Self::Fail,
        Self::Cancel,
        Self::Pause,
        Self::Resume,
        Self::AcknowledgeStop,
        Self::Delete,
    ];

    /// The action's name in refusals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestApproval => "REQUEST_APPROVAL",
            Self::Approve => "APPROVE",
            Self::Deny => "DENY",
            Self::Start => "START",
            Self::UpdateProgress => "UPDATE_PROGRESS",
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
            Self::Cancel => "CANCEL",
            Self::Pause => "PAUSE",
            Self::Resume => "RESUME",
            Self::AcknowledgeStop => "ACKNOWLEDGE_STOP",
            Self::Delete => "DELETE",
        }
    }

    /// The statuses that the contract lets it leave, in the order that refusals name them.
    ///
    /// Written down here once more rather than asked of the server, which it is to be compared with.
    pub const fn allowed_from(self) -> &'static [S] {
        match self {
            Self::RequestApproval => &[S::Pending],
            Self::Approve | Self::Deny => &[S::PendingApproval],
            Self::Start => &[S::Pending, S::Approved],
            Self::UpdateProgress | Self::Complete | Self::Fail | Self::AcknowledgeStop => {
                &[S::InProgress]
            }
            Self::Cancel | Self::Pause | Self::Resume => {
                &[S::Pending, S::PendingApproval, S::Approved, S::InProgress]
            }
            Self::Delete => &[S::Completed, S::Failed, S::Cancelled, S::Denied, S::Expired],
        }
    }

    /// Tries it.
    ///
    /// # Errors
    /// The refusal.
    pub async fn attempt(self, raw: &mut Raw, uuid: &str) -> Result<(), Status> {
        let call = &mut raw.transfers;
        match self {
            Self::RequestApproval => call.request_approval(request::asking(uuid)).await.map(drop),
            Self::Approve => call
                .approve_transfer(request::approval(uuid))
                .await
                .map(drop),
            Self::Deny => call.deny_transfer(request::denial(uuid)).await.map(drop),
            Self::Start => call.start_transfer(request::starting(uuid)).await.map(drop),
            Self::UpdateProgress => {
                let report = request::reporting(uuid, totals(1));
                call.update_progress(report).await.map(drop)
            }
            Self::Complete => call
                .complete_transfer(request::completion(uuid))
                .await
                .map(drop),
            Self::Fail => call.fail_transfer(request::failure(uuid)).await.map(drop),
            Self::Cancel => call
                .cancel_transfer(request::cancellation(uuid))
                .await
                .map(drop),
            Self::Pause => call.pause_transfer(request::pause(uuid)).await.map(drop),
            Self::Resume => call
                .resume_transfer(request::resumption(uuid))
                .await
                .map(drop),
            Self::AcknowledgeStop => call
                .acknowledge_stop(request::acknowledgement(uuid))
                .await
                .map(drop),
            Self::Delete => call
                .delete_transfer(request::deletion(uuid))
                .await
                .map(drop),
        }
    }
}
