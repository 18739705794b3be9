//! The measurements, by name: what the server does, and the yardsticks that it is compared with.

use std::time::Duration;

use futures::future::try_join_all;

use crate::{
    calls::{
        Acknowledged, Create, Get, Lifecycle, REPORTED, Update, channels, follow, pour, running,
    },
    load::{Sample, Span, closed_loop, counter},
    predecessor::{self, Script},
    replicas,
    secured::{self, Work},
    subject::{Kind, Subject},
    watchers::{self, Figure},
    yardstick::{self, Statement},
};

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measurement {
    /// `GetTransfer` with so many calls in flight.
    Get(usize),
    /// `UpdateProgress`, each call of another transfer.
    Update(usize),
    /// Durable answers on streams of `ReportProgress`, each of a hundred transfers.
    Acknowledged(usize),
    /// Reports that such streams take.
    Reports(usize),
    /// `CreateTransfer`.
    Create(usize),
    /// Declared, started, reported, completed: counts as one.
    Lifecycle(usize),
    /// Events of `WatchEvents`, read from the beginning of the log.
    Follow,
    /// Changes that come at a rate of their own to transfers that are watched.
    Watchers(Figure),
    /// `UpdateProgress` at one replica, watched at another.
    ProgressElsewhere,
    /// `UpdateProgress` at two replicas, with so many calls in flight in all.
    UpdateAtTwo(usize),
    /// Whole lives of transfers at two replicas, with so many calls in flight in all.
    LifecycleAtTwo(usize),
    /// Calls by TLS and with a token, at a server of their own.
    Secured(Work),
    /// The same without either.
    Unsecured(Work),
    /// Milliseconds from the start of the process to its word that it serves.
    Start,
    /// Percent of a processor that server and database take while nobody calls.
    Idle,
    /// MiB that a server takes up once it serves.
    MemoryAtStart,
    /// MiB that the server under load takes up at the end of the round.
    Memory,
    /// The echo's unary call.
    Echo(usize),
    /// Messages like reports that the echo reads.
    EchoReports(usize),
    /// Messages like events that the echo sends on one stream.
    EchoEvents,
    /// Memory of the echo for each of as many streams as there are watchers, in KiB.
    EchoWatchers,
    /// One row after the other by the database alone.
    Alone(Statement),
    /// The predecessor's statements by the database alone.
    Predecessor(Script),
}

impl Measurement {
    /// Does it once.
    pub(crate) async fn take(self, subject: &Subject, span: Span) -> anyhow::Result<Sample> {
        match self {
            Self::Get(calls) => get(subject, calls, span).await,
            Self::Update(calls) => update(subject, calls, span).await,
            Self::Acknowledged(streams) => acknowledged(subject, streams, span).await,
            Self::Reports(streams) => {
                let uuids = running(subject.address(), streams * REPORTED).await?;
                let clients = channels(subject.address(), streams).await?;
                let flow = pour(clients, &uuids, 1);
                counter(&subject.watched(), span, &flow.units).await
            }
            Self::Create(calls) => {
                let clients = channels(subject.address(), calls).await?;
                let callers = clients.into_iter().map(|client| Create {
                    client,
                    connection: String::new(),
                });
                closed_loop(&subject.watched(), span, callers.collect()).await
            }
            Self::Lifecycle(calls) => {
                let clients = channels(subject.address(), span.calls(calls)).await?;
                let callers = clients.into_iter().map(|client| Lifecycle { client });
                closed_loop(&subject.watched(), span, callers.collect()).await
            }
            Self::Follow => {
                // Something to read, if this is the first measurement.
                running(subject.address(), 2_000).await?;
                let flow = follow(subject.address()).await?;
                counter(&subject.watched(), span, &flow.units).await
            }
            Self::Watchers(figure) => watchers::take(subject, figure, span).await,
            Self::ProgressElsewhere => watchers::elsewhere(subject, span).await,
            Self::UpdateAtTwo(calls) => replicas::update(subject, calls, span).await,
            Self::LifecycleAtTwo(calls) => replicas::lifecycle(subject, calls, span).await,
            Self::Secured(work) => secured::secured(subject, work, span).await,
            Self::Unsecured(work) => secured::unsecured(subject, work, span).await,
            Self::Start => {
                let (taken, _) = subject.start_another().await?;
                Ok(plain(taken.as_secs_f64() * 1_000.0))
            }
            Self::MemoryAtStart => Ok(plain(subject.start_another().await?.1)),
            Self::Idle => Ok(plain(100.0 * subject.idle(span.time).await)),
            Self::Memory => Ok(plain(subject.memory())),
            Self::Echo(calls) => echo(subject, calls, span).await,
            Self::EchoReports(streams) => {
                let uuid = "0198d2a5-7c1b-7d3e-9a54-1f2e3d4c5b6a".to_owned();
                let clients = channels(&subject.echo.address, streams).await?;
                let flow = pour(clients, &vec![uuid; streams * REPORTED], 1);
                counter(&subject.watched_echo(), span, &flow.units).await
            }
            Self::EchoEvents => {
                let flow = follow(&subject.echo.address).await?;
                counter(&subject.watched_echo(), span, &flow.units).await
            }
            Self::EchoWatchers => watchers::at_echo(span).await,
            Self::Alone(statement) => alone(subject, statement, span.time).await,
            Self::Predecessor(script) => predecessor::measure(subject, script, span.time).await,
        }
    }
}

/// A figure that is no rate.
pub(crate) fn plain(value: f64) -> Sample {
    Sample {
        value,
        ..Sample::default()
    }
}

async fn get(subject: &Subject, calls: usize, span: Span) -> anyhow::Result<Sample> {
    let uuids = running(subject.address(), calls).await?;
    let clients = channels(subject.address(), calls).await?;
    let callers = clients.into_iter().zip(uuids);
    let callers = callers.map(|(client, uuid)| Get { client, uuid });
    closed_loop(&subject.watched(), span, callers.collect()).await
}

async fn update(subject: &Subject, calls: usize, span: Span) -> anyhow::Result<Sample> {
    let calls = span.calls(calls);
    let uuids = running(subject.address(), calls).await?;
    let clients = channels(subject.address(), calls).await?;
    let callers = clients.into_iter().zip(uuids).map(|(client, uuid)| Update {
        client,
        uuid,
        records: 0,
    });
    closed_loop(&subject.watched(), span, callers.collect()).await
}

async fn acknowledged(subject: &Subject, streams: usize, span: Span) -> anyhow::Result<Sample> {
    let uuids = running(subject.address(), streams * REPORTED).await?;
    let clients = channels(subject.address(), streams).await?;
    let callers = clients
        .into_iter()
        .zip(uuids.chunks(REPORTED))
        .map(|(client, own)| Acknowledged::begin(client, own.to_vec()));
    closed_loop(&subject.watched(), span, try_join_all(callers).await?).await
}

async fn echo(subject: &Subject, calls: usize, span: Span) -> anyhow::Result<Sample> {
    let clients = channels(&subject.echo.address, calls).await?;
    let callers = clients.into_iter().map(|client| Get {
        client,
        uuid: "0198d2a5-7c1b-7d3e-9a54-1f2e3d4c5b6a".to_owned(),
    });
    closed_loop(&subject.watched_echo(), span, callers.collect()).await
}

async fn alone(subject: &Subject, statement: Statement, time: Duration) -> anyhow::Result<Sample> {
    match subject.kind {
        Kind::Sqlite => yardstick::sqlite(subject, statement, time).await,
        Kind::Postgres => yardstick::postgres(subject, statement, time).await,
    }
}
