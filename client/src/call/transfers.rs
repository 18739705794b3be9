//! Declaring, finding and deleting transfers.

use chrono::{DateTime, Utc};
use std::{future::IntoFuture, net::IpAddr};

use futures_util::{Stream, future::BoxFuture};
use serde_json::{Map, Value};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request, with_connection};
use crate::{
    Client, ConflictStrategy, Direction, Error, Explanation, SortOrder, Transfer, TransferFilter,
    Transfers, convert, model::Wire as _, transport::Stubs,
};

request! {
    /// Declares a transfer; made by [`Transfers::create`].
    change CreateTransfer(CreateTransferRequest) by transfers.create_transfer,
    CreateTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Tries a transfer again; made by [`Transfers::retry`].
    change RetryTransfer(RetryTransferRequest) by transfers.retry_transfer,
    RetryTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Asks for one transfer; made by [`Transfers::get`].
    read GetTransfer(GetTransferRequest) by transfers.get_transfer,
    GetTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Asks why a transfer stands where it does; made by [`Transfers::explain`].
    read ExplainTransfer(ExplainTransferRequest) by transfers.explain_transfer,
    ExplainTransferResponse => Explanation { |answer| convert::explanation(answer) }
}

request! {
    /// Lists transfers; made by [`Transfers::list`].
    read ListTransfers(ListTransfersRequest) by transfers.list_transfers,
    ListTransfersResponse => Page<Transfer> {
        |answer| convert::page(answer.transfers, answer.next_page_token, convert::present_transfer)
    }
}

request! {
    /// Counts transfers; made by [`Transfers::count`].
    read CountTransfers(CountTransfersRequest) by transfers.count_transfers,
    CountTransfersResponse => i64 { |answer| Ok(answer.count) }
}

request! {
    /// Deletes a transfer; made by [`Transfers::delete`].
    change DeleteTransfer(DeleteTransferRequest) by transfers.delete_transfer,
    DeleteTransferResponse => () { |_answer| Ok(()) }
}

with_connection!(GetTransfer, ListTransfers);
pages!(ListTransfers of Transfer { skip });

impl Transfers {
    /// Declares a transfer of `table_name`, at most 255 characters. Its status is `Pending`, its progress 0.
    ///
    /// Refused: bad fields, all at once, with `INVALID_ARGUMENT`; an unknown connection or transfer to retry with
    /// `NOT_FOUND`.
    pub fn create(&self, direction: Direction, table_name: impl Into<String>) -> CreateTransfer {
        CreateTransfer {
            client: self.client.clone(),
            message: v1::CreateTransferRequest {
                direction: direction.to_wire(),
                table_name: table_name.into(),
                ..v1::CreateTransferRequest::default()
            },
        }
    }

    /// Declares another try of a transfer that has ended, from its checkpoint unless it is complete; at most one of each.
    ///
    /// Refused: one that has not ended, or was tried again already, with `RETRY_NOT_ALLOWED`; otherwise as
    /// [`create`](Self::create).
    pub fn retry(&self, uuid: Uuid) -> RetryTransfer {
        RetryTransfer {
            client: self.client.clone(),
            message: v1::RetryTransferRequest {
                uuid: uuid.to_string(),
                request_id: String::new(),
            },
        }
    }

    /// Asks for one transfer. Refused with `NOT_FOUND` when there is none.
    pub fn get(&self, uuid: Uuid) -> GetTransfer {
        GetTransfer {
            client: self.client.clone(),
            message: v1::GetTransferRequest {
                uuid: uuid.to_string(),
                preload: Vec::new(),
            },
        }
    }

    /// Asks why a transfer stands where it does: all that keeps it from being started, who may decide on it, and what the
    /// server will do about it by itself. Refused with `NOT_FOUND` when there is none.
    pub fn explain(&self, uuid: Uuid) -> ExplainTransfer {
        ExplainTransfer {
            client: self.client.clone(),
            message: v1::ExplainTransferRequest {
                uuid: uuid.to_string(),
                address: String::new(),
            },
        }
    }

    /// Lists transfers, newest first unless told otherwise, in pages that neither skip nor repeat one while others come
    /// and go.
    pub fn list(&self) -> ListTransfers {
        ListTransfers {
            client: self.client.clone(),
            message: v1::ListTransfersRequest::default(),
        }
    }

    /// Counts the transfers that a filter means; all of them without one.
    pub fn count(&self) -> CountTransfers {
        CountTransfers {
            client: self.client.clone(),
            message: v1::CountTransfersRequest::default(),
        }
    }

    /// Deletes a transfer in a terminal status; its events stay. Refused with `ILLEGAL_TRANSITION` in any other status.
    pub fn delete(&self, uuid: Uuid) -> DeleteTransfer {
        DeleteTransfer {
            client: self.client.clone(),
            message: v1::DeleteTransferRequest {
                uuid: uuid.to_string(),
                request_id: String::new(),
            },
        }
    }
}

impl ExplainTransfer {
    /// The address that it would be started from; the caller's own unless set.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.message.address = address.to_string();
        self
    }
}

impl CreateTransfer {
    /// The connection that the transfer belongs to.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Short code of the session that asks for it, at most 20 characters.
    pub fn session_code(mut self, code: impl Into<String>) -> Self {
        self.message.session_code = code.into();
        self
    }

    /// Address of the other site: an http or https URL of at most 255 characters.
    pub fn remote_site_url(mut self, url: impl Into<String>) -> Self {
        self.message.remote_site_url = url.into();
        self
    }

    /// Rows that are expected to be moved; 0, the default, when unknown.
    pub fn records_requested(mut self, rows: i64) -> Self {
        self.message.records_requested = rows;
        self
    }

    /// What to do with rows that the target already holds.
    pub fn conflict_strategy(mut self, strategy: ConflictStrategy) -> Self {
        self.message.conflict_strategy = strategy.to_wire();
        self
    }

    /// Whether the transfer may start only after an approval; it may at once by default.
    pub fn requires_approval(mut self, required: bool) -> Self {
        self.message.requires_approval = required;
        self
    }

    /// IP address of whoever asks for it, kept as a claim beside the address that the server sees; none by default.
    pub fn requester_ip(mut self, address: impl Into<String>) -> Self {
        self.message.requester_ip = address.into();
        self
    }

    /// User agent of whoever asks for it, at most 255 characters; the caller's own by default.
    pub fn requester_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.message.requester_user_agent = user_agent.into();
        self
    }

    /// The person or agent on whose behalf it is created.
    pub fn initiated_by_uuid(mut self, uuid: Uuid) -> Self {
        self.message.initiated_by_uuid = uuid.to_string();
        self
    }

    /// Notes of the caller's own, at most 16 KiB as JSON and 16 levels deep. Numbers go through a double.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.message.metadata = Some(convert::to_struct(metadata));
        self
    }

    /// How often it may be started in all before a lost heartbeat fails it: 1 to 100. By default as the connection's policy
    /// says, or else once.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.message.max_attempts = convert::count(attempts);
        self
    }

    /// Which of several is claimed first: -100 to 100, the highest first, 0 by default. A retry inherits it.
    pub fn priority(mut self, priority: i32) -> Self {
        self.message.priority = priority;
        self
    }

    /// When it may be started at the earliest; at once by default.
    pub fn not_before(mut self, time: DateTime<Utc>) -> Self {
        self.message.not_before = Some(convert::to_timestamp(time));
        self
    }

    /// When it has to be started for the first time; otherwise it expires. In the future, and after `not_before`. A policy
    /// can set an earlier time.
    pub fn start_by(mut self, time: DateTime<Utc>) -> Self {
        self.message.start_by = Some(convert::to_timestamp(time));
        self
    }

    /// When it has to be at its end: whoever runs it then is asked to stop. In the future, and after `start_by` and
    /// `not_before`. A policy can set an earlier time.
    pub fn finish_by(mut self, time: DateTime<Utc>) -> Self {
        self.message.finish_by = Some(convert::to_timestamp(time));
        self
    }

    /// The movement that it is one side of: any uuid that both sides agree upon. By default its own, or with
    /// `retry_of_uuid` that of the earlier one.
    pub fn correlation_uuid(mut self, uuid: Uuid) -> Self {
        self.message.correlation_uuid = uuid.to_string();
        self
    }

    /// What to group it by: any uuid.
    pub fn plan_uuid(mut self, uuid: Uuid) -> Self {
        self.message.plan_uuid = uuid.to_string();
        self
    }

    /// The transfer that this one tries again.
    pub fn retry_of_uuid(mut self, uuid: Uuid) -> Self {
        self.message.retry_of_uuid = uuid.to_string();
        self
    }
}

impl ListTransfers {
    /// Only the transfers that the filter means.
    pub fn filter(mut self, filter: TransferFilter) -> Self {
        self.message.filter = Some(convert::to_filter(filter));
        self
    }

    /// Passes over so many transfers first, at most 100,000. Counts from where a page token goes on, if there is one.
    pub fn skip(mut self, transfers: u32) -> Self {
        self.message.skip = convert::count(transfers);
        self
    }

    /// Newest first by default.
    pub fn order(mut self, order: SortOrder) -> Self {
        self.message.order = order.to_wire();
        self
    }
}

impl CountTransfers {
    /// Only the transfers that the filter means.
    pub fn filter(mut self, filter: TransferFilter) -> Self {
        self.message.filter = Some(convert::to_filter(filter));
        self
    }
}
