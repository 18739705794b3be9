//! `tidegate connection`: the other sites.

use serde_json::json;
use tidegate_client::{Client, Connection};

use super::{With, credential, resolve, several::confirm};
use crate::args::{
    ConnectionCommand, ConnectionStep, CreateConnectionArgs, RotationArgs, UpdateConnectionArgs,
};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::connection::{COLUMNS, details};

mod policy;

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: ConnectionCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    let connection = match command {
        ConnectionCommand::Create(args) => create(client, *args).await?,
        ConnectionCommand::Update(args) => update(client, *args).await?,
        ConnectionCommand::Step(command) => step(client, command).await?,
        ConnectionCommand::Get { connection } => {
            let uuid = resolve::connection(client, connection.connection).await?;
            client.connections().get(uuid).await?
        }
        ConnectionCommand::RotateToken {
            connection,
            rotation,
        } => {
            let uuid = resolve::connection(client, connection.connection).await?;
            let RotationArgs {
                overlap,
                life,
                shown,
                request,
            } = rotation;
            let rotate = client
                .connections()
                .rotate_token(uuid)
                .with(overlap, |rotate, time| rotate.overlap(time))
                .with(life.expires_in, |rotate, time| rotate.expires_in(time))
                .with(request.request_id, |rotate, id| rotate.request_id(id));
            return credential::show(&rotate.await?, shown, out);
        }
        ConnectionCommand::Delete {
            connection,
            confirm: asked,
            request,
        } => {
            let said = connection.connection.to_string();
            let uuid = resolve::connection(client, connection.connection).await?;
            confirm(asked, &format!("delete connection {said}")).await?;
            let delete = client.connections().delete(uuid);
            delete
                .with(request.request_id, |delete, id| delete.request_id(id))
                .await?;
            return out.thing(&json!({ "deletedUuid": uuid }), |look| {
                format!("connection {} is deleted", look.id(uuid))
            });
        }
        ConnectionCommand::List {
            direction,
            status,
            limit,
        } => {
            let request = client
                .connections()
                .list()
                .status(status)
                .page_size(limit.page_size())
                .with(direction, |request, direction| request.direction(direction));
            let items = request.items();
            return out
                .list(items, limit.count(), COLUMNS, "no connections")
                .await;
        }
    };
    out.details(&connection, |look| details(&connection, look))
}

async fn create(client: &Client, args: CreateConnectionArgs) -> Result<Connection, Failure> {
    let connection = client
        .connections()
        .create(args.name, args.direction, args.site_url)
        .pending(args.pending)
        .allow_duplicate(args.allow_duplicate)
        .policy(policy::policy(args.policy))
        .with(args.metadata, |create, metadata| create.metadata(metadata))
        .with(args.request.request_id, |create, id| create.request_id(id))
        .await?;
    Ok(connection)
}

async fn update(client: &Client, args: UpdateConnectionArgs) -> Result<Connection, Failure> {
    let uuid = resolve::connection(client, args.connection.connection).await?;
    let update = client
        .connections()
        .update(uuid)
        .allow_duplicate(args.allow_duplicate)
        .with(args.name, |update, name| update.name(name))
        .with(args.site_url, |update, url| update.site_url(url))
        .with(args.metadata, |update, metadata| update.metadata(metadata))
        .with(args.revision, |update, revision| update.revision(revision))
        .with(args.request.request_id, |update, id| update.request_id(id));
    let cleared = args.clear.into_iter().fold(update, policy::clear);
    Ok(policy::change(cleared, args.policy).await?)
}

async fn step(client: &Client, command: ConnectionStep) -> Result<Connection, Failure> {
    use ConnectionStep::{Approve, Reactivate, Revoke, Suspend};

    let connection = match command {
        Approve {
            connection,
            request,
        } => {
            let uuid = resolve::connection(client, connection.connection).await?;
            let call = client.connections().approve(uuid);
            call.with(request.request_id, |call, id| call.request_id(id))
                .await?
        }
        Suspend {
            connection,
            reason,
            request,
        } => {
            let uuid = resolve::connection(client, connection.connection).await?;
            let call = client
                .connections()
                .suspend(uuid)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(reason, |call, text| call.reason(text)).await?
        }
        Reactivate {
            connection,
            request,
        } => {
            let uuid = resolve::connection(client, connection.connection).await?;
            let call = client.connections().reactivate(uuid);
            call.with(request.request_id, |call, id| call.request_id(id))
                .await?
        }
        Revoke {
            connection,
            reason,
            confirm: asked,
            request,
        } => {
            let said = connection.connection.to_string();
            let uuid = resolve::connection(client, connection.connection).await?;
            let what = format!("revoke for good connection {said}, with its agents' credentials");
            confirm(asked, &what).await?;
            let call = client
                .connections()
                .revoke(uuid)
                .with(request.request_id, |call, id| call.request_id(id));
            call.with(reason, |call, text| call.reason(text)).await?
        }
    };
    Ok(connection)
}
