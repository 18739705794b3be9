//! `tidegate transfer`: each command is one call and what it answers.

use serde_json::json;
use tidegate_client::{Client, Transfer};

use super::{With, watch};
use crate::args::{CreateArgs, DecisionCommand, ListArgs, StepCommand, TransferCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use crate::view::transfer::{COLUMNS, details, outcome};

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: TransferCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        TransferCommand::List(args) => list(client, args, out).await,
        TransferCommand::Get {
            uuid,
            with_connection,
        } => {
            let request = client.get_transfer(uuid);
            let request = if with_connection {
                request.with_connection()
            } else {
                request
            };
            let transfer = request.await?;
            out.details(&transfer, |look| details(&transfer, look))
        }
        TransferCommand::Count(filter) => {
            let count = client.count_transfers().filter(filter.to_filter()).await?;
            out.thing(&json!({ "count": count.to_string() }), |_| {
                text::count(count)
            })
        }
        TransferCommand::Delete { uuid, request } => {
            client
                .delete_transfer(uuid)
                .with(request.request_id, |delete, id| delete.request_id(id))
                .await?;
            out.thing(&json!({ "deletedUuid": uuid }), |_| {
                format!("transfer {uuid} is deleted")
            })
        }
        TransferCommand::Watch(args) => match args.uuid {
            Some(uuid) => watch::one(client, uuid, out).await,
            None => watch::all(client, &args, out).await,
        },
        TransferCommand::Create(args) => {
            let transfer = create(client, *args).await?;
            out.thing(&transfer, |look| outcome(&transfer, look))
        }
        TransferCommand::Decision(command) => {
            let transfer = decide(client, command).await?;
            out.thing(&transfer, |look| outcome(&transfer, look))
        }
        TransferCommand::Step(command) => {
            let transfer = step(client, command).await?;
            out.thing(&transfer, |look| outcome(&transfer, look))
        }
    }
}

async fn list(client: &Client, args: ListArgs, out: &mut Output) -> Result<(), Failure> {
    let request = client
        .list_transfers()
        .filter(args.filter.to_filter())
        .order(args.order)
        .page_size(args.limit.page_size())
        .with(args.skip, |request, skip| request.skip(skip));
    out.list(request.items(), args.limit.count(), COLUMNS, "no transfers")
        .await
}

async fn create(client: &Client, args: CreateArgs) -> Result<Transfer, Failure> {
    let transfer = client
        .create_transfer(args.direction, args.table)
        .requires_approval(args.requires_approval)
        .with(args.connection, |create, uuid| create.connection_uuid(uuid))
        .with(args.session_code, |create, code| create.session_code(code))
        .with(args.remote_site_url, |create, url| {
            create.remote_site_url(url)
        })
        .with(args.records_requested, |create, rows| {
            create.records_requested(rows)
        })
        .with(args.conflict_strategy, |create, strategy| {
            create.conflict_strategy(strategy)
        })
        .with(args.initiated_by, |create, uuid| {
            create.initiated_by_uuid(uuid)
        })
        .with(args.metadata, |create, metadata| create.metadata(metadata))
        .with(args.retry_of, |create, uuid| create.retry_of_uuid(uuid))
        .with(args.request.request_id, |create, id| create.request_id(id))
        .await?;
    Ok(transfer)
}

async fn decide(client: &Client, command: DecisionCommand) -> Result<Transfer, Failure> {
    use DecisionCommand::{Approve, Deny, RequestApproval};

    let transfer = match command {
        RequestApproval {
            uuid,
            expires_in,
            request,
        } => {
            let call = client
                .request_approval(uuid)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(expires_in, |call, time| call.expires_in(time))
                .await?
        }
        Approve {
            uuid,
            admin,
            comment,
            revision,
            request,
        } => {
            let call = client
                .approve_transfer(uuid)
                .with(admin, |call, person| call.on_behalf_of(person))
                .with(revision, |call, revision| call.revision(revision))
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(comment, |call, text| call.comment(text)).await?
        }
        Deny {
            uuid,
            admin,
            reason,
            revision,
            request,
        } => {
            let call = client
                .deny_transfer(uuid)
                .with(admin, |call, person| call.on_behalf_of(person))
                .with(revision, |call, revision| call.revision(revision))
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(reason, |call, text| call.reason(text)).await?
        }
    };
    Ok(transfer)
}

async fn step(client: &Client, command: StepCommand) -> Result<Transfer, Failure> {
    use StepCommand::{Cancel, Complete, Fail, Start};

    let transfer = match command {
        Start {
            uuid,
            heartbeat_timeout,
            request,
        } => {
            let call = client
                .start_transfer(uuid)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(heartbeat_timeout, |call, time| call.heartbeat_timeout(time))
                .await?
        }
        Cancel {
            uuid,
            reason,
            request,
        } => {
            let call = client
                .cancel_transfer(uuid)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(reason, |call, text| call.reason(text)).await?
        }
        Complete { uuid, request } => {
            let call = client.complete_transfer(uuid);
            call.with(request.request_id, |call, id| call.request_id(id))
                .await?
        }
        Fail {
            uuid,
            error_message,
            request,
        } => {
            let call = client.fail_transfer(uuid, error_message);
            call.with(request.request_id, |call, id| call.request_id(id))
                .await?
        }
    };
    Ok(transfer)
}
