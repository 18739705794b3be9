//! Load of random calls: how its clients behave, and what they have recorded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tidegate_proto::v1;
use tokio::{sync::RwLock, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{
    change::{self, CallFailure, ChangeRequest},
    checker::{Acknowledged, History, Transition},
    statuses::Statuses,
};

mod client;

use client::LoadClient;

/// How the clients of a load behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// The longest deadline of calls, of which the shortest ones have 0.1 ms; without, calls have none.
    pub max_deadline: Option<Duration>,
    /// Percentage of changes whose first call is abandoned, whatever becomes of it, and repeated at another replica, where
    /// there is one.
    pub abandoned: u32,
}

/// What all clients share.
#[derive(Default)]
pub struct Load {
    /// How they behave.
    pub options: LoadOptions,
    /// Held for reading by a client during a call, for writing while the ledger is compared.
    pub pause: RwLock<()>,
    /// What they have recorded.
    pub record: Mutex<Record>,
    /// Stops the clients.
    pub stop: CancellationToken,
}

/// What all clients have recorded.
#[derive(Default)]
pub struct Record {
    /// What they were told.
    pub history: History,
    /// Calls that were made, those that were abandoned and those that repeat one included.
    pub calls: usize,
    /// Calls that were abandoned: their answer was dropped, if there was one by then.
    pub abandoned: usize,
    /// Those of them that had no answer by then.
    pub unanswered: usize,
    /// Calls that repeat an abandoned one at another replica.
    pub retried_elsewhere: usize,
    /// Answers that left the outcome unknown for a while.
    pub unknown: usize,
    /// Answers to repetitions.
    pub repeated: usize,
    /// Answers on streams.
    pub streamed: usize,
    /// The newest change that was acknowledged to each client by each replica, by when it was asked for.
    pub begun: BTreeMap<(u64, usize), Instant>,
    /// The statuses that calls and streams were answered with, but for calls that were abandoned.
    pub statuses: Statuses,
    /// Answers that no server should give.
    pub unexpected: Vec<String>,
    /// The longest that a call took which was answered.
    pub slowest: Duration,
    /// Transfers that others may cancel.
    pub(super) recent: Vec<String>,
}

impl Load {
    /// A load whose clients are not started yet.
    pub fn new(options: LoadOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            ..Self::default()
        })
    }

    /// Starts so many clients, which run until they are stopped. Each makes its calls at any of the `addresses`.
    pub fn start_clients(
        self: &Arc<Self>,
        addresses: &[String],
        clients: u64,
        seed: u64,
    ) -> JoinSet<()> {
        (0..clients)
            .map(|number| {
                LoadClient::new(
                    Arc::clone(self),
                    addresses,
                    number,
                    seed.wrapping_add(number),
                )
                .run()
            })
            .collect()
    }

    /// What they have recorded.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acknowledged {
    /// A transfer that was shown.
    ///
    /// # Panics
    /// When it has no status.
    pub fn of(transfer: &v1::Transfer) -> Self {
        Self {
            transfer: transfer.uuid.clone(),
            revision: transfer.revision,
            status: change::status(transfer.status).expect("every transfer has a status"),
            totals: Some(change::totals(transfer)),
            transition: None,
        }
    }
}

impl Record {
    /// Records that a change was made.
    pub(super) fn acknowledge(
        &mut self,
        change: &ChangeRequest,
        transfer: Option<&v1::Transfer>,
        repeated: bool,
    ) {
        self.repeated += usize::from(repeated);
        let transition = change
            .transition()
            .map(|(request_id, event_type)| Transition {
                request_id: request_id.to_owned(),
                event_type,
                repeated,
            });
        let acknowledged = match (change, transfer) {
            (_, Some(transfer)) => Acknowledged {
                transition,
                ..Acknowledged::of(transfer)
            },
            (ChangeRequest::Delete(request), None) => {
                let told = self.history.acknowledged.iter().rev();
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
                self.unexpected(change, "an answer without a transfer");
                return;
            }
        };
        self.history.acknowledged.push(acknowledged);
    }

    /// Records that a call failed; what that means.
    pub(super) fn failed(
        &mut self,
        change: &ChangeRequest,
        status: &Status,
        repeated: bool,
    ) -> CallFailure {
        self.statuses.note("a change", status);
        let refusal = change::classify(status);
        match refusal {
            // Deleted since: whether the first try had its effect before, nobody can tell.
            CallFailure::Refused if repeated && status.code() == Code::NotFound => {}
            CallFailure::Refused => {
                self.history.refused.extend(
                    change
                        .transition()
                        .map(|(request_id, _)| request_id.to_owned()),
                );
            }
            CallFailure::Unknown => self.unknown += 1,
            CallFailure::Unexpected => _ = self.unexpected(change, &format!("{status:?}")),
        }
        refusal
    }

    /// Records what no server should answer.
    pub(super) fn unexpected(&mut self, change: &ChangeRequest, what: &str) -> CallFailure {
        self.unexpected.push(format!("{what}, to {change:?}"));
        CallFailure::Unexpected
    }
}
