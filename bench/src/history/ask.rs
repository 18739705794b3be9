//! The calls that are compared.

use tidegate_proto::v1;

use super::ledger::Ledger;
use crate::{
    calls::{Create, channels},
    entrance::Transfers,
    load::Caller,
};

/// Transfers of a page.
const PAGE: i32 = 50;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `GetConnectionStats` of one connection.
    Stats,
    /// The same of the last part of the history, by time.
    StatsOfSpan,
    /// `ListTableStats`.
    Tables,
    /// The first page of `ListTransfers`.
    List,
    /// A page from the middle of the history.
    ListFromMiddle,
    /// `CreateTransfer`, of all other connections.
    Create,
}

/// Who asks a ledger for it, each one call after the other.
pub(super) async fn callers(
    ledger: &Ledger,
    call: Call,
    calls: usize,
) -> anyhow::Result<Vec<Asking>> {
    let clients = channels(&ledger.server.address, calls).await?;
    let callers = clients.into_iter().zip(ledger.others.iter().cycle());
    let callers = callers.map(|(client, other)| asking(ledger, call, client, other));
    Ok(callers.collect())
}

/// One that asks.
pub(super) enum Asking {
    Stats(Transfers, v1::GetConnectionStatsRequest),
    Tables(Transfers, v1::ListTableStatsRequest),
    List(Transfers, Box<v1::ListTransfersRequest>),
    Create(Create),
}

fn asking(ledger: &Ledger, call: Call, client: Transfers, other: &str) -> Asking {
    let stats = v1::GetConnectionStatsRequest {
        connection_uuid: ledger.connection.clone(),
        ..v1::GetConnectionStatsRequest::default()
    };
    let page = |token: &str| v1::ListTransfersRequest {
        page_size: PAGE,
        page_token: token.to_owned(),
        ..v1::ListTransfersRequest::default()
    };
    match call {
        Call::Stats => Asking::Stats(client, stats),
        Call::StatsOfSpan => {
            let (from, to) = ledger.past.asked();
            let (from, to) = (Some(from.into()), Some(to.into()));
            Asking::Stats(client, v1::GetConnectionStatsRequest { from, to, ..stats })
        }
        Call::Tables => Asking::Tables(client, v1::ListTableStatsRequest::default()),
        Call::List => Asking::List(client, Box::new(page(""))),
        Call::ListFromMiddle => Asking::List(client, Box::new(page(&ledger.middle))),
        Call::Create => Asking::Create(Create {
            client,
            connection: other.to_owned(),
        }),
    }
}

impl Caller for Asking {
    async fn call(&mut self) -> anyhow::Result<u64> {
        let found = match self {
            Self::Stats(client, request) => {
                let answer = client.get_connection_stats(request.clone()).await?;
                answer.into_inner().by_status.len()
            }
            Self::Tables(client, request) => {
                let answer = client.list_table_stats(request.clone()).await?;
                answer.into_inner().stats.len()
            }
            Self::List(client, request) => {
                let answer = client.list_transfers(request.as_ref().clone()).await?;
                answer.into_inner().transfers.len()
            }
            Self::Create(create) => return create.call().await,
        };
        anyhow::ensure!(found > 0, "an answer without anything in it");
        Ok(1)
    }
}
