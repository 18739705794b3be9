//! Sites that watch their own transfers, and changes that come at a rate of their own: how long each takes to be seen.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_tests::Database;
use tokio::task::JoinSet;

use crate::{
    calls::{AT_ONCE, channels},
    entrance::{Entrance, Transfers},
    load::{Latency, Sample, Span, histogram, record},
    machine::{self, Cpu, Watched},
    measure::plain,
    subject::{Echo, Subject},
};
use site::{Change, Site};

mod site;

/// How long the last changes may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a run with watchers finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Changes that are seen in a second, and the time from when a change was due until it was seen.
    Seen,
    /// Changes that are answered in a second, and the time from when a change was due until its answer.
    Calls,
    /// Memory of the server for each watcher, in KiB.
    Memory,
}

/// What the last run has found and nobody has asked for yet.
#[derive(Default)]
pub(crate) struct Findings(Mutex<Vec<(Figure, Sample)>>);

impl Findings {
    fn take(&self, figure: Figure) -> Option<Sample> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = left.iter().position(|(found, _)| *found == figure)?;
        Some(left.swap_remove(place).1)
    }

    fn replace(&self, found: Vec<(Figure, Sample)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// One figure of watchers at the server that the changes are made at. A run finds all figures: only the first that is asked
/// for in a round makes one.
pub(crate) async fn take(subject: &Subject, figure: Figure, span: Span) -> anyhow::Result<Sample> {
    if let Some(sample) = subject.watching.take(figure) {
        return Ok(sample);
    }
    subject.watching.replace(here(subject, span).await?);
    let found = subject.watching.take(figure);
    found.context("a run finds all figures")
}

/// Watchers, and changes in a second.
const fn crowd(span: Span) -> (u32, u32) {
    match span.quick {
        true => (500, 500),
        false => (10_000, 2_000),
    }
}

/// Memory of a fresh echo for each of as many streams, in KiB: what the transport takes by itself.
pub(crate) async fn at_echo(span: Span) -> anyhow::Result<Sample> {
    let echo = Echo::start().await?;
    let (count, _) = crowd(span);
    let clients = channels(&echo.address, count as usize).await?;
    let before = machine::memory_now(echo.pid());
    let opened = stream::iter(clients).map(site::watch_all);
    let opened: Vec<_> = opened.buffer_unordered(AT_ONCE).try_collect().await?;
    let taken = machine::memory_now(echo.pid()) - before;
    drop(opened);
    Ok(plain(taken * 1_024.0 / f64::from(count)))
}

async fn here(subject: &Subject, span: Span) -> anyhow::Result<Vec<(Figure, Sample)>> {
    let (count, rate) = crowd(span);
    let (database, sites) = prepare(subject, count).await?;
    // Started anew, so that it has no memory left over for watchers.
    let server = subject
        .serve(&database, &["--max-streams", "20000"])
        .await?;
    let stage = Stage {
        sites,
        rate,
        clients: channels(&server.address, AT_ONCE).await?,
        watched: subject.watched_at(&[&server]),
    };
    // The same work as with watchers, for the memory that it takes by itself, what is kept of each transfer included.
    let (began, each) = (Instant::now(), Duration::from_secs(1) * count / rate);
    stage.change(began, began + each.max(span.warm_up)).await?;
    let before = machine::memory_now(server.pid());
    let mut watches = stage.watch(&server.address).await?;
    let (seen, calls) = stage.measure(span, &mut watches).await?;
    let taken = machine::memory_now(server.pid()) - before;
    drop(watches);
    server.terminate().await;
    Ok(vec![
        (Figure::Seen, seen),
        (Figure::Calls, calls),
        (Figure::Memory, plain(taken * 1_024.0 / f64::from(count))),
    ])
}

/// Changes at one replica, watchers at another.
pub(crate) async fn elsewhere(subject: &Subject, span: Span) -> anyhow::Result<Sample> {
    let count = if span.quick { 100 } else { 500 };
    let (database, sites) = prepare(subject, count).await?;
    let server = subject.serve(&database, &[]).await?;
    let other = subject.serve(&database, &[]).await?;
    let stage = Stage {
        sites,
        // Each once in a second, so that hardly any is skipped for a newer one.
        rate: count,
        clients: channels(&server.address, AT_ONCE).await?,
        watched: subject.watched_at(&[&server, &other]),
    };
    let mut watches = stage.watch(&other.address).await?;
    let (seen, _) = stage.measure(span, &mut watches).await?;
    drop(watches);
    server.terminate().await;
    other.terminate().await;
    Ok(seen)
}

/// So many sites in a database of their own.
async fn prepare(subject: &Subject, count: u32) -> anyhow::Result<(Database, Vec<Arc<Site>>)> {
    let database = subject.database().await;
    let server = subject.serve(&database, &[]).await?;
    let channel = Entrance::plain(&server.address)?.channel().await?;
    let clients = channels(&server.address, AT_ONCE).await?;
    let made = stream::iter(clients.iter().cycle().take(count as usize))
        .map(|client| Site::new(channel.clone(), client.clone()))
        .buffer_unordered(AT_ONCE);
    let sites = made.map_ok(Arc::new).try_collect().await?;
    server.terminate().await;
    Ok((database, sites))
}

/// Watches that are open.
type Watches = JoinSet<anyhow::Result<()>>;

/// Sites, and callers who change something at each in turn.
struct Stage {
    sites: Vec<Arc<Site>>,
    /// Changes in a second.
    rate: u32,
    clients: Vec<Transfers>,
    watched: Watched,
}

impl Stage {
    /// Has each site watch its transfers at the server at `address`.
    async fn watch(&self, address: &str) -> anyhow::Result<Watches> {
        let clients = channels(address, self.sites.len()).await?;
        let mut opened = stream::iter(self.sites.iter().zip(clients))
            .map(|(site, client)| async {
                anyhow::Ok((Arc::clone(site), site.watch(client).await?))
            })
            .buffer_unordered(AT_ONCE);
        let mut watches = JoinSet::new();
        while let Some((site, updates)) = opened.try_next().await? {
            watches.spawn(async move { site.follow(updates).await });
        }
        Ok(watches)
    }

    /// Begins changes at the stage's rate, whether or not those before were answered, and waits for all answers.
    async fn change(&self, from: Instant, until: Instant) -> anyhow::Result<()> {
        let mut calls = JoinSet::new();
        let callers = self.sites.iter().cycle().zip(self.clients.iter().cycle());
        for (number, (site, client)) in (0..).zip(callers) {
            let due = from + Duration::from_secs(1) * number / self.rate;
            if due >= until {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let (site, client) = (Arc::clone(site), client.clone());
            calls.spawn(async move { site.change(client, due).await });
        }
        while let Some(ended) = calls.join_next().await {
            ended.context("a caller panicked")??;
        }
        Ok(())
    }

    /// How soon changes are seen, and how soon their calls are answered.
    async fn measure(&self, span: Span, watches: &mut Watches) -> anyhow::Result<(Sample, Sample)> {
        let began = Instant::now();
        let (from, until) = (began + span.warm_up, began + span.warm_up + span.time);
        let spent = async {
            tokio::time::sleep_until(from.into()).await;
            let before = Cpu::now(&self.watched);
            tokio::time::sleep_until(until.into()).await;
            anyhow::Ok(Cpu::now(&self.watched).since(before))
        };
        let ((), cpu) = tokio::try_join!(self.change(began, until), spent)?;
        self.all_seen(began, watches).await?;
        let sample = |moment: fn(&Change) -> Option<Instant>| {
            let (mut times, mut units) = (histogram()?, 0);
            for change in self.sites.iter().flat_map(|site| site.changes()) {
                let Some(at) = moment(&change) else { continue };
                units += u64::from((from..until).contains(&at));
                if (from..until).contains(&change.due) {
                    record(&mut times, at - change.due);
                }
            }
            let mut sample = Sample::of(units, span.time, cpu)?;
            sample.latency = Some(Latency::of(&times));
            anyhow::Ok(sample)
        };
        Ok((
            sample(|change| change.seen)?,
            sample(|change| change.answered)?,
        ))
    }

    /// Waits until everything that was due since `began` was seen.
    async fn all_seen(&self, began: Instant, watches: &mut Watches) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(ended) = watches.try_join_next() {
                ended
                    .context("a watcher panicked")?
                    .context("a watch ended")?;
            }
            let changes = self.sites.iter().flat_map(|site| site.changes());
            let unseen = changes
                .filter(|it| it.due >= began && it.seen.is_none())
                .count();
            if unseen == 0 {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{unseen} changes are not seen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_of_a_run_is_given_out_once() {
        let findings = Findings::default();
        findings.replace(vec![
            (Figure::Seen, plain(1.0)),
            (Figure::Memory, plain(2.0)),
        ]);
        let take = |figure| findings.take(figure).map(|sample| sample.value);
        assert_eq!(take(Figure::Memory), Some(2.0));
        assert_eq!(take(Figure::Memory), None);
        assert_eq!(take(Figure::Seen), Some(1.0));
    }
}
