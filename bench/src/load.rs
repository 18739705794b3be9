//! Callers in a closed loop, and what was measured of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::machine::{Cpu, Watched};

/// The longest wait for something that can be measured.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a measurement lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Before anything counts.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    /// Whether it is only to be seen that everything works.
    pub(crate) quick: bool,
}

impl Span {
    /// So many seconds, after a fifth of that which does not count.
    pub(crate) fn of(seconds: f64) -> Self {
        let time = Duration::from_secs_f64(seconds);
        Self {
            warm_up: time / 5,
            time,
            quick: false,
        }
    }

    /// So many calls in flight, or few when it is only to be seen that everything works: with all of them a slow build on a
    /// busy machine may not finish anything in time.
    pub(crate) const fn calls(self, usual: usize) -> usize {
        if self.quick { 8 } else { usual }
    }
}

/// One that calls again as soon as it is answered.
pub(crate) trait Caller: Send + 'static {
    /// Makes one call; answers how many units of work that was.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<u64>> + Send;
}

/// What one measurement found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// Units of work in a second, or whatever else the measurement is about.
    pub(crate) value: f64,
    /// Times of single calls, in microseconds; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    /// Processor time for a thousand units, in milliseconds.
    pub(crate) server_ms: f64,
    pub(crate) database_ms: f64,
    pub(crate) generator_ms: f64,
    /// The share of the machine that other processes took.
    pub(crate) foreign: f64,
}

/// Times of calls, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
}

impl Latency {
    pub(crate) fn of(times: &Histogram<u64>) -> Self {
        Self {
            p50: times.value_at_quantile(0.5),
            p90: times.value_at_quantile(0.9),
            p99: times.value_at_quantile(0.99),
        }
    }
}

/// Counts what callers do, and takes their times.
struct Counted {
    units: AtomicU64,
    from: Instant,
    over: AtomicBool,
}

/// Has `callers` call for as long as `span` says.
///
/// # Errors
/// The first call that failed: a measurement of failures is none.
pub(crate) async fn closed_loop<C: Caller>(
    watched: &Watched,
    span: Span,
    callers: Vec<C>,
) -> anyhow::Result<Sample> {
    let from = Instant::now() + span.warm_up;
    let counted = Arc::new(Counted {
        units: AtomicU64::new(0),
        from,
        over: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    for caller in callers {
        tasks.spawn(drive(caller, Arc::clone(&counted)));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = Cpu::now(watched);
    let time = lasting(span.time, &counted.units).await;
    counted.over.store(true, Ordering::Relaxed);
    let cpu = Cpu::now(watched).since(before);
    let mut times = histogram()?;
    while let Some(ended) = tasks.join_next().await {
        times.add(ended.context("a caller panicked")??)?;
    }
    let units = counted.units.load(Ordering::Relaxed);
    let mut sample = Sample::of(units, time, cpu)?;
    sample.latency = Some(Latency::of(&times));
    Ok(sample)
}

async fn drive(mut caller: impl Caller, counted: Arc<Counted>) -> anyhow::Result<Histogram<u64>> {
    let mut times = histogram()?;
    while !counted.over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let units = caller.call().await?;
        let ended = Instant::now();
        if ended >= counted.from && !counted.over.load(Ordering::Relaxed) {
            counted.units.fetch_add(units, Ordering::Relaxed);
            record(&mut times, ended - began);
        }
    }
    Ok(times)
}

/// Lets work that is counted in `units` go on for `time`, and on a machine that is too busy for a short one until some
/// of it was done. Answers how long that was.
async fn lasting(time: Duration, units: &AtomicU64) -> Duration {
    let (began, first) = (Instant::now(), units.load(Ordering::Relaxed));
    tokio::time::sleep(time).await;
    while units.load(Ordering::Relaxed) == first && began.elapsed() < PATIENCE {
        tokio::time::sleep(time).await;
    }
    began.elapsed()
}

/// Takes a time into account.
pub(crate) fn record(times: &mut Histogram<u64>, taken: Duration) {
    times.saturating_record(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
}

/// Up to a minute, to within a hundredth.
pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 2)?)
}

/// Measures work that goes on by itself and is counted in `units`.
///
/// # Errors
/// When nothing is done.
pub(crate) async fn counter(
    watched: &Watched,
    span: Span,
    units: &AtomicU64,
) -> anyhow::Result<Sample> {
    tokio::time::sleep(span.warm_up).await;
    let before = Cpu::now(watched);
    let first = units.load(Ordering::Relaxed);
    let time = lasting(span.time, units).await;
    let done = units.load(Ordering::Relaxed) - first;
    Sample::of(done, time, Cpu::now(watched).since(before))
}

impl Sample {
    /// What is known of `units` that were done in `time`.
    ///
    /// # Errors
    /// When there are none.
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    pub(crate) fn of(units: u64, time: Duration, cpu: Cpu) -> anyhow::Result<Self> {
        anyhow::ensure!(units > 0, "nothing was done in {time:?}");
        let (units, seconds) = (units as f64, time.as_secs_f64());
        let each_thousand = |seconds: f64| seconds * 1_000.0 / (units / 1_000.0);
        Ok(Self {
            value: units / seconds,
            latency: None,
            server_ms: each_thousand(cpu.server),
            database_ms: each_thousand(cpu.database),
            generator_ms: each_thousand(cpu.generator),
            foreign: cpu.foreign(seconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow;

    impl Caller for Slow {
        async fn call(&mut self) -> anyhow::Result<u64> {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(1)
        }
    }

    #[tokio::test]
    async fn a_measurement_lasts_until_a_call_has_ended() {
        let sample = closed_loop(&Watched::default(), Span::of(0.02), vec![Slow]).await;
        let sample = sample.expect("a call ends");
        assert!(sample.value > 0.0 && sample.latency.is_some(), "{sample:?}");
    }
}
