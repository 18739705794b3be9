//! What all walkers share: how they behave, and what they have written down.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_proto::v1;
use tokio::{sync::RwLock, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    ask::{self, Ask, Refusal},
    checker::{Acknowledged, Journal, Transition},
    walker::Walker,
};

/// How clients behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The longest deadline of calls, of which the shortest ones have 0.1 ms; without, they have all the time in the world.
    pub hurried: Option<Duration>,
    /// Of a hundred changes that are asked for, how many are asked for twice: the first call is abandoned, whatever becomes
    /// of it, and the second one made at another replica, where there is one.
    pub abandoned: u32,
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
    /// Calls that were made, those that were abandoned and those that repeat one included.
    pub calls: usize,
    /// Calls that were abandoned: their answer was dropped, if there was one by then.
    pub abandoned: usize,
    /// Those of them that had no answer by then.
    pub under_way: usize,
    /// Calls that repeat an abandoned one at another replica.
    pub elsewhere: usize,
    /// Answers whose outcome stayed in the dark for a while.
    pub unknown: usize,
    /// Answers to repetitions.
    pub repeated: usize,
    /// Answers on streams.
    pub streamed: usize,
    /// Answers that no server of ours should give.
    pub surprises: Vec<String>,
    /// The longest that a call took which was answered.
    pub slowest: Duration,
    /// Transfers that others may meddle with.
    pub(super) pool: Vec<String>,
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
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acknowledged {
    /// What it means that a transfer was shown.
    ///
    /// # Panics
    /// When it has no status.
    pub fn shown(transfer: &v1::Transfer) -> Self {
        Self {
            transfer: transfer.uuid.clone(),
            revision: transfer.revision,
            status: ask::status(transfer.status).expect("every transfer has a status"),
            totals: Some(ask::totals(transfer)),
            transition: None,
        }
    }
}

impl Ledger {
    /// Writes down that a change was made.
    pub(super) fn acknowledge(
        &mut self,
        ask: &Ask,
        transfer: Option<&v1::Transfer>,
        repeated: bool,
    ) {
        self.repeated += usize::from(repeated);
        let transition = ask.transition().map(|(request_id, event_type)| Transition {
            request_id: request_id.to_owned(),
            event_type,
            repeated,
        });
        let acknowledged = match (ask, transfer) {
            (_, Some(transfer)) => Acknowledged {
                transition,
                ..Acknowledged::shown(transfer)
            },
            (Ask::Delete(request), None) => {
                let told = self.journal.acknowledged.iter().rev();
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
                self.surprise(ask, "an answer without a transfer");
                return;
            }
        };
        self.journal.acknowledged.push(acknowledged);
    }

    /// Writes down that a call was not answered with success; what that means.
    pub(super) fn note(&mut self, ask: &Ask, status: &Status, repeated: bool) -> Refusal {
        let refusal = ask::refusal(status);
        match refusal {
            // Deleted since: whether the first try had its effect before, nobody can tell.
            Refusal::Certain if repeated && status.code() == Code::NotFound => {}
            Refusal::Certain => {
                self.journal.refused.extend(
                    ask.transition()
                        .map(|(request_id, _)| request_id.to_owned()),
                );
            }
            Refusal::Unknown => self.unknown += 1,
            Refusal::Surprise => _ = self.surprise(ask, &format!("{status:?}")),
        }
        refusal
    }

    /// Writes down what no server of ours should answer.
    pub(super) fn surprise(&mut self, ask: &Ask, what: &str) -> Refusal {
        self.surprises.push(format!("{what}, to {ask:?}"));
        Refusal::Surprise
    }
}
