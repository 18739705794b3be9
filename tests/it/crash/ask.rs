//! What a client asks for, in a form that can be repeated word for word, and what its refusal means.

use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tidegate_server::domain::{event::EventAction, status::TransferStatus};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::checker::Totals;

/// A change with everything that it says.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Create(v1::CreateTransferRequest),
    RequestApproval(v1::RequestApprovalRequest),
    Approve(v1::ApproveTransferRequest),
    Deny(v1::DenyTransferRequest),
    Start(v1::StartTransferRequest),
    Progress(v1::UpdateProgressRequest),
    Complete(v1::CompleteTransferRequest),
    Fail(v1::FailTransferRequest),
    Cancel(v1::CancelTransferRequest),
    Delete(v1::DeleteTransferRequest),
}

impl Ask {
    /// The request's id and the transition that it asks for; none for progress.
    pub(super) fn transition(&self) -> Option<(&str, EventAction)> {
        Some(match self {
            Self::Create(request) => (&request.request_id, EventAction::Created),
            Self::RequestApproval(request) => (&request.request_id, EventAction::ApprovalRequested),
            Self::Approve(request) => (&request.request_id, EventAction::Approved),
            Self::Deny(request) => (&request.request_id, EventAction::Denied),
            Self::Start(request) => (&request.request_id, EventAction::Started),
            Self::Progress(_) => return None,
            Self::Complete(request) => (&request.request_id, EventAction::Completed),
            Self::Fail(request) => (&request.request_id, EventAction::Failed),
            Self::Cancel(request) => (&request.request_id, EventAction::Cancelled),
            Self::Delete(request) => (&request.request_id, EventAction::Deleted),
        })
    }

    /// Sends it once. A deletion is answered without a transfer.
    pub(super) async fn send(
        &self,
        client: &mut TransferServiceClient<Channel>,
    ) -> Result<Option<v1::Transfer>, Status> {
        Ok(match self.clone() {
            Self::Create(request) => client.create_transfer(request).await?.into_inner().transfer,
            Self::RequestApproval(request) => {
                client
                    .request_approval(request)
                    .await?
                    .into_inner()
                    .transfer
            }
            Self::Approve(request) => {
                client
                    .approve_transfer(request)
                    .await?
                    .into_inner()
                    .transfer
            }
            Self::Deny(request) => client.deny_transfer(request).await?.into_inner().transfer,
            Self::Start(request) => client.start_transfer(request).await?.into_inner().transfer,
            Self::Progress(request) => client.update_progress(request).await?.into_inner().transfer,
            Self::Complete(request) => {
                client
                    .complete_transfer(request)
                    .await?
                    .into_inner()
                    .transfer
            }
            Self::Fail(request) => client.fail_transfer(request).await?.into_inner().transfer,
            Self::Cancel(request) => client.cancel_transfer(request).await?.into_inner().transfer,
            Self::Delete(request) => {
                client.delete_transfer(request).await?;
                None
            }
        })
    }
}

/// What it means that a call was not answered with success.
pub(super) enum Refusal {
    /// Nothing was changed: the rules say no.
    Certain,
    /// It may have happened or not: the server went away.
    Unknown,
    /// No server of ours should say this here.
    Surprise,
}

/// Reads a status.
pub(super) fn refusal(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        return Refusal::Unknown;
    };
    match info.reason.as_str() {
        "ILLEGAL_TRANSITION" | "TRANSFER_NOT_FOUND" | "APPROVAL_EXPIRED" => Refusal::Certain,
        "DATABASE_UNAVAILABLE" | "SHUTTING_DOWN" => Refusal::Unknown,
        _ => Refusal::Surprise,
    }
}

/// The status in the words of the rules.
///
/// # Panics
/// When the server sent one that it should not.
pub(super) fn status(wire: i32) -> Option<TransferStatus> {
    let name = v1::TransferStatus::try_from(wire)
        .expect("a status of this version")
        .as_str_name();
    TransferStatus::parse(name.trim_start_matches("TRANSFER_STATUS_"))
}

/// The action in the words of the rules.
///
/// # Panics
/// When the server sent one that it should not.
pub(super) fn action(wire: i32) -> EventAction {
    let name = v1::TransferEventAction::try_from(wire)
        .expect("an action of this version")
        .as_str_name();
    EventAction::parse(name.trim_start_matches("TRANSFER_EVENT_ACTION_"))
        .expect("an action that is sent")
}

/// The totals of a transfer, all of which are always there.
///
/// # Panics
/// When one is not.
pub(super) fn totals(transfer: &v1::Transfer) -> Totals {
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
pub(super) fn progress(totals: Totals) -> v1::Progress {
    let [transferred, created, updated, skipped, failed, bytes] = totals.map(Some);
    v1::Progress {
        records_transferred: transferred,
        records_created: created,
        records_updated: updated,
        records_skipped: skipped,
        records_failed: failed,
        bytes_transferred: bytes,
    }
}
