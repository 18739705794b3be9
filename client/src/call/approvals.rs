//! Deciding whether a transfer may start.

use std::{future::IntoFuture, time::Duration};

use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request, with_connection};
use crate::{Approvals, Client, Error, Transfer, convert, transport::Stubs};

request! {
    /// Asks for a decision; made by [`Approvals::request`].
    change RequestApproval(RequestApprovalRequest) by transfers.request_approval,
    RequestApprovalResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Approves a transfer; made by [`Approvals::approve`].
    change ApproveTransfer(ApproveTransferRequest) by transfers.approve_transfer,
    ApproveTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Denies a transfer; made by [`Approvals::deny`].
    change DenyTransfer(DenyTransferRequest) by transfers.deny_transfer,
    DenyTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Expires what is overdue; made by [`Approvals::expire_pending`].
    change ExpirePendingApprovals(ExpirePendingApprovalsRequest) by transfers.expire_pending_approvals,
    ExpirePendingApprovalsResponse => i64 { |answer| Ok(answer.expired_count) }
}

request! {
    /// Lists what awaits a decision; made by [`Approvals::list_pending`].
    read ListPendingApprovals(ListPendingApprovalsRequest) by transfers.list_pending_approvals,
    ListPendingApprovalsResponse => Page<Transfer> {
        |answer| convert::page(answer.transfers, answer.next_page_token, convert::present_transfer)
    }
}

with_connection!(ListPendingApprovals);
pages!(ListPendingApprovals of Transfer {});

impl Approvals {
    /// Asks for a decision on a transfer that is `Pending`; from then on it requires approval.
    pub fn request(&self, uuid: Uuid) -> RequestApproval {
        RequestApproval {
            client: self.client.clone(),
            message: v1::RequestApprovalRequest {
                uuid: uuid.to_string(),
                ..v1::RequestApprovalRequest::default()
            },
        }
    }

    /// Approves a transfer that is `PendingApproval`, as the caller; for somebody else with
    /// [`on_behalf_of`](ApproveTransfer::on_behalf_of).
    ///
    /// At or after its deadline it is refused with `APPROVAL_EXPIRED`, and the transfer is `Expired`.
    pub fn approve(&self, uuid: Uuid) -> ApproveTransfer {
        ApproveTransfer {
            client: self.client.clone(),
            message: v1::ApproveTransferRequest {
                uuid: uuid.to_string(),
                ..v1::ApproveTransferRequest::default()
            },
        }
    }

    /// Denies a transfer that is `PendingApproval`, as the caller; for somebody else with
    /// [`on_behalf_of`](DenyTransfer::on_behalf_of).
    ///
    /// At or after its deadline it is refused with `APPROVAL_EXPIRED`, and the transfer is `Expired`.
    pub fn deny(&self, uuid: Uuid) -> DenyTransfer {
        DenyTransfer {
            client: self.client.clone(),
            message: v1::DenyTransferRequest {
                uuid: uuid.to_string(),
                ..v1::DenyTransferRequest::default()
            },
        }
    }

    /// Expires every transfer whose approval deadline has passed, as the server does by itself from time to time, and
    /// answers how many there were.
    pub fn expire_pending(&self) -> ExpirePendingApprovals {
        ExpirePendingApprovals {
            client: self.client.clone(),
            message: v1::ExpirePendingApprovalsRequest::default(),
        }
    }

    /// Lists transfers that await a decision, nearest deadline first, without those past it.
    pub fn list_pending(&self) -> ListPendingApprovals {
        ListPendingApprovals {
            client: self.client.clone(),
            message: v1::ListPendingApprovalsRequest::default(),
        }
    }
}

impl RequestApproval {
    /// Time left to decide: 1 s to 90 days; 24 h by default.
    pub fn expires_in(mut self, time_left: Duration) -> Self {
        self.message.expires_in = Some(convert::to_duration(time_left));
        self
    }
}

impl ApproveTransfer {
    /// Who approves, when it is not the caller: only a credential that acts for others may say so, any other is refused
    /// with `ACTOR_MISMATCH`. A server that requires no authentication knows no caller, and has to be told.
    pub fn on_behalf_of(mut self, person: Uuid) -> Self {
        self.message.admin_user_uuid = person.to_string();
        self
    }

    /// The revision that was looked at: when the transfer has another one, it is refused with `STALE_REVISION`. Without
    /// it the decision is about whichever is current.
    pub fn revision(mut self, revision: i64) -> Self {
        self.message.revision = Some(revision);
        self
    }

    /// A remark for the log, in at most 1,000 characters.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.message.comment = comment.into();
        self
    }
}

impl DenyTransfer {
    /// Who denies, when it is not the caller: only a credential that acts for others may say so, any other is refused
    /// with `ACTOR_MISMATCH`. A server that requires no authentication knows no caller, and has to be told.
    pub fn on_behalf_of(mut self, person: Uuid) -> Self {
        self.message.admin_user_uuid = person.to_string();
        self
    }

    /// The revision that was looked at: when the transfer has another one, it is refused with `STALE_REVISION`. Without
    /// it the decision is about whichever is current.
    pub fn revision(mut self, revision: i64) -> Self {
        self.message.revision = Some(revision);
        self
    }

    /// Why, in at most 1,000 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }
}

impl ListPendingApprovals {
    /// Only those of this connection.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Only those of this table, by exact name.
    pub fn table_name(mut self, name: impl Into<String>) -> Self {
        self.message.table_name = name.into();
        self
    }
}
