//! When a session is asked for a sign of life before it is lent, and what it has to answer.
//!
//! A round trip for each loan would double what a read by its key takes. What a session can do is known from when it was
//! used last, and that the server is there from when any session was asked last.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use sea_orm::{
    SqlxError,
    sqlx::{
        Connection as _, Executor as _, Row as _, pool::PoolConnectionMetadata,
        postgres::PgConnection,
    },
};

/// Longest wait for a sign of life.
const PROBE: Duration = Duration::from_secs(1);
/// One that nobody used for so long is always asked.
const IDLE: Duration = Duration::from_secs(1);
/// Of the others one is asked in so long.
const SAMPLE: Duration = Duration::from_millis(100);
/// After one was no good, each is asked for so long.
const DOUBT: Duration = Duration::from_secs(2);
/// Age at which a session that may only read is closed: its address may lead to a server that takes changes by now.
const READ_ONLY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Checks {
    began: Instant,
    /// Microseconds from `began` to the next sample.
    next_sample: AtomicU64,
    /// Microseconds from `began` to the end of the doubt.
    doubt_ends: AtomicU64,
    silent: AtomicBool,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next_sample: AtomicU64::new(0),
            doubt_ends: AtomicU64::new(0),
            silent: AtomicBool::new(false),
        }
    }
}

impl Checks {
    /// Whether a session is to be asked that nobody used for so long.
    fn is_due(&self, idle: Duration) -> bool {
        let now = micros(self.began.elapsed());
        let next = self.next_sample.load(Ordering::Relaxed);
        let later = now + micros(SAMPLE);
        let is_sample = now >= next
            && self
                .next_sample
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_sample || idle >= IDLE || now < self.doubt_ends.load(Ordering::Relaxed)
    }

    /// One was no good: each is asked for a while.
    pub(super) fn doubt(&self) {
        let end = micros(self.began.elapsed() + DOUBT);
        self.doubt_ends.fetch_max(end, Ordering::Relaxed);
    }

    /// Whether a session was silent since this was asked before.
    pub(super) fn was_silent(&self) -> bool {
        self.silent.swap(false, Ordering::Relaxed)
    }

    /// Whether an idle session may be used; an error on one that is gone. It ends whatever the session was left in.
    pub(super) async fn may_be_lent(
        &self,
        session: &mut PgConnection,
        known: &PoolConnectionMetadata,
    ) -> Result<bool, SqlxError> {
        if !self.is_due(known.idle_for) {
            return Ok(true);
        }
        let answer = session.fetch_one("BEGIN; ROLLBACK; SHOW transaction_read_only");
        let may_be = async {
            let row = self.in_time(answer).await?;
            let may_write = row.try_get::<&str, _>(0)? == "off";
            Ok(may_write || known.age < READ_ONLY)
        };
        let may_be = may_be.await;
        if !matches!(may_be, Ok(true)) {
            self.doubt();
        }
        may_be
    }

    /// Reads the answers to what was given up, for which the driver would wait without a limit.
    pub(super) async fn flush(&self, session: &mut PgConnection) -> Result<bool, SqlxError> {
        self.in_time(session.flush()).await.map(|()| true)
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, SqlxError>>,
    ) -> Result<T, SqlxError> {
        tokio::time::timeout(PROBE, answer)
            .await
            .unwrap_or_else(|_| {
                self.silent.store(true, Ordering::Relaxed);
                Err(io::Error::from(io::ErrorKind::TimedOut).into())
            })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_sessions_in_use_one_is_asked_at_a_time_and_each_while_in_doubt() {
        let checks = Checks::default();
        assert!(checks.is_due(Duration::ZERO), "the first");
        assert!(!checks.is_due(Duration::ZERO));
        assert!(!checks.is_due(IDLE / 2));
        assert!(checks.is_due(IDLE), "nobody used it");
        checks.doubt();
        assert!(checks.is_due(Duration::ZERO) && checks.is_due(Duration::ZERO));
    }
}
