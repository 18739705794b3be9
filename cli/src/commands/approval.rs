//! `tidegate approval`: what waits for a decision.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use serde_json::json;
use tidegate_client::Client;
use uuid::Uuid;

use super::{With, resolve, several::each, transfer};
use crate::args::ApprovalCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use crate::view::approval::{COLUMNS, Waiting, details};

/// So many of the newest credentials are asked for their names.
const MOST_NAMES: u32 = 1_000;

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: ApprovalCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        ApprovalCommand::List {
            connection,
            table,
            limit,
        } => {
            let connection = resolve::any_connection(client, connection).await?;
            let names = names(client, out).await;
            let request = client
                .approvals()
                .list_pending()
                .with_connection()
                .page_size(limit.page_size())
                .with(connection, |request, uuid| request.connection_uuid(uuid))
                .with(table, |request, name| request.table_name(name));
            let waiting = request.items();
            let waiting = waiting.map_ok(|transfer| Waiting::new(transfer, &names));
            let none = "no transfer waits for a decision";
            out.list(waiting, limit.count(), COLUMNS, none).await
        }
        ApprovalCommand::Show(transfers) => {
            let found = resolve::transfers(client, &transfers.ids).await?;
            let names = names(client, out).await;
            let for_programs = out.is_for_programs();
            let get = async |uuid| {
                let transfer = client.transfers().get(uuid).with_connection().await?;
                let explained = match for_programs {
                    true => None,
                    false => client.transfers().explain(uuid).await?.decision,
                };
                Ok(Waiting::new(transfer, &names).decided_by(explained))
            };
            each(&transfers.ids, found, out, get, |out, _, waiting| {
                out.details(waiting, |look| details(waiting, &names, look))
            })
            .await
        }
        ApprovalCommand::Decision(command) => transfer::decide(client, *command, out).await,
        ApprovalCommand::Expire => {
            let expired = client.approvals().expire_pending().await?;
            let noun = if expired == 1 {
                "transfer"
            } else {
                "transfers"
            };
            out.thing(&json!({ "expiredCount": expired.to_string() }), |_| {
                format!("expired {} {noun}", text::count(expired))
            })
        }
    }
}

/// What those who may have asked are called, for people; nothing where the caller may not know.
pub(super) async fn names(client: &Client, out: &Output) -> HashMap<Uuid, String> {
    if out.is_for_programs() {
        return HashMap::new();
    }
    people(client).await
}

/// What the holders of credentials are called; nothing where the caller may not know.
pub(super) async fn people(client: &Client) -> HashMap<Uuid, String> {
    let credentials = client.credentials().list().page_size(MOST_NAMES).await;
    let known = credentials.map(|page| page.items).unwrap_or_default();
    let named = known.into_iter().map(|known| (known.uuid, known.name));
    named.collect()
}
