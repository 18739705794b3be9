//! All transfers that a filter means, as they come, change and go.

use std::collections::HashMap;

use futures::future::join_all;
use tidegate_proto::v1::{self, TransferStatus, watch_transfers_response::Update};
use tidegate_tests::raw::{Raw, plain, told};
use tonic::Streaming;

use super::{next, report, watch_all, world};

#[tokio::test]
async fn without_existing_ones_a_watch_is_live_at_once() {
    let (_world, mut raw) = world().await;
    let existing = raw.declared().await;
    let mut watch = watch_all(&mut raw, None, false).await;
    assert_eq!(next(&mut watch).await, Update::CaughtUp(true));
    let started = raw.start(&existing.uuid).await;
    assert_eq!(next(&mut watch).await, Update::Transfer(started));
    let reported = report(&mut raw, &existing.uuid, 3).await;
    assert_eq!(next(&mut watch).await, Update::Transfer(reported));
}

#[tokio::test]
async fn a_filtered_watch_tells_who_enters_and_who_leaves() {
    let (_world, mut raw) = world().await;
    let filter = v1::TransferFilter {
        status: vec![
            TransferStatus::Pending.into(),
            TransferStatus::Cancelled.into(),
        ],
        table_names: vec!["characters".to_owned()],
        ..v1::TransferFilter::default()
    };
    let first = raw.declared().await;
    let running = raw.running().await;
    let mut watch = watch_all(&mut raw, Some(filter), true).await;
    assert_eq!(next(&mut watch).await, Update::Transfer(first.clone()));
    assert_eq!(next(&mut watch).await, Update::CaughtUp(true));
    // It leaves, and is told once more; what it does out there is not.
    let left = raw.start(&first.uuid).await;
    assert_eq!(next(&mut watch).await, Update::Transfer(left));
    report(&mut raw, &first.uuid, 1).await;
    raw.create(v1::CreateTransferRequest {
        table_name: "planets".to_owned(),
        ..plain()
    })
    .await;
    // One enters, one comes back.
    let entered = raw.cancel(&running.uuid).await;
    assert_eq!(next(&mut watch).await, Update::Transfer(entered));
    let back = raw.cancel(&first.uuid).await;
    assert_eq!(next(&mut watch).await, Update::Transfer(back));
    raw.delete(&running.uuid).await;
    assert_eq!(next(&mut watch).await, Update::DeletedUuid(running.uuid));
    // Deleted where nobody looks: the next thing told is another one.
    let elsewhere = v1::CreateTransferRequest {
        table_name: "planets".to_owned(),
        ..plain()
    };
    let elsewhere = raw.create(elsewhere).await.uuid;
    raw.cancel(&elsewhere).await;
    raw.delete(&elsewhere).await;
    let last = raw.declared().await;
    assert_eq!(next(&mut watch).await, Update::Transfer(last));
}

/// What a watcher has made of its updates.
#[derive(Default)]
struct View {
    caught_up: usize,
    transfers: HashMap<String, v1::Transfer>,
    gone: Vec<String>,
}

impl View {
    /// Takes updates until a transfer of `table` comes.
    async fn follow(&mut self, watch: &mut Streaming<v1::WatchTransfersResponse>, table: &str) {
        loop {
            let update = next(watch).await;
            let last = matches!(&update, Update::Transfer(it) if it.table_name == table);
            self.take(update);
            if last {
                return;
            }
        }
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Transfer(transfer) => {
                assert!(
                    !self.gone.contains(&transfer.uuid),
                    "nothing follows a deletion"
                );
                let uuid = transfer.uuid.clone();
                if let Some(earlier) = self.transfers.insert(uuid, transfer.clone()) {
                    assert!(
                        earlier.revision <= transfer.revision,
                        "{earlier:?}\n{transfer:?}"
                    );
                }
            }
            Update::DeletedUuid(uuid) => {
                self.transfers.remove(&uuid);
                self.gone.push(uuid);
            }
            Update::CaughtUp(_) => self.caught_up += 1,
        }
    }
}

/// Starts, cancels, deletes and adds.
async fn stir(mut raw: Raw, uuids: Vec<String>) {
    for (index, uuid) in uuids.iter().enumerate() {
        match index % 4 {
            0 => drop(raw.start(uuid).await),
            1 => drop(raw.cancel(uuid).await),
            2 => {
                raw.cancel(uuid).await;
                raw.delete(uuid).await;
            }
            _ => drop(raw.declared().await),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_s_view_is_the_ledger_s_whatever_happened_meanwhile() {
    let (world, mut raw) = world().await;
    // More than are read at a time, so that changes fall between the reads.
    let existing = join_all((0..700).map(|_| {
        let mut raw = raw.clone();
        async move { raw.declared().await.uuid }
    }));
    let existing = existing.await;
    let mut watch = watch_all(&mut world.services().await, None, true).await;
    let workers = existing
        .chunks(100)
        .map(|chunk| tokio::spawn(stir(raw.clone(), chunk.to_vec())));
    let workers = join_all(workers);
    let mut marker = raw.clone();
    let work = async {
        for worker in workers.await {
            worker.expect("no panic");
        }
        let table_name = "the end".to_owned();
        marker
            .create(v1::CreateTransferRequest {
                table_name,
                ..plain()
            })
            .await
    };
    let mut view = View::default();
    tokio::join!(work, view.follow(&mut watch, "the end"));
    assert_eq!(view.caught_up, 1);
    let request = v1::ListTransfersRequest {
        page_size: 1_000,
        ..v1::ListTransfersRequest::default()
    };
    let page = told(raw.transfers.list_transfers(request)).await;
    assert_eq!(page.next_page_token, "");
    let kept: HashMap<_, _> = page
        .transfers
        .into_iter()
        .map(|each| (each.uuid.clone(), each))
        .collect();
    let (seen, there) = (view.transfers.len(), kept.len());
    assert!(view.transfers == kept, "{seen} seen, {there} there");
}
