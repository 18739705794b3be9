//! What TLS and tokens cost: the same calls at two servers of their own, each on a fresh database.

use tidegate_proto::v1::Role;
use tidegate_tests::{
    ServerProcess, actors,
    certificates::{Authority, Folder, NAMES},
};

use crate::{
    calls::{Get, Update, running_of},
    entrance::{Entrance, connect},
    load::{Sample, Span, closed_loop},
    subject::Subject,
};

/// Calls in flight.
const CALLS: usize = 256;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `GetTransfer`.
    Get,
    /// `UpdateProgress`, each call of another transfer.
    Update,
}

/// By TLS, as an agent with a token.
pub(crate) async fn secured(subject: &Subject, work: Work, span: Span) -> anyhow::Result<Sample> {
    let authority = Authority::default();
    let folder = Folder::of(&authority, &authority.server(&NAMES));
    let database = subject.database().await;
    let admin = subject.first_token(&database).await?;
    let tls = folder.arguments();
    let mut arguments: Vec<&str> = tls.iter().map(String::as_str).collect();
    // Callers of the other kind have no limit either.
    arguments.extend(["--auth", "required", "--requests-per-minute", "0"]);
    let server = subject.serve(&database, &arguments).await?;
    let address = format!("https://{}", server.authority());
    let entrance = |token: &str| Entrance::secured(&address, &authority.pem(), token);
    let channel = entrance(&admin)?.channel().await?;
    let connection = actors::connection(&channel, &admin, "bench").await;
    let agent = actors::issue(&channel, &admin, Role::Agent, &connection).await;
    let entrance = entrance(&agent.token)?;
    measure(subject, server, &entrance, &connection, work, span).await
}

/// Without either.
pub(crate) async fn unsecured(subject: &Subject, work: Work, span: Span) -> anyhow::Result<Sample> {
    let server = subject.serve(&subject.database().await, &[]).await?;
    let entrance = Entrance::plain(&server.address)?;
    let connection = connect(entrance.channel().await?).await?;
    measure(subject, server, &entrance, &connection, work, span).await
}

async fn measure(
    subject: &Subject,
    server: ServerProcess,
    entrance: &Entrance,
    connection: &str,
    work: Work,
    span: Span,
) -> anyhow::Result<Sample> {
    let calls = span.calls(CALLS);
    let uuids = running_of(entrance, connection, calls).await?;
    let callers = entrance.channels(calls).await?.into_iter().zip(uuids);
    let watched = subject.watched_at(&[&server]);
    let sample = match work {
        Work::Get => {
            let callers = callers.map(|(client, uuid)| Get { client, uuid });
            closed_loop(&watched, span, callers.collect()).await?
        }
        Work::Update => {
            let callers = callers.map(|(client, uuid)| Update {
                client,
                uuid,
                records: 0,
            });
            closed_loop(&watched, span, callers.collect()).await?
        }
    };
    server.terminate().await;
    Ok(sample)
}
