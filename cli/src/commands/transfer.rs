//! `tidegate transfer`: declaring, running, ending, finding.

use futures::stream;
use serde_json::json;
use tidegate_client::{Client, Transfer, TransferStatus, VerificationResult};
use uuid::Uuid;

use super::{
    With, approval, export, resolve,
    several::{Several, each},
    wait, watch,
};
use crate::args::{
    BulkCommand, ClaimArgs, CreateArgs, DecisionCommand, ListArgs, ReceiptArgs, RequestArgs,
    StepCommand, TransferCommand,
};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::text;
use crate::view::{
    attempt, explanation,
    transfer::{COLUMNS, details, outcome},
};

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: TransferCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        TransferCommand::List(args) => list(client, args, out).await,
        TransferCommand::Export(args) => export::run(client, args, out).await,
        TransferCommand::Get {
            transfers,
            with_connection,
        } => {
            let found = resolve::transfers(client, &transfers.ids).await?;
            let get = async |uuid| {
                let request = client.transfers().get(uuid);
                let request = if with_connection {
                    request.with_connection()
                } else {
                    request
                };
                Ok(request.await?)
            };
            each(&transfers.ids, found, out, get, |out, _, transfer| {
                out.details(transfer, |look| details(transfer, look))
            })
            .await
        }
        TransferCommand::Explain {
            transfers,
            agent_ip,
        } => {
            let found = resolve::transfers(client, &transfers.ids).await?;
            let names = approval::names(client, out).await;
            let explain = async |uuid| {
                let request = client.transfers().explain(uuid);
                Ok(request.with(agent_ip, |it, ip| it.address(ip)).await?)
            };
            each(&transfers.ids, found, out, explain, |out, _, said| {
                out.details(said, |look| explanation::details(said, &names, look))
            })
            .await
        }
        TransferCommand::Count(filter) => {
            let filter = resolve::filter(client, filter).await?;
            let count = client.transfers().count().filter(filter).await?;
            out.thing(&json!({ "count": count.to_string() }), |_| {
                text::count(count)
            })
        }
        TransferCommand::Watch(args) => watch::run(client, args, out).await,
        TransferCommand::Wait(args) => {
            let uuid = resolve::transfer(client, args.transfer.id).await?;
            let transfer = wait::until(client, uuid, &args.statuses, args.timeout).await?;
            shown(out, uuid, &transfer)?;
            if args.statuses.contains(&transfer.status) {
                Ok(())
            } else {
                Err(Failure::Ended(transfer.status))
            }
        }
        TransferCommand::Attempts { transfer, before } => {
            let uuid = resolve::transfer(client, transfer.id).await?;
            let call = client.transfers().list_attempts(uuid);
            let attempts = call.with(before, |call, lease| call.before(lease)).await?;
            if let Some(earlier) = attempts.first().filter(|first| first.lease_epoch > 1) {
                let lease = earlier.lease_epoch;
                note(&format!("earlier ones are listed with --before {lease}"));
            }
            let items = stream::iter(attempts.into_iter().map(Ok));
            out.list(items, 0, attempt::COLUMNS, "it was never started")
                .await
        }
        TransferCommand::Create(args) => {
            let transfer = create(client, *args).await?;
            shown(out, transfer.uuid, &transfer)
        }
        TransferCommand::Claim(args) => claim(client, args, out).await,
        TransferCommand::Step(command) => {
            let transfer = step(client, command).await?;
            shown(out, transfer.uuid, &transfer)
        }
        TransferCommand::Decision(command) => decide(client, command, out).await,
        TransferCommand::Bulk(command) => bulk(client, command, out).await,
    }
}

fn shown(out: &mut Output, _: Uuid, transfer: &Transfer) -> Result<(), Failure> {
    out.thing(transfer, |look| outcome(transfer, look))
}

async fn list(client: &Client, args: ListArgs, out: &mut Output) -> Result<(), Failure> {
    let request = client
        .transfers()
        .list()
        .filter(resolve::filter(client, args.filter).await?)
        .order(args.order)
        .page_size(args.limit.page_size())
        .with(args.skip, |request, skip| request.skip(skip));
    out.list(request.items(), args.limit.count(), COLUMNS, "no transfers")
        .await
}

async fn create(client: &Client, args: CreateArgs) -> Result<Transfer, Failure> {
    let connection = resolve::any_connection(client, args.connection).await?;
    let retry_of = resolve::any_transfer(client, args.retry_of).await?;
    let transfer = client
        .transfers()
        .create(args.direction, args.table)
        .requires_approval(args.requires_approval)
        .with(connection, |create, uuid| create.connection_uuid(uuid))
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
        .with(args.correlation, |create, uuid| {
            create.correlation_uuid(uuid)
        })
        .with(args.plan, |create, uuid| create.plan_uuid(uuid))
        .with(retry_of, |create, uuid| create.retry_of_uuid(uuid))
        .with(args.max_attempts, |create, most| create.max_attempts(most))
        .with(args.priority, |create, it| create.priority(it))
        .with(args.times.not_before, |create, at| create.not_before(at))
        .with(args.times.start_by, |create, at| create.start_by(at))
        .with(args.times.finish_by, |create, at| create.finish_by(at))
        .with(args.request.request_id, |create, id| create.request_id(id))
        .await?;
    Ok(transfer)
}

async fn claim(client: &Client, args: ClaimArgs, out: &mut Output) -> Result<(), Failure> {
    let connection = resolve::any_connection(client, args.connection).await?;
    let claim = client
        .transfers()
        .claim()
        .table_names(args.table)
        .with(connection, |claim, uuid| claim.connection_uuid(uuid))
        .with(args.direction, |claim, it| claim.direction(it))
        .with(args.max, |claim, most| claim.max(most))
        .with(args.wait, |claim, time| claim.wait(time))
        .with(args.heartbeat_timeout, |claim, time| {
            claim.heartbeat_timeout(time)
        })
        .with(args.agent_instance, |claim, name| {
            claim.agent_instance(name)
        })
        .with(args.request.request_id, |claim, id| claim.request_id(id));
    let items = stream::iter(claim.await?.into_iter().map(Ok));
    let nothing = "there is nothing to start";
    out.list(items, 0, COLUMNS, nothing).await
}

async fn step(client: &Client, command: StepCommand) -> Result<Transfer, Failure> {
    use StepCommand::{
        AcknowledgeStop, Complete, Fail, Progress, RequestApproval, Start, SubmitReceipt,
    };

    let transfer = match command {
        RequestApproval {
            transfer,
            expires_in,
            request,
        } => {
            let call = client
                .approvals()
                .request(resolve::transfer(client, transfer.id).await?)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(expires_in, |call, time| call.expires_in(time))
                .await?
        }
        Start {
            transfer,
            heartbeat_timeout,
            agent_instance,
            request,
        } => {
            let call = client
                .transfers()
                .start(resolve::transfer(client, transfer.id).await?)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(agent_instance, |call, name| call.agent_instance(name))
                .with(heartbeat_timeout, |call, time| call.heartbeat_timeout(time))
                .await?
        }
        Progress {
            transfer,
            totals,
            checkpoint,
            lease,
            request,
        } => {
            let uuid = resolve::transfer(client, transfer.id).await?;
            let call = client
                .transfers()
                .update_progress(lease.of(uuid), totals.into())
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(checkpoint, |call, text| call.checkpoint(text))
                .await?
        }
        Complete {
            transfer,
            totals,
            lease,
            request,
        } => {
            let uuid = resolve::transfer(client, transfer.id).await?;
            let call = client
                .transfers()
                .complete(lease.of(uuid))
                .progress(totals.into());
            call.with(request.request_id, |call, id| call.request_id(id))
                .await?
        }
        AcknowledgeStop {
            transfer,
            totals,
            checkpoint,
            lease,
            request,
        } => {
            let uuid = resolve::transfer(client, transfer.id).await?;
            let call = client
                .transfers()
                .acknowledge_stop(lease.of(uuid))
                .progress(totals.into())
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(checkpoint, |call, text| call.checkpoint(text))
                .await?
        }
        SubmitReceipt(args) => submit_receipt(client, *args).await?,
        Fail {
            transfer,
            error_message,
            code,
            retryable,
            totals,
            lease,
            request,
        } => {
            let uuid = resolve::transfer(client, transfer.id).await?;
            let call = client
                .transfers()
                .fail(lease.of(uuid), error_message)
                .retryable(retryable)
                .with(code, |call, code| call.code(code))
                .progress(totals.into());
            call.with(request.request_id, |call, id| call.request_id(id))
                .await?
        }
    };
    Ok(transfer)
}

async fn submit_receipt(client: &Client, args: ReceiptArgs) -> Result<Transfer, Failure> {
    let uuid = resolve::transfer(client, args.transfer.id).await?;
    let level = args.verification_level.unwrap_or_default();
    let result = args.verification.unwrap_or(VerificationResult::NotDone);
    let call = client
        .transfers()
        .submit_receipt(args.lease.of(uuid), args.own)
        .verification(level, result)
        .quarantined(args.quarantined)
        .with(args.peer, |call, peer| call.peer(peer))
        .with(args.consistency, |call, text| call.consistency(text))
        .with(args.request.request_id, |call, id| call.request_id(id));
    Ok(call.await?)
}

/// What is decided about any number of transfers.
pub(super) async fn decide(
    client: &Client,
    command: DecisionCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    use DecisionCommand::{Approve, Deny};

    match command {
        Approve {
            transfers,
            admin,
            comment,
            revision,
            confirm,
            request,
        } => {
            let approve = async |uuid| {
                let call = client
                    .approvals()
                    .approve(uuid)
                    .with(admin, |call, person| call.on_behalf_of(person))
                    .with(revision, |call, revision| call.revision(revision))
                    .with(request.request_id.clone(), |call, id| call.request_id(id));
                Ok(call
                    .with(comment.clone(), |call, text| call.comment(text))
                    .await?)
            };
            let mut several = Several::of(transfers, confirm, &request, "approve", is_waiting);
            several.revision = revision;
            several.act(client, out, approve, shown).await
        }
        Deny {
            transfers,
            admin,
            reason,
            revision,
            confirm,
            request,
        } => {
            let deny = async |uuid| {
                let call = client
                    .approvals()
                    .deny(uuid)
                    .with(admin, |call, person| call.on_behalf_of(person))
                    .with(revision, |call, revision| call.revision(revision))
                    .with(request.request_id.clone(), |call, id| call.request_id(id));
                Ok(call
                    .with(reason.clone(), |call, text| call.reason(text))
                    .await?)
            };
            let mut several = Several::of(transfers, confirm, &request, "deny", is_waiting);
            several.revision = revision;
            several.act(client, out, deny, shown).await
        }
    }
}

fn is_waiting(transfer: &Transfer) -> bool {
    transfer.status == TransferStatus::PendingApproval
}

fn has_ended(transfer: &Transfer) -> bool {
    transfer.status.is_terminal()
}

fn is_open(transfer: &Transfer) -> bool {
    !transfer.status.is_terminal()
}

fn may_be_paused(transfer: &Transfer) -> bool {
    is_open(transfer) && transfer.stop.is_none()
}

/// Nobody tries again what was called off or done, unless they name it.
fn may_be_tried_again(transfer: &Transfer) -> bool {
    transfer.status == TransferStatus::Failed && transfer.retried_by_uuid.is_none()
}

/// What is done to any number of transfers.
async fn bulk(client: &Client, command: BulkCommand, out: &mut Output) -> Result<(), Failure> {
    use BulkCommand::{Cancel, Delete, Pause, Resume, Retry};

    let id = |request: &RequestArgs| request.request_id.clone();
    match command {
        Cancel {
            transfers,
            stop,
            confirm,
            request,
        } => {
            let cancel = async |uuid| {
                let call = client
                    .transfers()
                    .cancel(uuid)
                    .with(id(&request), |call, id| call.request_id(id))
                    .with(stop.reason.clone(), |call, text| call.reason(text));
                Ok(call
                    .with(stop.grace(), |call, time| call.grace(time))
                    .await?)
            };
            let several = Several::of(transfers, confirm, &request, "cancel", is_open);
            several.act(client, out, cancel, shown).await
        }
        Pause {
            transfers,
            stop,
            confirm,
            request,
        } => {
            let pause = async |uuid| {
                let call = client
                    .transfers()
                    .pause(uuid)
                    .with(id(&request), |call, id| call.request_id(id))
                    .with(stop.reason.clone(), |call, text| call.reason(text));
                Ok(call
                    .with(stop.grace(), |call, time| call.grace(time))
                    .await?)
            };
            let several = Several::of(transfers, confirm, &request, "pause", may_be_paused);
            several.act(client, out, pause, shown).await
        }
        Resume {
            transfers,
            confirm,
            request,
        } => {
            let resume = async |uuid| {
                let call = client.transfers().resume(uuid);
                Ok(call
                    .with(id(&request), |call, id| call.request_id(id))
                    .await?)
            };
            let several = Several::of(transfers, confirm, &request, "resume", Transfer::is_paused);
            several.act(client, out, resume, shown).await
        }
        Retry {
            transfers,
            confirm,
            request,
        } => {
            let retry = async |uuid| {
                let call = client.transfers().retry(uuid);
                Ok(call
                    .with(id(&request), |call, id| call.request_id(id))
                    .await?)
            };
            let several = Several::of(transfers, confirm, &request, "retry", may_be_tried_again);
            several.act(client, out, retry, shown).await
        }
        Delete {
            transfers,
            confirm,
            request,
        } => {
            let delete = async |uuid| {
                let call = client.transfers().delete(uuid);
                Ok(call
                    .with(id(&request), |call, id| call.request_id(id))
                    .await?)
            };
            let mut several = Several::of(transfers, confirm, &request, "delete", has_ended);
            several.is_final = true;
            let deleted = |out: &mut Output, uuid, (): &()| {
                out.thing(&json!({ "deletedUuid": uuid }), |look| {
                    format!("transfer {} is deleted", look.id(uuid))
                })
            };
            several.act(client, out, delete, deleted).await
        }
    }
}
