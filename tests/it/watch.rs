//! Watches: at once, in order, never stale, and ended with a reason.

mod bounds;
mod client;
mod many;
mod one;
mod resume;

use prost_types::{Struct, Value, value::Kind};
use tidegate_proto::v1::{self, watch_transfers_response::Update};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, done, plain, totals},
    soon,
};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// A connection on which little can be on its way at once, so that who does not read holds the server up.
pub(crate) async fn narrow(world: &World) -> Raw {
    const WINDOW: u32 = 64 * 1_024;
    let endpoint = Endpoint::from_shared(world.address.clone()).expect("a valid address");
    let endpoint = endpoint
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let channel: Channel = endpoint.connect().await.expect("the server listens");
    Raw::on(channel)
}

/// A declaration so heavy that a few fill a narrow connection.
fn heavy() -> v1::CreateTransferRequest {
    let text = Value {
        kind: Some(Kind::StringValue("x".repeat(16_000))),
    };
    v1::CreateTransferRequest {
        metadata: Some(Struct {
            fields: [("k".to_owned(), text)].into(),
        }),
        ..plain()
    }
}

pub(crate) async fn watch(raw: &mut Raw, uuid: &str) -> Streaming<v1::WatchTransferResponse> {
    let request = v1::WatchTransferRequest {
        uuid: uuid.to_owned(),
    };
    let watch = raw.transfers.watch_transfer(request);
    soon("the watch", watch)
        .await
        .expect("the transfer exists")
        .into_inner()
}

pub(crate) async fn watch_all(
    raw: &mut Raw,
    filter: Option<v1::TransferFilter>,
    include_existing: bool,
) -> Streaming<v1::WatchTransfersResponse> {
    let request = v1::WatchTransfersRequest {
        filter,
        include_existing,
        ..v1::WatchTransfersRequest::default()
    };
    let watch = raw.transfers.watch_transfers(request);
    soon("the watch", watch)
        .await
        .expect("it is accepted")
        .into_inner()
}

async fn next(watch: &mut Streaming<v1::WatchTransfersResponse>) -> Update {
    let message = soon("an update", watch.message())
        .await
        .expect("no refusal");
    message.expect("it does not end").update.expect("an update")
}

/// Everything until the stream ends, and how.
async fn rest(
    mut watch: Streaming<v1::WatchTransferResponse>,
) -> (Vec<v1::Transfer>, Result<(), Status>) {
    let mut seen = Vec::new();
    loop {
        match soon("a change or the end", watch.message()).await {
            Ok(Some(message)) => seen.push(message.transfer.expect("the transfer")),
            Ok(None) => return (seen, Ok(())),
            Err(refusal) => return (seen, Err(refusal)),
        }
    }
}

/// How a stream is ended by the server.
async fn end_of<T>(stream: &mut Streaming<T>) -> Status {
    loop {
        match soon("the end", stream.message()).await {
            Ok(message) => assert!(message.is_some(), "it does not end without a word"),
            Err(refusal) => return refusal,
        }
    }
}

fn assert_ascending(seen: &[v1::Transfer]) {
    let ascending = seen
        .windows(2)
        .all(|pair| pair[0].revision < pair[1].revision);
    let revisions: Vec<_> = seen.iter().map(|each| each.revision).collect();
    assert!(ascending, "{revisions:?}");
}

async fn report(raw: &mut Raw, uuid: &str, records: i64) -> v1::Transfer {
    let request = v1::UpdateProgressRequest {
        uuid: uuid.to_owned(),
        progress: Some(totals(records)),
        ..v1::UpdateProgressRequest::default()
    };
    done(raw.transfers.update_progress(request)).await
}
