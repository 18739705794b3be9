//! The change that a client requests, in a form that can be repeated as it was, and what its failure means.

use std::time::Duration;

use tidegate_domain::{event::EventType, status::TransferStatus};
use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::checker::Totals;

/// A change with everything that it says.
#[derive(Clone, Debug)]
pub enum ChangeRequest {
    /// `CreateTransfer`.
    Create(v1::CreateTransferRequest),
    /// `RequestApproval`.
    RequestApproval(v1::RequestApprovalRequest),
    /// `ApproveTransfer`.
    Approve(v1::ApproveTransferRequest),
    /// `DenyTransfer`.
    Deny(v1::DenyTransferRequest),
    /// `StartTransfer`.
    Start(v1::StartTransferRequest),
    /// `UpdateProgress`.
    Progress(v1::UpdateProgressRequest),
    /// `CompleteTransfer`.
    Complete(v1::CompleteTransferRequest),
    /// `FailTransfer`.
    Fail(v1::FailTransferRequest),
    /// `CancelTransfer`.
    Cancel(v1::CancelTransferRequest),
    /// `DeleteTransfer`.
    Delete(v1::DeleteTransferRequest),
}

impl ChangeRequest {
    /// The request's id and the transition that it asks for; none for progress.
    pub fn transition(&self) -> Option<(&str, EventType)> {
        Some(match self {
            Self::Create(request) => (&request.request_id, EventType::Created),
            Self::RequestApproval(request) => (&request.request_id, EventType::ApprovalRequested),
            Self::Approve(request) => (&request.request_id, EventType::Approved),
            Self::Deny(request) => (&request.request_id, EventType::Denied),
            Self::Start(request) => (&request.request_id, EventType::Started),
            Self::Progress(_) => return None,
            Self::Complete(request) => (&request.request_id, EventType::Completed),
            Self::Fail(request) => (&request.request_id, EventType::Failed),
            Self::Cancel(request) => (&request.request_id, EventType::Cancelled),
            Self::Delete(request) => (&request.request_id, EventType::Deleted),
        })
    }

    /// Sends it once. A deletion is answered without a transfer.
    ///
    /// # Errors
    /// The refusal, or that there was no answer within `deadline`, which the server is told.
    pub async fn send(
        &self,
        client: &mut TransferServiceClient<Channel>,
        deadline: Option<Duration>,
    ) -> Result<Option<v1::Transfer>, Status> {
        macro_rules! send {
            ($method:ident, $message:expr) => {{
                let mut request = Request::new($message);
                if let Some(deadline) = deadline {
                    request.set_timeout(deadline);
                }
                client.$method(request).await?.into_inner()
            }};
        }
        Ok(match self.clone() {
            Self::Create(message) => send!(create_transfer, message).transfer,
            Self::RequestApproval(message) => send!(request_approval, message).transfer,
            Self::Approve(message) => send!(approve_transfer, message).transfer,
            Self::Deny(message) => send!(deny_transfer, message).transfer,
            Self::Start(message) => send!(start_transfer, message).transfer,
            Self::Progress(message) => send!(update_progress, message).transfer,
            Self::Complete(message) => send!(complete_transfer, message).transfer,
            Self::Fail(message) => send!(fail_transfer, message).transfer,
            Self::Cancel(message) => send!(cancel_transfer, message).transfer,
            Self::Delete(message) => {
                send!(delete_transfer, message);
                None
            }
        })
    }
}

/// What it means that a call failed.
pub enum CallFailure {
    /// Nothing was changed: the rules say no.
    Refused,
    /// It may have happened or not: the server went away.
    Unknown,
    /// No server should say this here.
    Unexpected,
}

/// What a status means.
pub fn classify(status: &Status) -> CallFailure {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        return CallFailure::Unknown;
    };
    classify_reason(&info.reason)
}

/// What the reason of a status means.
pub fn classify_reason(reason: &str) -> CallFailure {
    match reason {
        "ILLEGAL_TRANSITION" | "TRANSFER_NOT_FOUND" | "APPROVAL_EXPIRED" | "APPROVAL_REQUIRED"
        | "PROGRESS_REGRESSED" => CallFailure::Refused,
        "DATABASE_UNAVAILABLE"
        | "DEADLINE_EXCEEDED"
        | "DATABASE_FULL"
        | "ROW_LOCKED"
        | "SHUTTING_DOWN"
        | "QUEUE_FULL" => CallFailure::Unknown,
        _ => CallFailure::Unexpected,
    }
}

/// The status in the words of the rules.
///
/// # Panics
/// When the server sent one that it should not.
pub fn status(wire: i32) -> Option<TransferStatus> {
    let name = v1::TransferStatus::try_from(wire)
        .expect("a status of this version")
        .as_str_name();
    TransferStatus::parse(name.trim_start_matches("TRANSFER_STATUS_"))
}

/// The type of an event in the words of the rules.
///
/// # Panics
/// When the server sent one that it should not.
pub fn event_type(wire: i32) -> EventType {
    let name = v1::EventType::try_from(wire)
        .expect("a type of this version")
        .as_str_name();
    EventType::parse(name.trim_start_matches("EVENT_TYPE_")).expect("a type that is sent")
}

/// The totals of a transfer, all of which are always there.
///
/// # Panics
/// When one is not.
pub fn totals(transfer: &v1::Transfer) -> Totals {
    let progress = transfer
        .progress
        .as_ref()
        .expect("progress is always present");
    [
        progress.records_transferred,
        progress.records_created,
        progress.records_updated,
        progress.records_skipped,
        progress.records_failed,
        progress.bytes_transferred,
    ]
    .map(|total| total.expect("every total is always present"))
}

/// Totals in the form of a request.
pub fn progress(totals: Totals) -> v1::Progress {
    let [transferred, created, updated, skipped, failed, bytes] = totals.map(Some);
    v1::Progress {
        records_transferred: transferred,
        records_created: created,
        records_updated: updated,
        records_skipped: skipped,
        records_failed: failed,
        bytes_transferred: bytes,
        phase: 0,
    }
}
