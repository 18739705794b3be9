//! A client that runs transfer after transfer, at random but by a seed, and records every answer.

use std::sync::Arc;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tidegate_domain::status::TransferStatus;
use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use super::Load;
use crate::{
    change::{self, ChangeRequest},
    checker::Totals,
};

mod calls;

const APPROVER: &str = "00000000-0000-4000-8000-000000000001";

/// One client.
pub(super) struct LoadClient {
    load: Arc<Load>,
    number: u64,
    /// One for each replica.
    clients: Vec<TransferServiceClient<Channel>>,
    random: StdRng,
}

impl LoadClient {
    /// A client of the replicas at `addresses`.
    ///
    /// # Panics
    /// When one of them is none.
    pub(super) fn new(load: Arc<Load>, addresses: &[String], number: u64, seed: u64) -> Self {
        let client = |address: &String| {
            let endpoint = Endpoint::from_shared(address.clone()).expect("a valid address");
            TransferServiceClient::new(endpoint.connect_lazy())
        };
        Self {
            load,
            number,
            clients: addresses.iter().map(client).collect(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Runs until it is stopped.
    pub(super) async fn run(mut self) {
        while !self.load.stop.is_cancelled() {
            self.run_transfer().await;
            if self.chance(20) {
                self.cancel_any().await;
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn request_id(&mut self) -> String {
        Uuid::from_u128(self.random.random()).to_string()
    }

    /// One transfer, from its creation as far as it comes.
    async fn run_transfer(&mut self) -> Option<()> {
        let create = v1::CreateTransferRequest {
            direction: v1::Direction::Receive.into(),
            table_name: format!("table_{}", self.random.random_range(0..50)),
            requires_approval: self.chance(30),
            request_id: self.request_id(),
            ..Default::default()
        };
        let needs_approval = create.requires_approval;
        let uuid = self.send(ChangeRequest::Create(create)).await?.uuid;
        self.load.record().recent.push(uuid.clone());
        if needs_approval || self.chance(20) {
            self.approval(&uuid).await?;
        }
        // Now and then one whose agent falls silent, for the sweeper.
        let silent = self.chance(5);
        let heartbeat_timeout = silent.then_some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        });
        let request_id = self.request_id();
        self.send(ChangeRequest::Start(v1::StartTransferRequest {
            agent_instance: String::new(),
            uuid: uuid.clone(),
            heartbeat_timeout,
            request_id,
        }))
        .await?;
        if silent {
            return None;
        }
        let totals = self.report_progress(&uuid).await?;
        let ended = self.finish(&uuid, totals).await?;
        if change::status(ended.status).is_some_and(TransferStatus::is_terminal) && self.chance(20)
        {
            let request_id = self.request_id();
            self.send(ChangeRequest::Delete(v1::DeleteTransferRequest {
                uuid,
                request_id,
            }))
            .await;
        }
        Some(())
    }

    /// `None` when it may not start.
    async fn approval(&mut self, uuid: &str) -> Option<()> {
        let (uuid, admin_user_uuid) = (uuid.to_owned(), APPROVER.to_owned());
        let request_id = self.request_id();
        let expires_in = self.chance(5).then_some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        });
        let expires = expires_in.is_some();
        self.send(ChangeRequest::RequestApproval(v1::RequestApprovalRequest {
            uuid: uuid.clone(),
            expires_in,
            request_id,
        }))
        .await?;
        if expires {
            return None;
        }
        let request_id = self.request_id();
        match self.random.random_range(0..10) {
            0 => {
                let reason = "not today".to_owned();
                self.send(ChangeRequest::Deny(v1::DenyTransferRequest {
                    uuid,
                    admin_user_uuid,
                    reason,
                    request_id,
                    ..Default::default()
                }))
                .await;
                None
            }
            1 => {
                self.send(ChangeRequest::Cancel(v1::CancelTransferRequest {
                    uuid,
                    request_id,
                    ..Default::default()
                }))
                .await;
                None
            }
            _ => {
                let approve = v1::ApproveTransferRequest {
                    uuid,
                    admin_user_uuid,
                    request_id,
                    ..Default::default()
                };
                self.send(ChangeRequest::Approve(approve)).await.map(|_| ())
            }
        }
    }

    /// Some progress, by single calls or on a stream.
    async fn report_progress(&mut self, uuid: &str) -> Option<Totals> {
        let mut totals = [0; 6];
        if self.chance(50) {
            self.stream(uuid, &mut totals).await;
            return Some(totals);
        }
        for _ in 0..self.random.random_range(1..5) {
            self.grow(&mut totals);
            let report = v1::UpdateProgressRequest {
                lease_epoch: 0,
                uuid: uuid.to_owned(),
                progress: Some(change::progress(totals)),
                checkpoint: Some(totals[0].to_string().into_bytes()),
                request_id: String::new(),
                record_problems: Vec::new(),
            };
            self.send(ChangeRequest::Progress(report)).await?;
        }
        if self.chance(20) {
            // Less than before, which must be refused.
            let report = v1::UpdateProgressRequest {
                lease_epoch: 0,
                uuid: uuid.to_owned(),
                progress: Some(change::progress(totals.map(|total| total / 2))),
                ..v1::UpdateProgressRequest::default()
            };
            self.send(ChangeRequest::Progress(report)).await;
        }
        Some(totals)
    }

    fn grow(&mut self, totals: &mut Totals) {
        let [transferred, outcomes @ .., bytes] = totals;
        for total in outcomes {
            let more = self.random.random_range(0..1_000);
            *total += more;
            *transferred += more;
        }
        *bytes += self.random.random_range(0..1_000);
    }

    async fn finish(&mut self, uuid: &str, mut totals: Totals) -> Option<v1::Transfer> {
        self.grow(&mut totals);
        let (uuid, request_id) = (uuid.to_owned(), self.request_id());
        let progress = Some(change::progress(totals));
        let change = match self.random.random_range(0..10) {
            0 => ChangeRequest::Cancel(v1::CancelTransferRequest {
                uuid,
                reason: String::new(),
                request_id,
                grace: Some(prost_types::Duration::default()),
            }),
            1 | 2 => {
                let error_message = "the source went away".to_owned();
                ChangeRequest::Fail(v1::FailTransferRequest {
                    lease_epoch: 0,
                    uuid,
                    error_message,
                    progress,
                    request_id,
                    record_problems: Vec::new(),
                    code: 0,
                    retryable: false,
                })
            }
            _ => ChangeRequest::Complete(v1::CompleteTransferRequest {
                lease_epoch: 0,
                uuid,
                progress,
                request_id,
                record_problems: Vec::new(),
            }),
        };
        self.send(change).await
    }

    /// Cancels a transfer that is most likely another client's.
    async fn cancel_any(&mut self) {
        let recent: Vec<String> = self
            .load
            .record()
            .recent
            .iter()
            .rev()
            .take(16)
            .cloned()
            .collect();
        let Some(uuid) = recent.choose(&mut self.random).cloned() else {
            return;
        };
        let request_id = self.request_id();
        let reason = "by another client".to_owned();
        self.send(ChangeRequest::Cancel(v1::CancelTransferRequest {
            uuid,
            reason,
            request_id,
            grace: Some(prost_types::Duration::default()),
        }))
        .await;
    }
}
