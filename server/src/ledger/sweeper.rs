//! The sweeper: asks the ledger, from time to time, for what deadlines make due.
//!
//! It only tidies up. Whether something is overdue is decided by the rules at the time of the write, so a late, a double
//! or an absent sweeper changes nothing that a caller may rely on.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{BATCH, Execute, Ledger};
use crate::{error::Error, metrics::Metrics, time::Time};
use tidegate_domain::{
    caller::{Caller, ConnectionScope},
    command::{ConnectionCommand, Submission, TransferCommand, Verb},
    connection::{Connection, ConnectionStatus, ConnectionVerb},
    id::TransferId,
    page::Position,
    query::{SortOrder, TransferFilter, Window},
    reachable::{Reachability, Reachable},
    status::TransferStatus,
    stop::Stop,
    time::Timestamp,
    transfer::Transfer,
};
use tidegate_store::{Store, failpoint};

mod access;
mod agents;
mod transfers;

/// Finds what is overdue and asks the ledger to end it.
#[derive(Clone)]
pub struct Sweeper {
    ledger: Ledger,
    store: Store,
    time: Time,
    metrics: Arc<Metrics>,
    /// How long credentials and sessions are kept after their end; `None`: for ever.
    keep_access: Option<Duration>,
    /// The latest sweep for approvals that somebody asked for.
    asked: Arc<tokio::sync::Mutex<Option<Asked>>>,
}

/// A sweep that somebody asked for: when it began, and how it ended.
type Asked = (Instant, Result<(), Error>);

/// What is known of when agents could report. Looked at beside the sweeps, which may have to wait for a row.
struct ReachabilityWatch {
    known: Mutex<Known>,
    start: Instant,
}

struct Known {
    gaps: Reachability,
    latest: Option<Reachable>,
    /// Changes of anybody that had failed for the database's sake when it looked last.
    failures: u64,
}

/// What a look may be late by and still be no sign of an outage.
const LATE: Duration = Duration::from_secs(1);

impl ReachabilityWatch {
    fn new(sweeper: &Sweeper, interval: Duration) -> Self {
        // A clock that stands still until a test moves it tells nothing of outages.
        let gap = match sweeper.time.clock().is_hand_moved() {
            true => Duration::MAX,
            false => 2 * interval + LATE,
        };
        let known = Known {
            gaps: Reachability::new(gap),
            latest: None,
            failures: 0,
        };
        Self {
            known: Mutex::new(known),
            start: Instant::now(),
        }
    }

    /// Agents could report at `now`, unless more changes have failed since it looked last.
    fn look(&self, now: Timestamp, failures: u64) {
        let mut known = self.known();
        if failures != known.failures {
            known.failures = failures;
            known.gaps.lose();
        }
        known.latest = Some(known.gaps.look(now, self.start.elapsed()));
    }

    /// Somebody could not do what they wanted.
    fn lose(&self) {
        let mut known = self.known();
        known.gaps.lose();
        known.latest = None;
    }

    fn latest(&self) -> Option<Reachable> {
        self.known().latest
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a transfer waits for until it expires.
#[derive(Clone, Copy)]
enum Awaited {
    Decision,
    Start,
}

/// As many as fit into half a batch, so that callers are never crowded out.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const STRIDE: u32 = (BATCH / 2) as u32;

impl Sweeper {
    /// A sweeper of this ledger. It deletes credentials and sessions that were over for `keep_access`, if that is set.
    pub fn new(
        ledger: Ledger,
        store: Store,
        time: Time,
        metrics: Arc<Metrics>,
        keep_access: Option<Duration>,
    ) -> Self {
        Self {
            ledger,
            store,
            time,
            metrics,
            keep_access,
            asked: Arc::default(),
        }
    }

    /// Sweeps every `interval` until `stop` is cancelled.
    pub async fn run(self, interval: Duration, stop: CancellationToken) {
        let watch = ReachabilityWatch::new(&self, interval);
        tokio::select! {
            () = self.sweeps(interval, &watch, &stop) => {}
            never = self.looks(interval, &watch) => match never {},
        }
    }

    /// Looks every `interval` whether agents can report.
    async fn looks(&self, interval: Duration, watch: &ReachabilityWatch) -> Infallible {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.time.now().await {
                Ok(now) => watch.look(now, self.ledger.failures()),
                Err(_) => watch.lose(),
            }
        }
    }

    async fn sweeps(
        &self,
        interval: Duration,
        watch: &ReachabilityWatch,
        stop: &CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let swept = self.sweep(watch).await;
            let outcome = if swept.is_ok() { "ok" } else { "failed" };
            self.metrics.sweeps.inc(outcome);
            if let Err(error) = swept {
                watch.lose();
                tracing::warn!(error = %error, "a sweep failed; the next one tries again");
            }
        }
    }

    /// Ends everything that is overdue now, by one look at the clock.
    async fn sweep(&self, watch: &ReachabilityWatch) -> Result<(), Error> {
        let now = self.time.now().await?;
        let server = Caller::server();
        let expired = self.expire(Awaited::Decision, now, &server).await?;
        self.metrics
            .swept
            .inc_by("approval", expired.unsigned_abs());
        let not_started = self.expire(Awaited::Start, now, &server).await?;
        self.metrics
            .swept
            .inc_by("start", not_started.unsigned_abs());
        let lost = self.end_overdue_runs(now, watch).await?;
        self.metrics.swept.inc_by("heartbeat", lost.unsigned_abs());
        let retried = self.retry(now).await?;
        self.metrics.swept.inc_by("retry", retried.unsigned_abs());
        let connections = self.look_after_connections(now).await?;
        self.metrics
            .swept
            .inc_by("connection", connections.unsigned_abs());
        let agents = self.remove_gone_agents(now).await?;
        self.metrics.swept.inc_by("agent", agents.unsigned_abs());
        if expired + not_started + lost + retried + connections + agents > 0 {
            tracing::info!(
                expired,
                not_started,
                lost,
                retried,
                connections,
                agents,
                "what was overdue was ended"
            );
        }
        match self.keep_access {
            Some(keep) => self.delete_ended_access(now.before(keep)).await,
            None => Ok(()),
        }
    }

    /// Ends connections whose time is over, and has transfers follow those that changed; how many it ended.
    async fn look_after_connections(&self, now: Timestamp) -> Result<i64, Error> {
        let server = Caller::server();
        let has_expired = |it: &Connection| it.status == ConnectionStatus::Expired;
        let (mut total, mut after) = (0, None);
        loop {
            let due = self.store.due_connections(now, after, STRIDE).await?;
            let over = due.iter().filter(|it| it.policy().is_over(now));
            let commands = over.map(|connection| ConnectionCommand::Change {
                uuid: connection.uuid,
                verb: ConnectionVerb::Expire,
            });
            let is_done = |it: &Option<Arc<Connection>>| it.as_deref().is_some_and(has_expired);
            total += self.carry_out(commands, &server, is_done).await?;
            for connection in due.iter().filter(|it| it.settling) {
                self.settle(connection).await?;
            }
            match due.last() {
                Some(last) if due.len() == STRIDE as usize => after = Some(last.uuid),
                _ => return Ok(total),
            }
        }
    }

    /// Has the transfers of a connection follow its status. It is noted once all of them have.
    async fn settle(&self, connection: &Connection) -> Result<(), Error> {
        let open = TransferStatus::ALL.iter().copied();
        let filter = TransferFilter {
            status: open.filter(|status| !status.is_terminal()).collect(),
            connections: ConnectionScope::Only(connection.uuid),
            ..TransferFilter::default()
        };
        let server = Caller::server();
        let mut window = Window {
            after: None,
            skip: 0,
            limit: STRIDE,
        };
        let mut left = 0;
        loop {
            let order = SortOrder::Ascending;
            let page = self.store.transfers(&filter, order, window).await?;
            let follow = |it: &Transfer| Some((it.uuid, connection.follow_up(it)?));
            let commands: Vec<_> = page.iter().filter_map(follow).collect();
            left += i64::try_from(commands.len()).unwrap_or(i64::MAX);
            let commands = commands
                .into_iter()
                .map(|(uuid, verb)| TransferCommand::Change { uuid, verb });
            left -= self.carry_out(commands, &server, |_| true).await?;
            match page.last() {
                Some(last) if page.len() == STRIDE as usize => {
                    window.after = Some(Position {
                        micros: last.inserted_at.as_micros(),
                        uuid: last.uuid.into(),
                    });
                }
                _ => break,
            }
        }
        if left == 0 {
            let (uuid, revision) = (connection.uuid, connection.revision);
            let settle = ConnectionCommand::Settle { uuid, revision };
            self.carry_out([settle].into_iter(), &server, |_| true)
                .await?;
        }
        Ok(())
    }

    /// Expires every approval that is overdue now, in the name of `caller`; how many this very call expired. Of the calls
    /// that come during a sweep, one sweeps for all of them.
    ///
    /// # Errors
    /// Whatever kept it from finishing; what it expired until then stays so.
    pub async fn expire_approvals(&self, caller: &Caller) -> Result<i64, Error> {
        let came = Instant::now();
        let mut latest = self.asked.lock().await;
        if let Some((began, ended)) = &*latest
            && *began > came
        {
            return ended.clone().map(|()| 0);
        }
        let began = Instant::now();
        let expired = async {
            let now = self.time.now().await?;
            self.expire(Awaited::Decision, now, caller).await
        };
        let expired = expired.await;
        *latest = Some((began, expired.clone().map(|_| ())));
        expired
    }

    /// Expires every transfer for which what it waits for is overdue at `now`.
    async fn expire(
        &self,
        awaited: Awaited,
        now: Timestamp,
        caller: &Caller,
    ) -> Result<i64, Error> {
        let mut total = 0;
        loop {
            let overdue = match awaited {
                Awaited::Decision => self.store.overdue_approvals(now, STRIDE).await?,
                Awaited::Start => self.store.overdue_starts(now, STRIDE).await?,
            };
            let ended = self
                .end(&overdue, caller, &Verb::Expire, |it| {
                    it.status == TransferStatus::Expired
                })
                .await?;
            total += ended;
            if overdue.len() < STRIDE as usize || ended == 0 {
                return Ok(total);
            }
        }
    }

    async fn end_overdue_runs(
        &self,
        now: Timestamp,
        watch: &ReachabilityWatch,
    ) -> Result<i64, Error> {
        let mut total = 0;
        loop {
            let Some(reachable) = watch.latest() else {
                return Ok(total);
            };
            let overdue = self
                .store
                .overdue_runs(now, reachable.since, STRIDE)
                .await?;
            let ended = self
                .end(
                    &overdue,
                    &Caller::server(),
                    &Verb::EndOverdue {
                        reachable,
                        grace: None,
                    },
                    |it| {
                        let asked_now = |stop: &Stop| stop.requested_at >= now;
                        it.status != TransferStatus::InProgress
                            || it.pending_stop().is_some_and(asked_now)
                    },
                )
                .await?;
            total += ended;
            if overdue.len() < STRIDE as usize || ended == 0 {
                return Ok(total);
            }
        }
    }

    /// Tries again what has failed and is due; how many it tried.
    async fn retry(&self, now: Timestamp) -> Result<i64, Error> {
        let mut total = 0;
        loop {
            let due = self.store.due_retries(now, STRIDE).await?;
            let commands = due.iter().map(|uuid| TransferCommand::Retry {
                uuid: *uuid,
                due: true,
            });
            let server = Caller::server();
            let retried = self.carry_out(commands, &server, Option::is_some).await?;
            total += retried;
            if due.len() < STRIDE as usize || retried == 0 {
                return Ok(total);
            }
        }
    }

    /// Sends `verb` for each; counts those that are done then.
    async fn end(
        &self,
        uuids: &[TransferId],
        caller: &Caller,
        verb: &Verb,
        is_done: impl Fn(&Transfer) -> bool,
    ) -> Result<i64, Error> {
        let commands = uuids.iter().map(|uuid| TransferCommand::Change {
            uuid: *uuid,
            verb: verb.clone(),
        });
        self.carry_out(commands, caller, |it| it.as_deref().is_some_and(&is_done))
            .await
    }

    /// Sends the commands; counts those that did what was to be done.
    async fn carry_out<C: Execute>(
        &self,
        commands: impl Iterator<Item = C>,
        caller: &Caller,
        is_done: impl Fn(&C::Answer) -> bool,
    ) -> Result<i64, Error> {
        let submitted = commands.map(|command| {
            self.ledger.submit_patiently(Submission {
                command,
                caller: caller.clone(),
                request: None,
            })
        });
        let mut done = 0;
        for outcome in join_all(submitted).await {
            failpoint::pass("mid-sweep");
            match outcome {
                Ok(answer) if is_done(&answer) => done += 1,
                // Not overdue any more, ended or deleted by somebody who was faster: nothing to do. Nor where the row is
                // locked: whoever has it may be about to, and otherwise it is for the next sweep.
                Ok(_) | Err(Error::Refused(..) | Error::RowLocked) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
