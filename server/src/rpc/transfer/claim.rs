//! `ClaimTransfers`: finds what the caller may start, has the ledger start it, and waits where there is nothing.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use rand::random_range;
use tidegate_proto::v1;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Request;

use super::{
    super::{
        Backend, MESSAGE_OUT_MAX,
        deadline::CallDeadline,
        decode, encode,
        streams::{Kind, StreamPermit},
    },
    TransferApi,
};
use crate::{
    error::Error,
    feed::{ConnectionNews, Subscription, Update},
};
use tidegate_domain::{
    authorize,
    caller::ConnectionScope,
    claim::{Claim, ClaimFilter, ClaimPosition},
    command::Submission,
    connection::{Connection, Running},
    id::{ConnectionId, TransferId},
    query::TransferFilter,
    refusal::Refusal,
    status::TransferStatus,
    time::Timestamp,
    transfer::{Agent, Transfer},
    validate::Check,
};
use tidegate_store::ScopedReader;

/// Candidates beyond those that are asked for: others claim at the same time.
const SPARE: u32 = 32;
/// Bytes that the candidates may take in an answer. Half of what a message may have, since they grow once they run.
const ROOM: usize = MESSAGE_OUT_MAX / 2;
/// What a transfer grows by when it is started.
const GROWTH: usize = 2 * 1024;
/// How long a caller who does not wait is given where others are faster, or have locked what there is.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest pause after others were faster for the first time, and after they were again and again, in milliseconds.
const PAUSE: (u64, u64) = (25, 400);
/// The shortest wait for a time: the clock that decides is not the one that is waited by.
const SHORTEST: Duration = Duration::from_millis(20);
/// How long before the call's deadline an answer is sent, at most.
const MARGIN: Duration = Duration::from_millis(500);

impl TransferApi {
    pub(super) async fn claim(
        &self,
        request: Request<v1::ClaimTransfersRequest>,
    ) -> Result<v1::ClaimTransfersResponse, Error> {
        let wait = request.get_ref().wait;
        let waits = wait.is_some_and(|it| (it.seconds, it.nanos) > (0, 0));
        let deadline = request.extensions().get().copied();
        let place = waits.then(|| self.streams.enter(Kind::Claim, &request));
        let submission = decode::submission(request)?;
        // Only now is it known to be one.
        let wait = wait.and_then(|it| Duration::try_from(it).ok());
        let wait = wait.unwrap_or_default();
        let claiming = Claiming {
            reader: self.backend.readers.as_seen_by(&submission.caller),
            waiting: place.transpose()?.map(|place| {
                let news = News::of(&self.backend, &submission.command.filter);
                (place, news)
            }),
            backend: self.backend.clone(),
            until: end(wait, deadline),
            submission,
        };
        claiming.is_for_them()?;
        let started = claiming.run().await?;
        let now = self.backend.time.roughly_now();
        let message = |it: &Arc<Transfer>| encode::transfer(it, None, now);
        let transfers = started.iter().map(message).collect();
        Ok(v1::ClaimTransfersResponse { transfers })
    }
}

/// When to stop waiting: early enough to be heard.
fn end(wait: Duration, deadline: Option<CallDeadline>) -> Instant {
    let now = Instant::now();
    let by_call = deadline.map(|CallDeadline(at)| {
        let left = at.saturating_duration_since(now);
        at - MARGIN.min(left / 5)
    });
    let by_wait = now + wait;
    by_call.map_or(by_wait, |at| at.min(by_wait))
}

/// How long to pause, at most, after others were faster so often before: they may be many, or hold what there is for long.
fn longest_pause(beaten: u32) -> u64 {
    let (first, last) = PAUSE;
    first.saturating_mul(1 << beaten.min(16)).min(last)
}

/// A claim under way.
struct Claiming {
    backend: Backend,
    reader: ScopedReader,
    submission: Submission<Claim>,
    /// Absent where the caller does not wait.
    waiting: Option<(StreamPermit, News)>,
    until: Instant,
}

/// What there is to start.
#[derive(Default)]
struct Look {
    candidates: Vec<TransferId>,
    /// As many run as may, so that the end of a run is worth another look.
    full: bool,
    /// When there may be more without anybody's doing.
    next: Option<Timestamp>,
}

impl Claiming {
    /// Whether the transfers that are meant may be the caller's.
    fn is_for_them(&self) -> Result<(), Refusal> {
        let connection = self.submission.command.filter.connection_uuid;
        match connection {
            _ if self.submission.caller.sees(connection) => Ok(()),
            Some(uuid) => Err(Refusal::ConnectionNotFound { uuid }),
            None => {
                let mut check = Check::default();
                check.add("connection_uuid", "is required");
                check.finish(())
            }
        }
    }

    async fn run(mut self) -> Result<Vec<Arc<Transfer>>, Error> {
        let patience = self.until.max(Instant::now() + PATIENCE);
        // The ledger alone knows whether this is a repetition.
        let mut asked = self.submission.request.is_none();
        let mut beaten = 0;
        loop {
            let Look {
                candidates,
                full,
                next,
            } = self.look().await?;
            let found = !candidates.is_empty();
            if found || !asked {
                asked = true;
                let started = self.start(candidates).await?;
                if !started.is_empty() {
                    return Ok(started);
                }
            }
            let now = Instant::now();
            if now >= if found { patience } else { self.until } {
                return Ok(Vec::new());
            }
            if found {
                let pause = random_range(1..=longest_pause(beaten));
                beaten += 1;
                sleep(Duration::from_millis(pause)).await;
            } else {
                beaten = 0;
                self.wait(next, full).await?;
            }
        }
    }

    async fn start(&self, candidates: Vec<TransferId>) -> Result<Vec<Arc<Transfer>>, Error> {
        let mut submission = self.submission.clone();
        submission.command.candidates = candidates;
        self.backend.ledger.submit(submission).await
    }

    /// Waits for anything that may change what there is to start.
    async fn wait(&mut self, next: Option<Timestamp>, full: bool) -> Result<(), Error> {
        let at = next.map(|next| {
            let left = next.since(self.backend.time.roughly_now());
            Instant::now() + left.max(SHORTEST)
        });
        let until = at.map_or(self.until, |at| at.min(self.until));
        let Some((place, news)) = &mut self.waiting else {
            return Ok(());
        };
        let filter = &self.submission.command.filter;
        let anything = async {
            tokio::select! {
                () = news.next(&self.backend, filter, full) => {}
                () = sleep_until(until) => {}
            }
            Ok(())
        };
        place.unless_stopped(anything).await
    }

    async fn look(&self) -> Result<Look, Error> {
        let filter = &self.submission.command.filter;
        let now = self.backend.time.now().await?;
        let connection = match filter.connection_uuid {
            Some(uuid) => Some(self.connection(uuid).await?),
            None => None,
        };
        if let Some(connection) = &connection {
            authorize::from_here(connection, &self.submission.caller)?;
            let next = authorize::open_from(connection, now);
            let full = authorize::free_runs(connection) == Some(0);
            if next != Some(now) || full {
                let candidates = Vec::new();
                let next = next.filter(|_| !full);
                return Ok(Look {
                    candidates,
                    full,
                    next,
                });
            }
        }
        let candidates = self.candidates(connection.as_ref(), now).await?;
        let next = match candidates.is_empty() {
            true => self.reader.next_start(filter, now).await?,
            false => None,
        };
        Ok(Look {
            candidates,
            full: false,
            next,
        })
    }

    /// The connection, with what runs of it where that is limited.
    async fn connection(&self, uuid: ConnectionId) -> Result<Connection, Error> {
        let found = self.reader.connection(uuid).await?;
        let mut connection = found.ok_or(Refusal::ConnectionNotFound { uuid })?;
        if connection.policy().limits_runs() {
            let agent = Agent {
                owner_uuid: self.submission.caller.credential(),
                instance: self.submission.command.agent_instance.clone(),
            };
            let running = self.reader.running(uuid).await?;
            let counts = running.iter().map(|(agent, count)| (agent, *count));
            connection.running = Running::of(counts, &agent);
        }
        Ok(connection)
    }

    /// What could be started at `now`, in its order, and a few more than are asked for.
    async fn candidates(
        &self,
        connection: Option<&Connection>,
        now: Timestamp,
    ) -> Result<Vec<TransferId>, Error> {
        let Claim { filter, max, .. } = &self.submission.command;
        let caller = &self.submission.caller;
        let limit = max + SPARE;
        let (mut candidates, mut room, mut after) = (Vec::new(), ROOM, None);
        loop {
            let page = self.reader.startable(filter, now, after, limit).await?;
            for transfer in &page {
                if !authorize::may_start(transfer, connection, caller, now) {
                    continue;
                }
                let size = encode::transfer(transfer, None, now).encoded_len() + GROWTH;
                let Some(left) = room.checked_sub(size) else {
                    return Ok(candidates);
                };
                room = left;
                candidates.push(transfer.uuid);
            }
            after = page.last().map(ClaimPosition::from);
            if candidates.len() >= *max as usize || page.len() < limit as usize {
                return Ok(candidates);
            }
        }
    }
}

/// Word of what may change what there is to start.
struct News {
    transfers: Subscription,
    connections: ConnectionNews,
}

impl News {
    fn of(backend: &Backend, filter: &ClaimFilter) -> Self {
        Self {
            transfers: subscribe(backend, filter),
            connections: backend.feed.connection_news(),
        }
    }

    async fn next(&mut self, backend: &Backend, filter: &ClaimFilter, full: bool) {
        let connection = filter.connection_uuid;
        let connections = &mut self.connections;
        let changed = async {
            match connection {
                Some(uuid) => connections.next(uuid).await,
                None => std::future::pending().await,
            }
        };
        let subscription = &self.transfers;
        let queued = async {
            loop {
                match subscription.next().await {
                    Ok(Update::Changed(transfer)) if filter.awaits(&transfer) => return true,
                    // Of this connection, or deleted right after it has ended.
                    Ok(Update::Changed(transfer)) if full && has_ended(&transfer) => return true,
                    Ok(Update::Deleted(_)) if full => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        let goes_on = tokio::select! {
            () = changed => true,
            goes_on = queued => goes_on,
        };
        if !goes_on {
            // The log is another one: what there is has to be looked for anew.
            self.transfers = subscribe(backend, filter);
        }
    }
}

/// Whether a run of it has made room for another one.
fn has_ended(transfer: &Transfer) -> bool {
    transfer.lease_epoch > 0 && transfer.status != TransferStatus::InProgress
}

fn subscribe(backend: &Backend, filter: &ClaimFilter) -> Subscription {
    backend.feed.subscribe_to_transitions(TransferFilter {
        status: vec![
            TransferStatus::Pending,
            TransferStatus::Approved,
            TransferStatus::InProgress,
        ],
        // Those without a connection are told from the others as they come.
        connections: ConnectionScope::from(filter.connection_uuid),
        ..TransferFilter::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_after_others_were_faster_grows_to_its_limit() {
        let pauses: Vec<_> = (0..7).map(longest_pause).collect();
        assert_eq!(pauses, [25, 50, 100, 200, 400, 400, 400]);
        assert_eq!(longest_pause(u32::MAX), 400);
    }
}
