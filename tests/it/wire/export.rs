//! The export of transfers.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use tidegate_client::Client;
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, plain, told},
    request, soon,
};
use tonic::{Response, Status, Streaming};

/// More than two pieces.
const MANY: usize = 450;

async fn many(raw: &Raw) {
    let created = (0..MANY).map(|_| {
        let mut raw = raw.clone();
        async move { raw.create(plain()).await }
    });
    join_all(created).await;
}

async fn pieces(
    answer: impl Future<Output = Result<Response<Streaming<v1::ExportTransfersResponse>>, Status>>,
) -> Vec<v1::ExportTransfersResponse> {
    let stream = told(answer).await;
    let pieces = soon("the end of the export", stream.collect::<Vec<_>>()).await;
    pieces
        .into_iter()
        .map(|piece| piece.expect("no refusal"))
        .collect()
}

/// All of them, oldest first, as the list has them.
async fn listed(client: &Client) -> Vec<String> {
    let list = client.transfers().list().page_size(1_000);
    let mut uuids: Vec<_> = list
        .items()
        .map(|it| it.expect("a transfer").uuid.to_string())
        .collect()
        .await;
    uuids.reverse();
    uuids
}

fn uuids(pieces: &[v1::ExportTransfersResponse]) -> Vec<String> {
    pieces
        .iter()
        .flat_map(|piece| &piece.transfers)
        .map(|it| it.uuid.clone())
        .collect()
}

#[tokio::test]
async fn pieces_that_were_cut_off_go_on_where_they_ended() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    many(&raw).await;
    let all = listed(&world.client().await).await;
    assert_eq!(all.len(), MANY);
    let whole = pieces(
        raw.transfers
            .export_transfers(v1::ExportTransfersRequest::default()),
    )
    .await;
    assert_eq!(uuids(&whole), all);
    let sizes: Vec<_> = whole.iter().map(|piece| piece.transfers.len()).collect();
    assert_eq!(sizes, [200, 200, 50]);

    // After the first piece its newest is cancelled and deleted, the next one, too, and a newer one comes.
    for uuid in [&all[199], &all[200]] {
        let mut transfers = raw.transfers.clone();
        told(transfers.cancel_transfer(request::cancellation(uuid))).await;
        told(transfers.delete_transfer(request::deletion(uuid))).await;
    }
    world.clock.advance(Duration::from_secs(1));
    let newest = raw.create(plain()).await;
    let request = v1::ExportTransfersRequest {
        page_token: whole[0].next_page_token.clone(),
        ..v1::ExportTransfersRequest::default()
    };
    let rest = pieces(raw.transfers.export_transfers(request)).await;
    let mut expected = all[201..].to_vec();
    expected.push(newest.uuid);
    assert_eq!(uuids(&rest), expected);
}

#[tokio::test]
async fn what_is_not_meant_is_not_sent() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let connection = raw.connection("north").await;
    raw.declared().await;
    let linked = raw
        .create(v1::CreateTransferRequest {
            connection_uuid: connection.clone(),
            ..plain()
        })
        .await;
    let meant = |filter| v1::ExportTransfersRequest {
        filter: Some(filter),
        preload: vec![v1::Preload::Connection.into()],
        ..v1::ExportTransfersRequest::default()
    };
    let of_it = v1::TransferFilter {
        connection_uuid: connection,
        ..v1::TransferFilter::default()
    };
    let found = pieces(raw.transfers.export_transfers(meant(of_it))).await;
    assert_eq!(uuids(&found), [linked.uuid]);
    assert!(found[0].transfers[0].connection.is_some());
    let nothing = v1::TransferFilter {
        table_names: vec!["nothing".to_owned()],
        ..v1::TransferFilter::default()
    };
    let found = pieces(raw.transfers.export_transfers(meant(nothing))).await;
    assert_eq!(found, [v1::ExportTransfersResponse::default()]);
}

#[tokio::test]
async fn the_server_does_not_wait_for_it_to_end() {
    let mut world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    many(&raw).await;
    let mut stream = told(
        raw.transfers
            .export_transfers(v1::ExportTransfersRequest::default()),
    )
    .await;
    soon("a piece", stream.next())
        .await
        .expect("a piece")
        .expect("no refusal");
    soon("the stop", world.stop()).await;
    let rest = soon("the end", stream.collect::<Vec<_>>()).await;
    assert!(rest.len() <= 3, "{} pieces", rest.len());
}
