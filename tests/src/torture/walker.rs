//! A client that lives transfer after transfer, at random but by a seed, and writes down every answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tidegate_server::domain::status::TransferStatus;
use tokio::{
    sync::{RwLock, mpsc},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use super::{
    ask::{self, Ask, Refusal},
    checker::{Acknowledged, Journal, Totals, Transition},
};

const APPROVER: &str = "00000000-0000-4000-8000-000000000001";
/// Longest wait for one answer; a server that was killed answers at once, by its absence.
const PATIENCE: Duration = Duration::from_secs(10);

/// How clients behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Most tenths of a millisecond that a call may take; the least is one. Absent: all the time in the world.
    pub deadline: Option<u64>,
    /// Of a hundred calls, how many are abandoned under way and made again, at another replica.
    pub dropped: u32,
}

/// What all walkers share.
#[derive(Default)]
pub struct Town {
    /// How they behave.
    pub manner: Manner,
    /// Held for reading by whoever asks the server something, for writing while the ledger is examined.
    pub gate: RwLock<()>,
    /// What they have written down.
    pub ledger: Mutex<Ledger>,
    /// When the walkers should come to an end.
    pub evening: CancellationToken,
}

/// What all walkers have written down.
#[derive(Default)]
pub struct Ledger {
    /// What they were told.
    pub journal: Journal,
    /// Calls that were made.
    pub calls: usize,
    /// Calls that were abandoned under way.
    pub dropped: usize,
    /// Answers whose outcome stayed in the dark for a while.
    pub unknown: usize,
    /// Answers to repetitions.
    pub repeated: usize,
    /// Answers on streams.
    pub streamed: usize,
    /// Answers that no server of ours should give.
    pub surprises: Vec<String>,
    /// Transfers that others may meddle with.
    pool: Vec<String>,
}

impl Town {
    /// A town whose people behave so.
    pub fn new(manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            manner,
            ..Self::default()
        })
    }

    /// So many walkers, who live until the evening. Each makes its calls at any of the `addresses`.
    pub fn walk(self: &Arc<Self>, addresses: &[String], walkers: u64, seed: u64) -> JoinSet<()> {
        (0..walkers)
            .map(|number| Walker::new(Arc::clone(self), addresses, seed.wrapping_add(number)).run())
            .collect()
    }

    /// What they have written down.
    pub fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client.
pub struct Walker {
    town: Arc<Town>,
    /// One for each replica.
    clients: Vec<TransferServiceClient<Channel>>,
    random: StdRng,
}

impl Walker {
    /// A client of the replicas at `addresses`.
    ///
    /// # Panics
    /// When one of them is none.
    pub fn new(town: Arc<Town>, addresses: &[String], seed: u64) -> Self {
        let client = |address: &String| {
            let endpoint = Endpoint::from_shared(address.clone()).expect("a valid address");
            TransferServiceClient::new(endpoint.connect_lazy())
        };
        Self {
            town,
            clients: addresses.iter().map(client).collect(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Lives until the evening.
    pub async fn run(mut self) {
        while !self.town.evening.is_cancelled() {
            self.life().await;
            if self.chance(20) {
                self.meddle().await;
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn client(&mut self) -> TransferServiceClient<Channel> {
        let client = self.clients.choose(&mut self.random);
        client.expect("there is a replica").clone()
    }

    fn request_id(&mut self) -> String {
        Uuid::from_u128(self.random.random()).to_string()
    }

    /// One transfer, from its creation as far as it comes.
    async fn life(&mut self) -> Option<()> {
        let create = v1::CreateTransferRequest {
            direction: v1::Direction::Receive.into(),
            table_name: format!("table_{}", self.random.random_range(0..50)),
            requires_approval: self.chance(30),
            request_id: self.request_id(),
            ..Default::default()
        };
        let needs_approval = create.requires_approval;
        let uuid = self.tell(Ask::Create(create)).await?.uuid;
        self.town.ledger().pool.push(uuid.clone());
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
        self.tell(Ask::Start(v1::StartTransferRequest {
            uuid: uuid.clone(),
            heartbeat_timeout,
            request_id,
        }))
        .await?;
        if silent {
            return None;
        }
        let totals = self.work(&uuid).await?;
        let ended = self.end(&uuid, totals).await?;
        if ask::status(ended.status).is_some_and(TransferStatus::is_terminal) && self.chance(20) {
            let request_id = self.request_id();
            self.tell(Ask::Delete(v1::DeleteTransferRequest { uuid, request_id }))
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
        self.tell(Ask::RequestApproval(v1::RequestApprovalRequest {
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
                self.tell(Ask::Deny(v1::DenyTransferRequest {
                    uuid,
                    admin_user_uuid,
                    reason,
                    request_id,
                }))
                .await;
                None
            }
            1 => {
                self.tell(Ask::Cancel(v1::CancelTransferRequest {
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
                self.tell(Ask::Approve(approve)).await.map(|_| ())
            }
        }
    }

    /// Some progress, by single calls or on a stream.
    async fn work(&mut self, uuid: &str) -> Option<Totals> {
        let mut totals = [0; 6];
        if self.chance(50) {
            self.stream(uuid, &mut totals).await;
            return Some(totals);
        }
        for _ in 0..self.random.random_range(1..5) {
            self.grow(&mut totals);
            let report = v1::UpdateProgressRequest {
                uuid: uuid.to_owned(),
                progress: Some(ask::progress(totals)),
                checkpoint: Some(totals[0].to_string().into_bytes()),
                request_id: String::new(),
            };
            self.tell(Ask::Progress(report)).await?;
        }
        if self.chance(20) {
            // Less than before, which must be refused.
            let report = v1::UpdateProgressRequest {
                uuid: uuid.to_owned(),
                progress: Some(ask::progress(totals.map(|total| total / 2))),
                ..v1::UpdateProgressRequest::default()
            };
            self.tell(Ask::Progress(report)).await;
        }
        Some(totals)
    }

    fn grow(&mut self, totals: &mut Totals) {
        for total in totals {
            *total += self.random.random_range(0..1_000);
        }
    }

    async fn end(&mut self, uuid: &str, mut totals: Totals) -> Option<v1::Transfer> {
        self.grow(&mut totals);
        let (uuid, request_id) = (uuid.to_owned(), self.request_id());
        let progress = Some(ask::progress(totals));
        let ask = match self.random.random_range(0..10) {
            0 => Ask::Cancel(v1::CancelTransferRequest {
                uuid,
                reason: String::new(),
                request_id,
            }),
            1 | 2 => {
                let error_message = "the source went away".to_owned();
                Ask::Fail(v1::FailTransferRequest {
                    uuid,
                    error_message,
                    progress,
                    request_id,
                })
            }
            _ => Ask::Complete(v1::CompleteTransferRequest {
                uuid,
                progress,
                request_id,
            }),
        };
        self.tell(ask).await
    }

    /// Calls off a transfer that is most likely somebody else's.
    async fn meddle(&mut self) {
        let recent: Vec<String> = self
            .town
            .ledger()
            .pool
            .iter()
            .rev()
            .take(16)
            .cloned()
            .collect();
        let Some(uuid) = recent.choose(&mut self.random).cloned() else {
            return;
        };
        let request_id = self.request_id();
        let reason = "meddling".to_owned();
        self.tell(Ask::Cancel(v1::CancelTransferRequest {
            uuid,
            reason,
            request_id,
        }))
        .await;
    }

    /// Asks until the outcome is known, with the same words each time, and writes it down. `None` when it was refused
    /// or is left in the dark on purpose.
    async fn tell(&mut self, ask: Ask) -> Option<v1::Transfer> {
        let mut repeated = self.chance(self.town.manner.dropped) && self.abandon(&ask).await;
        loop {
            match self.once(&ask, repeated).await {
                // Once more, although it is done: that must change nothing.
                Ok(_) if !repeated && self.chance(5) => {}
                Ok(transfer) => return transfer,
                Err(Refusal::Unknown) => {
                    if self.chance(5) || self.town.evening.is_cancelled() {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(Refusal::Certain | Refusal::Surprise) => return None,
            }
            repeated = true;
        }
    }

    /// Asks one of the replicas once, and writes the answer down.
    async fn once(&mut self, ask: &Ask, repeated: bool) -> Result<Option<v1::Transfer>, Refusal> {
        let tenths = self.town.manner.deadline;
        let deadline =
            tenths.map(|most| Duration::from_micros(100 * self.random.random_range(1..=most)));
        let mut client = self.client();
        let _open = self.town.gate.read().await;
        let answer = tokio::time::timeout(PATIENCE, ask.send(&mut client, deadline)).await;
        let mut ledger = self.town.ledger();
        ledger.calls += 1;
        match answer {
            Ok(Ok(transfer)) => {
                acknowledge(&mut ledger, ask, transfer.as_ref(), repeated);
                Ok(transfer)
            }
            Ok(Err(status)) => Err(note(&mut ledger, ask, &status, repeated)),
            Err(_) => Err(surprise(&mut ledger, ask, "no answer")),
        }
    }

    /// Asks one of the replicas and goes away before the answer, or drops it. True: it may have happened.
    async fn abandon(&mut self, ask: &Ask) -> bool {
        let patience = Duration::from_micros(self.random.random_range(200..10_000));
        let mut client = self.client();
        let _open = self.town.gate.read().await;
        _ = tokio::time::timeout(patience, ask.send(&mut client, None)).await;
        let mut ledger = self.town.ledger();
        ledger.calls += 1;
        ledger.dropped += 1;
        true
    }

    /// Reports on a stream, waiting for each answer, until the transfer is taken away or the server is.
    async fn stream(&mut self, uuid: &str, totals: &mut Totals) {
        let town = Arc::clone(&self.town);
        let _open = town.gate.read().await;
        let (reports, stream) = mpsc::channel(4);
        let mut client = self.client();
        let opened = client.report_progress(ReceiverStream::new(stream));
        let Ok(Ok(answers)) = tokio::time::timeout(PATIENCE, opened).await else {
            return;
        };
        let mut answers = answers.into_inner();
        for _ in 0..self.random.random_range(2..10) {
            self.grow(totals);
            let report = v1::ReportProgressRequest {
                uuid: uuid.to_owned(),
                progress: Some(ask::progress(*totals)),
                checkpoint: None,
            };
            if reports.send(report).await.is_err() {
                return;
            }
            let Ok(Ok(Some(answer))) = tokio::time::timeout(PATIENCE, answers.message()).await
            else {
                return;
            };
            if answer.error.is_some() {
                return;
            }
            let status = ask::status(answer.status).expect("an answer without error has a status");
            let works = status == TransferStatus::InProgress;
            let mut ledger = self.town.ledger();
            ledger.streamed += usize::from(works);
            ledger.journal.acknowledged.push(Acknowledged {
                transfer: answer.uuid,
                revision: answer.revision,
                status,
                totals: works.then_some(*totals),
                transition: None,
            });
            if !works {
                return;
            }
        }
    }
}

fn acknowledge(ledger: &mut Ledger, ask: &Ask, transfer: Option<&v1::Transfer>, repeated: bool) {
    ledger.repeated += usize::from(repeated);
    let transition = ask.transition().map(|(request_id, action)| Transition {
        request_id: request_id.to_owned(),
        action,
        repeated,
    });
    let acknowledged = match (ask, transfer) {
        (_, Some(transfer)) => Acknowledged {
            transfer: transfer.uuid.clone(),
            revision: transfer.revision,
            status: ask::status(transfer.status).expect("every transfer has a status"),
            totals: Some(ask::totals(transfer)),
            transition,
        },
        (Ask::Delete(request), None) => {
            let told = ledger.journal.acknowledged.iter().rev();
            let last = told
                .filter(|told| told.transfer == request.uuid)
                .map(|told| told.status)
                .next();
            Acknowledged {
                transfer: request.uuid.clone(),
                // The answer names none; it is the last one in any case.
                revision: i64::MAX,
                status: last.expect("only what has ended is deleted"),
                totals: None,
                transition: transition.map(|transition| Transition {
                    repeated: true,
                    ..transition
                }),
            }
        }
        (_, None) => {
            surprise(ledger, ask, "an answer without a transfer");
            return;
        }
    };
    ledger.journal.acknowledged.push(acknowledged);
}

fn note(ledger: &mut Ledger, ask: &Ask, status: &Status, repeated: bool) -> Refusal {
    let refusal = ask::refusal(status);
    match refusal {
        // Deleted since: whether the first try had its effect before, nobody can tell.
        Refusal::Certain if repeated && status.code() == Code::NotFound => {}
        Refusal::Certain => {
            ledger.journal.refused.extend(
                ask.transition()
                    .map(|(request_id, _)| request_id.to_owned()),
            );
        }
        Refusal::Unknown => ledger.unknown += 1,
        Refusal::Surprise => _ = surprise(ledger, ask, &format!("{status:?}")),
    }
    refusal
}

fn surprise(ledger: &mut Ledger, ask: &Ask, what: &str) -> Refusal {
    ledger.surprises.push(format!("{ask:?}: {what}"));
    Refusal::Surprise
}
