//! `tidegate connection`: the other sites.

use tidegate_client::Client;

use super::{With, credential};
use crate::args::{ConnectionCommand, RotationArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::connection::{COLUMNS, details};

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: ConnectionCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        ConnectionCommand::Create(args) => {
            let connection = create(client, *args).await?;
            out.details(&connection, || details(&connection))
        }
        ConnectionCommand::Update(args) => {
            let connection = update(client, *args).await?;
            out.details(&connection, || details(&connection))
        }
        ConnectionCommand::Delete { uuid, request } => {
            let delete = client.delete_connection(uuid);
            delete
                .with(request.request_id, |delete, id| delete.request_id(id))
                .await?;
            out.thing(&json!({ "deleted_uuid": uuid.to_string() }), || {
                format!("connection {uuid} is deleted")
            })
        }
        ConnectionCommand::Approve { uuid, request } => {
            let call = client.approve_connection(uuid);
            let call = call.with(request.request_id, |call, id| call.request_id(id));
            shown(&call.await?, out)
        }
        ConnectionCommand::Suspend {
            uuid,
            reason,
            request,
        } => {
            let call = client.suspend_connection(uuid);
            let call = call.with(request.request_id, |call, id| call.request_id(id));
            shown(
                &call.with(reason, |call, text| call.reason(text)).await?,
                out,
            )
        }
        ConnectionCommand::Reactivate { uuid, request } => {
            let call = client.reactivate_connection(uuid);
            let call = call.with(request.request_id, |call, id| call.request_id(id));
            shown(&call.await?, out)
        }
        ConnectionCommand::Revoke {
            uuid,
            reason,
            request,
        } => {
            let call = client.revoke_connection(uuid);
            let call = call.with(request.request_id, |call, id| call.request_id(id));
            shown(
                &call.with(reason, |call, text| call.reason(text)).await?,
                out,
            )
        }
        ConnectionCommand::Get { uuid } => {
            let connection = client.get_connection(uuid).await?;
            out.details(&connection, || details(&connection))
        }
        ConnectionCommand::RotateToken { uuid, rotation } => {
            let RotationArgs {
                overlap,
                life,
                shown,
                request,
            } = rotation;
            let rotate = client
                .rotate_connection_token(uuid)
                .with(overlap, |rotate, time| rotate.overlap(time))
                .with(life.expires_in, |rotate, time| rotate.expires_in(time))
                .with(request.request_id, |rotate, id| rotate.request_id(id));
            credential::show(&rotate.await?, shown, out)
        }
        ConnectionCommand::List {
            direction,
            status,
            limit,
        } => {
            let request = client
                .list_connections()
                .status(status)
                .page_size(limit.page_size())
                .with(direction, |request, direction| request.direction(direction));
            out.list(request.items(), limit.count(), COLUMNS, "no connections")
                .await
        }
    }
}
