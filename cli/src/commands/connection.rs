//! `tidegate connection`: the other sites.

use tidegate_client::Client;

use super::With;
use crate::args::ConnectionCommand;
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
        ConnectionCommand::Create {
            name,
            direction,
            site_url,
            request,
        } => {
            let create = client.create_connection(name, direction, site_url);
            let connection = create
                .with(request.request_id, |create, id| create.request_id(id))
                .await?;
            out.details(&connection, || details(&connection))
        }
        ConnectionCommand::Get { uuid } => {
            let connection = client.get_connection(uuid).await?;
            out.details(&connection, || details(&connection))
        }
        ConnectionCommand::List { direction, limit } => {
            let request = client
                .list_connections()
                .page_size(limit.page_size())
                .with(direction, |request, direction| request.direction(direction));
            out.list(request.items(), limit.count(), COLUMNS, "no connections")
                .await
        }
    }
}
