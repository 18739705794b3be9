//! How fast a run is, when it will be done and whether it is well, from what its agent reports.
//!
//! Reports come every few milliseconds or every few minutes, evenly or in bursts. So averages weigh by time and not by
//! report. Two of them are kept: a recent one, which follows a change of speed, and a lasting one, in which bursts even out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    outcome::Phase,
    progress::Totals,
    status::{TransferStatus, named},
    time::Timestamp,
    transfer::Transfer,
};

/// Time constant of the recent average, in seconds: 30 s after a change of speed it has followed by 95 %.
const RECENT: f64 = 10.0;
/// Time constant of the lasting average, in seconds: bursts that are less than a minute apart make no run slow, and one that
/// falls to a quarter of its speed is noticed after a bit more than a minute.
const LASTING: f64 = 60.0;
/// Reports that are closer to each other count as one. What was held up on its way and comes at once was not moved at once.
const TICK: Duration = Duration::from_millis(100);
/// Averages over less time than this say nothing yet.
const WARM_UP: Duration = Duration::from_secs(2);
/// A report that changes nothing is noted only so long after the one before, where no heartbeat has to be kept: a repetition
/// then costs no write, and is no change.
const NOTED_EVERY: Duration = Duration::from_secs(10);
/// Totals that stand still for less time are no reason to look.
const NO_PROGRESS_AFTER: Duration = Duration::from_secs(30);
/// And so many times as long as they usually stand still: some agents report once a minute.
const NO_PROGRESS_GAPS: f64 = 3.0;
/// An agent that need not report is silent after that time, or as many of its usual gaps as above.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// A run is slow below the first part of its average, and until it has reached the second, so that one in between does not
/// go to and fro.
const SLOW: (f64, f64) = (0.5, 0.75);
/// An estimate is never surer than that, as a part of the rate.
const MARGIN: f64 = 0.1;
/// The recent rate widens an estimate to so many times the lasting one at most: seconds say little of the hours to come.
const WIDEST: f64 = 4.0;

named! {
    /// Whether a run is well.
    TransferHealth {
        /// Nothing is wrong that could be seen.
        Healthy = "HEALTHY",
        /// It is much slower than it was on average.
        Slow = "SLOW",
        /// Its totals stand still.
        NoProgress = "NO_PROGRESS",
        /// Its agent does not report.
        Silent = "SILENT",
    }
}

named! {
    /// Why nobody knows when a transfer will be complete.
    EstimateUnknownReason {
        /// It does not run.
        NotRunning = "NOT_RUNNING",
        /// It was not said how many records there are.
        TotalUnknown = "TOTAL_UNKNOWN",
        /// All of them were moved, or its agent is past moving them; how long the rest takes is not known.
        AllRecordsMoved = "ALL_RECORDS_MOVED",
        /// Its agent does not report.
        Silent = "SILENT",
        /// Its totals stand still.
        NoProgress = "NO_PROGRESS",
        /// Nothing has moved yet, or not for long enough.
        TooFewReports = "TOO_FEW_REPORTS",
    }
}

/// How much moves in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Records.
    pub records: f64,
    /// Bytes.
    pub bytes: f64,
}

/// Whether a run is well, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is.
    pub health: TransferHealth,
    /// Since when: of silence the last report, of no progress the last movement, otherwise the report that changed it, or
    /// the start.
    pub since: Timestamp,
}

/// When a transfer will be complete, if it goes on as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// At the lasting rate.
    pub at: Timestamp,
    /// At the faster of the rates.
    pub earliest: Timestamp,
    /// At the slower of them.
    pub latest: Timestamp,
}

/// What is kept of the reports of the latest run. It is stored as it is serialized.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Where counting begins: the start of the transfer's first run, the first movement of a later one. Such a run may go
    /// on from a checkpoint, and what it reports first was then moved by the one before.
    from: Option<Mark>,
    /// When the last report came that counts by itself.
    reported_at: Timestamp,
    /// How long after the one before, in seconds.
    interval: f64,
    /// When totals last grew.
    moved_at: Timestamp,
    /// How long they stand still in between, in seconds: an average over time, so short gaps in a burst do not hide the
    /// long one after it.
    gap: f64,
    /// Records a second.
    recent: f64,
    /// Records a second.
    lasting: f64,
    /// Bytes a second.
    recent_bytes: f64,
    slow: bool,
    health_since: Timestamp,
}

/// All numbers are finite.
impl Eq for Pace {}

/// A time, and the totals then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    at: Timestamp,
    records: i64,
    bytes: i64,
}

impl Mark {
    const fn new(at: Timestamp, totals: &Totals) -> Self {
        Self {
            at,
            records: totals.records_transferred,
            bytes: totals.bytes_transferred,
        }
    }

    /// The average from here to `totals`; `None` where no time has passed.
    fn average(self, totals: &Totals, at: Timestamp) -> Option<Rates> {
        let passed = at.since(self.at).as_secs_f64();
        (passed > 0.0).then(|| Rates {
            records: difference(totals.records_transferred, self.records) / passed,
            bytes: difference(totals.bytes_transferred, self.bytes) / passed,
        })
    }
}

impl Pace {
    /// At the start of a run, whose totals are 0.
    pub(crate) fn begin(now: Timestamp, is_first_run: bool) -> Self {
        Self {
            from: is_first_run.then(|| Mark::new(now, &Totals::default())),
            reported_at: now,
            interval: 0.0,
            moved_at: now,
            gap: 0.0,
            recent: 0.0,
            lasting: 0.0,
            recent_bytes: 0.0,
            slow: false,
            health_since: now,
        }
    }

    /// After a report at `now` that made `after` of `before`.
    fn advance(self, before: &Totals, after: &Totals, now: Timestamp) -> Self {
        let has_moved = before != after;
        let Some(from) = self.from else {
            let from = has_moved.then(|| Mark::new(now, after));
            let moved_at = if has_moved { now } else { self.moved_at };
            return Self {
                from,
                moved_at,
                reported_at: now,
                ..self
            };
        };
        let records = difference(after.records_transferred, before.records_transferred);
        let bytes = difference(after.bytes_transferred, before.bytes_transferred);
        let mut next = self;
        let passed = now.since(self.reported_at);
        if passed < TICK {
            next.recent += records * share(self.interval, RECENT);
            next.lasting += records * share(self.interval, LASTING);
            next.recent_bytes += bytes * share(self.interval, RECENT);
        } else {
            let passed = passed.as_secs_f64();
            next.recent = averaged(self.recent, records, passed, RECENT);
            next.lasting = averaged(self.lasting, records, passed, LASTING);
            next.recent_bytes = averaged(self.recent_bytes, bytes, passed, RECENT);
            next.interval = passed;
            next.reported_at = now;
        }
        let still = now.since(self.moved_at);
        if has_moved && still >= TICK {
            let still = still.as_secs_f64();
            next.gap = averaged(self.gap, still * still, still, LASTING);
            next.moved_at = now;
        }
        next.slow = next.is_slow(from, after);
        next
    }

    fn is_slow(&self, from: Mark, totals: &Totals) -> bool {
        let average = from.average(totals, self.reported_at);
        let Some((average, (_, lasting))) = average.zip(self.speeds()) else {
            return false;
        };
        let part = if self.slow { SLOW.1 } else { SLOW.0 };
        lasting < part * average.records
    }

    /// How long the averages go back.
    fn span(&self) -> Option<Duration> {
        let span = self.reported_at.since(self.from?.at);
        (span >= WARM_UP).then_some(span)
    }

    /// Records a second, recently and lastingly; `None` before there is enough to tell.
    fn speeds(&self) -> Option<(f64, f64)> {
        let span = self.span()?.as_secs_f64();
        let recent = self.recent / weight(span, RECENT);
        Some((recent, self.lasting / weight(span, LASTING)))
    }

    fn recent(&self) -> Option<Rates> {
        let weight = weight(self.span()?.as_secs_f64(), RECENT);
        Some(Rates {
            records: self.recent / weight,
            bytes: self.recent_bytes / weight,
        })
    }

    /// So many usual gaps between movements, and at least `least`.
    fn patience(&self, least: Duration) -> Duration {
        let known = self.from.map(|from| self.moved_at.since(from.at));
        let usual = known
            .filter(|known| !known.is_zero())
            .map_or(0.0, |known| self.gap / weight(known.as_secs_f64(), LASTING));
        duration(NO_PROGRESS_GAPS * usual).max(least)
    }
}

impl Transfer {
    /// Takes note of a report that has made this of `before`.
    pub(crate) fn note_report(&mut self, before: &Self, now: Timestamp) {
        let health = |it: &Self| it.health(now).map(|standing| standing.health);
        let Some(pace) = before.pace else {
            return;
        };
        let mut pace = pace.advance(&before.totals, &self.totals, now);
        self.pace = Some(pace);
        if health(before) != health(self) {
            pace.health_since = now;
            self.pace = Some(pace);
        }
    }

    /// Whether a report that changes nothing is worth noting.
    pub(crate) fn awaits_sign_of_life(&self, now: Timestamp) -> bool {
        self.pace
            .is_some_and(|pace| now.since(pace.reported_at) >= NOTED_EVERY)
    }

    /// Whether it is well at `now`; `None` while it does not run. Records need only move where the agent is about to move
    /// them: before and after that neither their rate nor their standing still means anything.
    pub fn health(&self, now: Timestamp) -> Option<Standing> {
        let running = self.status == TransferStatus::InProgress;
        let pace = self.pace.filter(|_| running)?;
        let phase = self.phases.last();
        let is_moving = phase.is_none_or(|it| it.phase == Phase::Transferring);
        let moved_at = phase.map_or(pace.moved_at, |it| it.at.max(pace.moved_at));
        let silent_after = match self.heartbeat_timeout {
            Some(timeout) => timeout / 2,
            None => pace.patience(SILENT_AFTER),
        };
        let (health, since) = if now.since(pace.reported_at) >= silent_after {
            (TransferHealth::Silent, pace.reported_at)
        } else if is_moving && now.since(moved_at) >= pace.patience(NO_PROGRESS_AFTER) {
            (TransferHealth::NoProgress, moved_at)
        } else if is_moving && pace.slow {
            (TransferHealth::Slow, pace.health_since)
        } else {
            (TransferHealth::Healthy, pace.health_since)
        };
        Some(Standing { health, since })
    }

    /// How fast it is: recently while it runs, and on average once it has ended. `None` where that is not known.
    pub fn rates(&self, now: Timestamp) -> Option<Rates> {
        let pace = self.pace?;
        if let Some(end) = self.completed_at {
            return pace.from?.average(&self.totals, end);
        }
        match self.health(now)?.health {
            TransferHealth::Silent => None,
            TransferHealth::NoProgress => Some(Rates {
                records: 0.0,
                bytes: 0.0,
            }),
            TransferHealth::Healthy | TransferHealth::Slow => pace.recent(),
        }
    }

    /// When it will be complete, if it goes on as it does.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn estimate(&self, now: Timestamp) -> Result<Estimate, EstimateUnknownReason> {
        use EstimateUnknownReason::{
            AllRecordsMoved, NoProgress, NotRunning, Silent, TooFewReports, TotalUnknown,
        };
        if self.status != TransferStatus::InProgress {
            return Err(NotRunning);
        }
        let (requested, moved) = (
            self.declared.records_requested,
            self.totals.records_transferred,
        );
        let phase = self.phases.last().map(|it| it.phase);
        match self.health(now).map(|standing| standing.health) {
            _ if requested == 0 => return Err(TotalUnknown),
            _ if moved >= requested || phase > Some(Phase::Transferring) => {
                return Err(AllRecordsMoved);
            }
            Some(TransferHealth::Silent) => return Err(Silent),
            Some(TransferHealth::NoProgress) => return Err(NoProgress),
            _ => {}
        }
        let pace = self.pace.ok_or(TooFewReports)?;
        let speeds = pace.speeds().filter(|(_, lasting)| *lasting > 0.0);
        let (recent, lasting) = speeds.ok_or(TooFewReports)?;
        let recent = recent.clamp(lasting / WIDEST, lasting * WIDEST);
        let left = difference(requested, moved);
        // Who is later than expected may be done at any moment.
        let at = |rate: f64| pace.reported_at.after(duration(left / rate)).max(now);
        Ok(Estimate {
            at: at(lasting),
            earliest: at(recent.max(lasting) * (1.0 + MARGIN)),
            latest: at(recent.min(lasting) * (1.0 - MARGIN)),
        })
    }
}

/// An average after `amount` more, evenly over the `passed` seconds. It begins at 0; see [`weight`].
fn averaged(average: f64, amount: f64, passed: f64, constant: f64) -> f64 {
    average * (-passed / constant).exp() + amount * share(passed, constant)
}

/// What an amount that came over `passed` seconds adds to an average, for each unit of it.
fn share(passed: f64, constant: f64) -> f64 {
    if passed > 0.0 {
        weight(passed, constant) / passed
    } else {
        1.0 / constant
    }
}

/// The part of an average that is of the last `passed` seconds, and not of the 0 from which it began.
fn weight(passed: f64, constant: f64) -> f64 {
    -(-passed / constant).exp_m1()
}

fn difference(more: i64, less: i64) -> f64 {
    more.saturating_sub(less) as f64
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
