//! `tidegate bulk`: one verb for many transfers, carried out by the server.

use std::time::Duration;

use futures::stream;
use tidegate_client::{BulkOperation, BulkState, Client, StartBulkOperation};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    With, resolve,
    several::{can_answer, confirm},
};
use crate::args::{OperationCommand, StartArgs};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::view::{
    bulk::{COLUMNS, OUTCOMES, details},
    transfer,
};

/// Time between two looks at an operation that is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: OperationCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        OperationCommand::Start(args) => start(client, *args, out).await,
        OperationCommand::Get { operation } => {
            let operation = client.bulk().get(operation.id).await?;
            out.details(&operation, |look| details(&operation, look))
        }
        OperationCommand::List { limit } => {
            let request = client.bulk().list().page_size(limit.page_size());
            let none = "no bulk operations";
            out.list(request.items(), limit.count(), COLUMNS, none)
                .await
        }
        OperationCommand::Outcomes {
            operation,
            result,
            limit,
        } => {
            let request = client
                .bulk()
                .outcomes(operation.id)
                .page_size(limit.page_size())
                .with(result, |request, result| request.result(result));
            out.list(request.items(), limit.count(), OUTCOMES, "no outcomes")
                .await
        }
        OperationCommand::Stop { operation, request } => {
            let stop = client
                .bulk()
                .stop(operation.id)
                .with(request.request_id, |stop, id| stop.request_id(id));
            let operation = stop.await?;
            out.details(&operation, |look| details(&operation, look))
        }
    }
}

async fn start(client: &Client, args: StartArgs, out: &mut Output) -> Result<(), Failure> {
    let (verb, dry_run, wait, asks) = (args.verb, args.dry_run, args.wait, args.confirm);
    let start = request(client, args).await?;
    if dry_run || !asks.yes {
        let found = start.clone().dry_run().await?;
        let (matched, none) = (found.matched, format!("there is no transfer to {verb}"));
        if dry_run {
            note(&format!(
                "nothing is done: {matched} transfers match, and the first of them are"
            ));
            let sample = stream::iter(found.sample.into_iter().map(Ok));
            return out.list(sample, 0, transfer::COLUMNS, &none).await;
        }
        if !can_answer() {
            return Err(Failure::Usage(format!(
                "{matched} transfers match: look at them with --dry-run, then say --yes"
            )));
        }
        confirm(asks, &format!("{verb} {matched} transfers")).await?;
    }
    let mut operation = start.await?;
    if wait {
        operation = ended(client, operation.uuid).await?;
    }
    out.details(&operation, |look| details(&operation, look))
}

async fn request(client: &Client, args: StartArgs) -> Result<StartBulkOperation, Failure> {
    let grace = args.stop.grace();
    let start = if args.all {
        client.bulk().start_on_all(args.verb)
    } else {
        let filter = resolve::filter(client, args.filter).await?;
        client.bulk().start(args.verb, &filter)
    };
    Ok(start
        .with(args.stop.reason, |start, reason| start.reason(reason))
        .with(grace, |start, grace| start.grace(grace))
        .with(args.request.request_id, |start, id| start.request_id(id)))
}

/// The operation once it has ended.
async fn ended(client: &Client, uuid: Uuid) -> Result<BulkOperation, Failure> {
    loop {
        let operation = client.bulk().get(uuid).await?;
        if operation.state != BulkState::Running {
            return Ok(operation);
        }
        sleep(LOOK).await;
    }
}
