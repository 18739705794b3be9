//! `tidegate approval`: what waits for a decision.

use serde_json::json;
use tidegate_client::Client;

use super::{With, resolve};
use crate::args::ApprovalCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use crate::view::transfer::APPROVAL_COLUMNS;

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
            let request = client
                .list_pending_approvals()
                .page_size(limit.page_size())
                .with(connection, |request, uuid| request.connection_uuid(uuid))
                .with(table, |request, name| request.table_name(name));
            out.list(
                request.items(),
                limit.count(),
                APPROVAL_COLUMNS,
                "no transfer waits for a decision",
            )
            .await
        }
        ApprovalCommand::Expire => {
            let expired = client.expire_pending_approvals().await?;
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
