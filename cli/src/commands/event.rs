//! `tidegate event`: the log.

use tidegate_client::Client;

use super::With;
use crate::args::EventCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::view::event::COLUMNS;

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: EventCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        EventCommand::List {
            transfer,
            connection,
            after,
            limit,
        } => {
            let request = client
                .list_events()
                .after_sequence(after)
                .page_size(limit.page_size())
                .with(transfer, |request, uuid| request.transfer_uuid(uuid))
                .with(connection, |request, uuid| request.connection_uuid(uuid));
            out.list(request.items(), limit.count(), COLUMNS, "no events")
                .await
        }
    }
}
