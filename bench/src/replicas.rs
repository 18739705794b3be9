//! The callers of one server spread over two on the same database.

use tidegate_tests::ServerProcess;

use crate::{
    calls::{Lifecycle, Update, channels, running},
    entrance::Transfers,
    load::{Caller, Sample, Span, closed_loop},
    subject::Subject,
};

/// Progress, each call of another transfer.
pub(crate) async fn update(subject: &Subject, calls: usize, span: Span) -> anyhow::Result<Sample> {
    let calls = span.calls(calls);
    let other = replica(subject).await?;
    let uuids = running(subject.address(), calls).await?;
    let clients = spread(subject, &other, calls).await?;
    let callers = clients.into_iter().zip(uuids).map(|(client, uuid)| Update {
        client,
        uuid,
        records: 0,
    });
    measured(subject, other, span, callers.collect()).await
}

/// Transfers from their declaration to their end.
pub(crate) async fn lifecycle(
    subject: &Subject,
    calls: usize,
    span: Span,
) -> anyhow::Result<Sample> {
    let calls = span.calls(calls);
    let other = replica(subject).await?;
    let clients = spread(subject, &other, calls).await?;
    let callers = clients.into_iter().map(|client| Lifecycle { client });
    measured(subject, other, span, callers.collect()).await
}

/// One more server on the subject's database: for this measurement alone, as it would cost the others.
async fn replica(subject: &Subject) -> anyhow::Result<ServerProcess> {
    subject.serve(subject.server.database(), &[]).await
}

/// Half of the callers go to each.
async fn spread(
    subject: &Subject,
    other: &ServerProcess,
    calls: usize,
) -> anyhow::Result<Vec<Transfers>> {
    let mut clients = channels(subject.address(), calls / 2).await?;
    clients.extend(channels(&other.address, calls - calls / 2).await?);
    Ok(clients)
}

async fn measured<C: Caller>(
    subject: &Subject,
    other: ServerProcess,
    span: Span,
    callers: Vec<C>,
) -> anyhow::Result<Sample> {
    let watched = subject.watched_at(&[&subject.server, &other]);
    let sample = closed_loop(&watched, span, callers).await?;
    other.terminate().await;
    Ok(sample)
}
