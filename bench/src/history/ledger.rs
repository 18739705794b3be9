//! A ledger with a long history: a sample of it by calls, the rest as copies of that.

use std::time::Instant;

use anyhow::Context as _;
use tidegate_proto::v1::{self, connection_service_client::ConnectionServiceClient};
use tidegate_tests::ServerProcess;

use super::{Past, sql};
use crate::{
    calls::{channels, complete, create, declaration, start},
    entrance::{Entrance, Transfers},
    subject::Subject,
};

/// Sites that tables are exchanged with.
const CONNECTIONS: usize = 8;
const TABLES: usize = 8;
/// What `ListTransfers` skips in one call at most.
const SKIP_MAX: u32 = 100_000;

/// A ledger, and the server that serves it.
pub(super) struct Ledger {
    pub(super) server: ServerProcess,
    pub(super) transfers: u32,
    /// One of its connections, whose transfers have all ended.
    pub(super) connection: String,
    /// The other connections.
    pub(super) others: Vec<String>,
    /// The page token of the middle of the list.
    pub(super) middle: String,
    pub(super) past: Past,
}

impl Ledger {
    /// Makes one with so many transfers.
    pub(super) async fn make(
        subject: &Subject,
        transfers: u32,
        past: Past,
    ) -> anyhow::Result<Self> {
        let began = Instant::now();
        let database = subject.database().await;
        let server = subject.serve(&database, &[]).await?;
        let mut connections = sample(&server.address).await?;
        server.terminate().await;
        let copies = sql::Copies {
            transfers,
            end: past.end,
            events: past.events,
        };
        copies.make(subject.kind, &database).await?;
        let copied = began.elapsed();
        subject.maintain(&database, &["stats", "rebuild"]).await?;
        sql::settle(subject.kind, &database).await?;
        eprintln!(
            "{}: {transfers} transfers in {copied:.0?}, with their sums in {:.0?}",
            subject.kind.name(),
            began.elapsed()
        );
        let server = subject.serve(&database, &[]).await?;
        let middle = middle(&server.address, transfers).await?;
        Ok(Self {
            server,
            transfers,
            connection: connections.pop().context("there are connections")?,
            others: connections,
            middle,
            past,
        })
    }
}

async fn client(address: &str) -> anyhow::Result<Transfers> {
    let mut clients = channels(address, 1).await?;
    clients.pop().context("there is one")
}

/// What is copied: of ten transfers eight were completed, one has failed and one was cancelled. Answers the
/// connections.
async fn sample(address: &str) -> anyhow::Result<Vec<String>> {
    let channel = Entrance::plain(address)?.channel().await?;
    let mut sites = ConnectionServiceClient::new(channel);
    let mut client = client(address).await?;
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let made = sites.create_connection(site(number)).await?.into_inner();
        connections.push(made.connection.context("a connection")?.uuid);
    }
    for number in 0..TABLES + 2 {
        for connection in &connections {
            let declared = v1::CreateTransferRequest {
                table_name: format!("public.orders_{}", number % TABLES),
                ..declaration(connection)
            };
            let uuid = create(&mut client, declared).await?;
            if number == TABLES {
                client.cancel_transfer(cancel(uuid)).await?;
                continue;
            }
            client.start_transfer(start(&uuid)).await?;
            if number > TABLES {
                client.fail_transfer(fail(uuid)).await?;
            } else {
                client.complete_transfer(complete(uuid)).await?;
            }
        }
    }
    Ok(connections)
}

fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn site(number: usize) -> v1::CreateConnectionRequest {
    v1::CreateConnectionRequest {
        name: format!("site {number}"),
        direction: v1::ConnectionDirection::Receiver.into(),
        site_url: format!("https://site-{number}.example"),
        request_id: request_id(),
        ..v1::CreateConnectionRequest::default()
    }
}

fn cancel(uuid: String) -> v1::CancelTransferRequest {
    v1::CancelTransferRequest {
        uuid,
        reason: "not needed any more".to_owned(),
        request_id: request_id(),
        grace: None,
    }
}

fn fail(uuid: String) -> v1::FailTransferRequest {
    v1::FailTransferRequest {
        uuid,
        error_message: "the target is full".to_owned(),
        request_id: request_id(),
        ..v1::FailTransferRequest::default()
    }
}

/// The page token of the middle of the list, which the server has to have in full: in its list and in its sums.
async fn middle(address: &str, transfers: u32) -> anyhow::Result<String> {
    let mut client = client(address).await?;
    let tables = client.list_table_stats(v1::ListTableStatsRequest::default());
    let tables = tables.await?.into_inner().stats;
    let ended: i64 = tables.iter().map(|table| table.ended).sum();
    anyhow::ensure!(
        ended == i64::from(transfers),
        "the sums have {ended} of {transfers} transfers"
    );
    let (mut token, mut left) = (String::new(), transfers / 2);
    while left > 0 {
        let step = left.min(SKIP_MAX);
        let page = v1::ListTransfersRequest {
            page_size: 1,
            page_token: token,
            skip: i32::try_from(step - 1)?,
            ..v1::ListTransfersRequest::default()
        };
        token = client
            .list_transfers(page)
            .await?
            .into_inner()
            .next_page_token;
        anyhow::ensure!(!token.is_empty(), "the list ends before its middle");
        left -= step;
    }
    Ok(token)
}
