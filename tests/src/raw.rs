//! The generated clients of every service on one connection, and the steps that many tests begin with.
//!
//! Nothing here judges: what a step answers is given back as it came.

use std::time::Duration;

use tidegate_domain::time::Timestamp;
use tidegate_proto::v1::{
    self, TransferStatus, bulk_service_client::BulkServiceClient,
    connection_service_client::ConnectionServiceClient,
    credential_service_client::CredentialServiceClient, event_service_client::EventServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_server::clock::Clock;
use tonic::{Response, Status, transport::Channel};

use crate::{World, request};

/// Who decides in the tests.
pub const ADMIN: &str = "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b";
/// A well-formed uuid that no server has made.
pub const NOBODY: &str = "0190b7a2-0000-7000-8000-000000000000";

/// All services on one connection.
#[derive(Clone, Debug)]
pub struct Raw {
    /// `TransferService`.
    pub transfers: TransferServiceClient<Channel>,
    /// `EventService`.
    pub events: EventServiceClient<Channel>,
    /// `ConnectionService`.
    pub connections: ConnectionServiceClient<Channel>,
    /// `CredentialService`.
    pub credentials: CredentialServiceClient<Channel>,
    /// `BulkService`.
    pub bulks: BulkServiceClient<Channel>,
}

impl World {
    /// All services on a connection of their own.
    pub async fn services(&self) -> Raw {
        Raw::on(self.channel().await)
    }
}

/// An answer that carries a transfer.
pub trait WithTransfer {
    /// The transfer.
    fn into_transfer(self) -> Option<v1::Transfer>;
}

macro_rules! with_transfer {
    ($($response:ident)+) => {
        $(impl WithTransfer for v1::$response {
            fn into_transfer(self) -> Option<v1::Transfer> {
                self.transfer
            }
        })+
    };
}

with_transfer!(
    CreateTransferResponse GetTransferResponse StartTransferResponse UpdateProgressResponse
    CompleteTransferResponse FailTransferResponse CancelTransferResponse RequestApprovalResponse
    ApproveTransferResponse DenyTransferResponse WatchTransferResponse PauseTransferResponse
    ResumeTransferResponse AcknowledgeStopResponse RetryTransferResponse SubmitReceiptResponse
);

/// The transfer in the answer to `call`.
///
/// # Panics
/// When the call is refused or answered without one.
pub async fn done<T: WithTransfer>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> v1::Transfer {
    let answer = call.await.expect("the call is accepted");
    answer
        .into_inner()
        .into_transfer()
        .expect("the answer carries the transfer")
}

/// The answer to `call`.
///
/// # Panics
/// When it is refused.
pub async fn told<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> T {
    call.await.expect("the call is accepted").into_inner()
}

/// A request for a transfer with nothing but what is required.
pub fn plain() -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        direction: v1::Direction::Send.into(),
        table_name: "characters".to_owned(),
        ..v1::CreateTransferRequest::default()
    }
}

/// What an event tells where the caller said something.
pub fn said(text: &str) -> Option<v1::event::Detail> {
    let text = text.to_owned();
    Some(v1::event::Detail::Comment(v1::CommentDetail { text }))
}

/// What an event tells of a transfer that was stopped while nobody ran it.
pub fn stopped(reason: &str) -> Option<v1::event::Detail> {
    Some(v1::event::Detail::Stop(v1::StopDetail {
        cause: v1::StopCause::Request.into(),
        reason: reason.to_owned(),
        expires_at: None,
        forced: false,
    }))
}

/// Totals with so many records, all of them created, and ten bytes each.
pub fn totals(records: i64) -> v1::Progress {
    v1::Progress {
        records_transferred: Some(records),
        records_created: Some(records),
        records_updated: Some(0),
        records_skipped: Some(0),
        records_failed: Some(0),
        bytes_transferred: Some(records * 10),
        phase: 0,
    }
}

/// A transfer as it is while it runs and nothing is known of its pace yet.
pub fn under_way(transfer: v1::Transfer, since: Option<prost_types::Timestamp>) -> v1::Transfer {
    v1::Transfer {
        estimate_unknown_reason: v1::EstimateUnknownReason::TotalUnknown.into(),
        health: v1::TransferHealth::Healthy.into(),
        health_since: since,
        ..transfer
    }
}

/// A transfer as it is while it does not run, with the average of its run in records and bytes a second.
pub fn at_rest(transfer: v1::Transfer, average: Option<(f64, f64)>) -> v1::Transfer {
    v1::Transfer {
        estimate_unknown_reason: v1::EstimateUnknownReason::NotRunning.into(),
        health: 0,
        health_since: None,
        records_per_second: average.map(|(records, _)| records),
        bytes_per_second: average.map(|(_, bytes)| bytes),
        ..transfer
    }
}

/// A time as the wire has it.
///
/// # Panics
/// Never: a microsecond is less than a second.
pub fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("below a second");
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos,
    }
}

/// A duration as the wire has it.
///
/// # Panics
/// When it is longer than the wire can tell.
pub fn wire_duration(duration: Duration) -> prost_types::Duration {
    duration
        .try_into()
        .expect("a duration of reasonable length")
}

impl Raw {
    /// All services on `channel`.
    pub fn on(channel: Channel) -> Self {
        Self {
            transfers: TransferServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel.clone()),
            connections: ConnectionServiceClient::new(channel.clone()),
            credentials: CredentialServiceClient::new(channel.clone()),
            bulks: BulkServiceClient::new(channel),
        }
    }

    /// A new transfer as `request` says.
    pub async fn create(&mut self, request: v1::CreateTransferRequest) -> v1::Transfer {
        done(self.transfers.create_transfer(request)).await
    }

    /// A new transfer with nothing but what is required.
    pub async fn declared(&mut self) -> v1::Transfer {
        self.create(plain()).await
    }

    /// A new connection's uuid.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connection(&mut self, name: &str) -> String {
        let request = v1::CreateConnectionRequest {
            name: name.to_owned(),
            direction: v1::ConnectionDirection::Sender.into(),
            site_url: "https://mirror.example".to_owned(),
            allow_duplicate: true,
            request_id: String::new(),
            ..Default::default()
        };
        let answer = self.connections.create_connection(request).await;
        let connection = answer
            .expect("the connection is accepted")
            .into_inner()
            .connection;
        connection.expect("the answer carries it").uuid
    }

    /// Asks for a decision on `uuid` within `expires_in`.
    pub async fn ask(&mut self, uuid: &str, expires_in: Duration) -> v1::Transfer {
        let request = v1::RequestApprovalRequest {
            expires_in: Some(wire_duration(expires_in)),
            ..request::asking(uuid)
        };
        done(self.transfers.request_approval(request)).await
    }

    /// Approves `uuid`.
    pub async fn approve(&mut self, uuid: &str) -> v1::Transfer {
        done(self.transfers.approve_transfer(request::approval(uuid))).await
    }

    /// Starts `uuid` without a heartbeat.
    pub async fn start(&mut self, uuid: &str) -> v1::Transfer {
        done(self.transfers.start_transfer(request::starting(uuid))).await
    }

    /// Reports so many records of `uuid`.
    pub async fn report(&mut self, uuid: &str, records: i64) -> v1::Transfer {
        let report = request::reporting(uuid, totals(records));
        done(self.transfers.update_progress(report)).await
    }

    /// Cancels `uuid`.
    pub async fn cancel(&mut self, uuid: &str) -> v1::Transfer {
        done(self.transfers.cancel_transfer(request::cancellation(uuid))).await
    }

    /// Completes `uuid` with so many records.
    pub async fn complete(&mut self, uuid: &str, records: i64) -> v1::Transfer {
        let request = v1::CompleteTransferRequest {
            progress: Some(totals(records)),
            ..request::completion(uuid)
        };
        done(self.transfers.complete_transfer(request)).await
    }

    /// Fails `uuid`.
    pub async fn fail(&mut self, uuid: &str) -> v1::Transfer {
        done(self.transfers.fail_transfer(request::failure(uuid))).await
    }

    /// Denies `uuid`.
    pub async fn deny(&mut self, uuid: &str) -> v1::Transfer {
        done(self.transfers.deny_transfer(request::denial(uuid))).await
    }

    /// Deletes `uuid`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn delete(&mut self, uuid: &str) {
        let deleted = self.transfers.delete_transfer(request::deletion(uuid));
        deleted.await.expect("the deletion is accepted");
    }

    /// A new transfer that is running.
    pub async fn running(&mut self) -> v1::Transfer {
        let uuid = self.declared().await.uuid;
        self.start(&uuid).await
    }

    /// A new transfer in `status`. For EXPIRED it moves `clock` by two seconds.
    ///
    /// # Panics
    /// When `status` is UNSPECIFIED.
    pub async fn standing(&mut self, status: TransferStatus, clock: &Clock) -> v1::Transfer {
        let declared = self.declared().await;
        self.bring(&declared.uuid, status, clock)
            .await
            .unwrap_or(declared)
    }

    /// Brings `uuid` from PENDING to `status`; `None` when it is there already.
    ///
    /// # Panics
    /// When `status` is UNSPECIFIED.
    pub async fn bring(
        &mut self,
        uuid: &str,
        status: TransferStatus,
        clock: &Clock,
    ) -> Option<v1::Transfer> {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        if matches!(
            status,
            TransferStatus::PendingApproval | TransferStatus::Approved | TransferStatus::Denied
        ) {
            let asked = self.ask(uuid, DAY).await;
            return Some(match status {
                TransferStatus::Approved => self.approve(uuid).await,
                TransferStatus::Denied => self.deny(uuid).await,
                _ => asked,
            });
        }
        if matches!(
            status,
            TransferStatus::InProgress | TransferStatus::Completed | TransferStatus::Failed
        ) {
            let started = self.start(uuid).await;
            return Some(match status {
                TransferStatus::Completed => self.complete(uuid, 1).await,
                TransferStatus::Failed => self.fail(uuid).await,
                _ => started,
            });
        }
        match status {
            TransferStatus::Pending => None,
            TransferStatus::Cancelled => Some(self.cancel(uuid).await),
            TransferStatus::Expired => {
                self.ask(uuid, Duration::from_secs(1)).await;
                clock.advance(Duration::from_secs(2));
                let request = v1::ExpirePendingApprovalsRequest::default();
                let swept = self.transfers.expire_pending_approvals(request).await;
                swept.expect("the sweep is accepted");
                Some(self.now(uuid).await)
            }
            other => panic!("nothing leads to {other:?}"),
        }
    }

    /// The transfer as it is now.
    pub async fn now(&mut self, uuid: &str) -> v1::Transfer {
        let request = v1::GetTransferRequest {
            uuid: uuid.to_owned(),
            preload: Vec::new(),
        };
        done(self.transfers.get_transfer(request)).await
    }

    /// How many transfers there are.
    ///
    /// # Panics
    /// When the question is refused.
    pub async fn count(&mut self) -> i64 {
        let answer = self
            .transfers
            .count_transfers(v1::CountTransfersRequest::default())
            .await;
        answer.expect("counting is accepted").into_inner().count
    }

    /// The events of one transfer.
    pub async fn events_of(&mut self, uuid: &str) -> Vec<v1::Event> {
        self.all_events(v1::ListEventsRequest {
            transfer_uuid: uuid.to_owned(),
            ..v1::ListEventsRequest::default()
        })
        .await
    }

    /// The whole log.
    pub async fn log(&mut self) -> Vec<v1::Event> {
        self.all_events(v1::ListEventsRequest::default()).await
    }

    /// Every event that `request` means, page after page.
    ///
    /// # Panics
    /// When a page is refused.
    pub async fn all_events(&mut self, request: v1::ListEventsRequest) -> Vec<v1::Event> {
        let mut events: Vec<v1::Event> = Vec::new();
        loop {
            let after_sequence = events
                .last()
                .map_or(request.after_sequence, |last| last.sequence);
            let page = v1::ListEventsRequest {
                after_sequence,
                page_size: 1_000,
                ..request.clone()
            };
            let answer = self
                .events
                .list_events(page)
                .await
                .expect("listing events is accepted");
            let page = answer.into_inner().events;
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }
}
