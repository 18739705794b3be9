//! Bulk operations, which the server carries out and keeps track of.

use std::{future::IntoFuture, time::Duration};

use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request};
use crate::{
    Bulk, BulkOperation, BulkOutcome, BulkPreview, BulkResult, BulkVerb, Client, Error,
    TransferFilter, convert, model::Wire as _, transport::Stubs,
};

request! {
    /// Starts a bulk operation; made by [`Bulk::start`] and [`Bulk::start_on_all`].
    change StartBulkOperation(StartBulkOperationRequest) by bulks.start_bulk_operation,
    StartBulkOperationResponse => BulkOperation { |answer| convert::bulk_operation(answer.operation) }
}

/// Says what a bulk operation would cover, and starts nothing; made by [`StartBulkOperation::dry_run`].
#[derive(Clone, Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct PreviewBulkOperation {
    start: StartBulkOperation,
}

impl IntoFuture for PreviewBulkOperation {
    type Output = Result<BulkPreview, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Sends the request.
    fn into_future(self) -> Self::IntoFuture {
        let StartBulkOperation {
            client,
            mut message,
        } = self.start;
        message.dry_run = true;
        Box::pin(async move { convert::bulk_preview(client.call(message).await?) })
    }
}

request! {
    /// Asks for one bulk operation; made by [`Bulk::get`].
    read GetBulkOperation(GetBulkOperationRequest) by bulks.get_bulk_operation,
    GetBulkOperationResponse => BulkOperation { |answer| convert::bulk_operation(answer.operation) }
}

request! {
    /// Lists bulk operations; made by [`Bulk::list`].
    read ListBulkOperations(ListBulkOperationsRequest) by bulks.list_bulk_operations,
    ListBulkOperationsResponse => Page<BulkOperation> {
        |answer| convert::page(answer.operations, answer.next_page_token, convert::present_bulk_operation)
    }
}

pages!(ListBulkOperations of BulkOperation {});

request! {
    /// Lists what came of the transfers of a bulk operation; made by [`Bulk::outcomes`].
    read ListBulkOutcomes(ListBulkOutcomesRequest) by bulks.list_bulk_outcomes,
    ListBulkOutcomesResponse => Page<BulkOutcome> {
        |answer| convert::page(answer.outcomes, answer.next_page_token, convert::bulk_outcome)
    }
}

pages!(ListBulkOutcomes of BulkOutcome {});

request! {
    /// Stops a bulk operation; made by [`Bulk::stop`].
    change StopBulkOperation(StopBulkOperationRequest) by bulks.stop_bulk_operation,
    StopBulkOperationResponse => BulkOperation { |answer| convert::bulk_operation(answer.operation) }
}

impl Bulk {
    /// Does `verb` to every transfer that `filter` means, which needs at least one condition. Where it names no status,
    /// those are meant that the verb is for: what has not ended is cancelled, what has ended is deleted, and what has
    /// failed is tried again. For admins alone. The operation goes on whether or not anybody waits for it.
    pub fn start(&self, verb: BulkVerb, filter: &TransferFilter) -> StartBulkOperation {
        StartBulkOperation {
            client: self.client.clone(),
            message: v1::StartBulkOperationRequest {
                verb: verb.to_wire(),
                filter: Some(convert::to_filter(filter.clone())),
                ..Default::default()
            },
        }
    }

    /// As [`start`](Self::start), for every transfer that the verb is for.
    pub fn start_on_all(&self, verb: BulkVerb) -> StartBulkOperation {
        StartBulkOperation {
            client: self.client.clone(),
            message: v1::StartBulkOperationRequest {
                verb: verb.to_wire(),
                all: true,
                ..Default::default()
            },
        }
    }

    /// Asks for one operation. Refused with `BULK_OPERATION_NOT_FOUND` when there is none.
    pub fn get(&self, uuid: Uuid) -> GetBulkOperation {
        GetBulkOperation {
            client: self.client.clone(),
            message: v1::GetBulkOperationRequest {
                uuid: uuid.to_string(),
            },
        }
    }

    /// Lists operations, newest first.
    pub fn list(&self) -> ListBulkOperations {
        ListBulkOperations {
            client: self.client.clone(),
            message: v1::ListBulkOperationsRequest::default(),
        }
    }

    /// Lists what came of the transfers of an operation, in the order of their turns.
    pub fn outcomes(&self, uuid: Uuid) -> ListBulkOutcomes {
        ListBulkOutcomes {
            client: self.client.clone(),
            message: v1::ListBulkOutcomesRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Stops an operation: no further transfer is changed once this is answered. What was done stays done. Does nothing to
    /// one that has ended.
    pub fn stop(&self, uuid: Uuid) -> StopBulkOperation {
        StopBulkOperation {
            client: self.client.clone(),
            message: v1::StopBulkOperationRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }
}

impl StartBulkOperation {
    /// Why transfers are cancelled, in at most 1,000 characters. For a cancellation alone.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }

    /// As [`CancelTransfer::grace`](crate::CancelTransfer::grace), for a cancellation alone.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.message.grace = Some(convert::to_duration(grace));
        self
    }

    /// Starts nothing, and asks what would be covered.
    pub fn dry_run(self) -> PreviewBulkOperation {
        PreviewBulkOperation { start: self }
    }
}

impl ListBulkOutcomes {
    /// Only this result.
    pub fn result(mut self, result: BulkResult) -> Self {
        self.message.result = result.to_wire();
        self
    }
}
