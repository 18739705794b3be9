//! Pages neither skip nor repeat what stays, however much comes and goes between them.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use prost_types::{Struct, Value, value::Kind};
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, done, plain, told},
};
use tokio::sync::watch;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// So many new transfers at once.
async fn many(raw: &Raw, count: usize, request: &v1::CreateTransferRequest) -> Vec<String> {
    let created = join_all((0..count).map(|_| {
        let (mut raw, request) = (raw.clone(), request.clone());
        async move { raw.create(request).await.uuid }
    }));
    created.await
}

/// Every page of a list, by the uuids on it.
async fn walk(mut page: impl AsyncFnMut(String) -> (Vec<String>, String)) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let (uuids, next) = page(token).await;
        pages.push(uuids);
        if next.is_empty() {
            return pages;
        }
        token = next;
    }
}

fn uuids(transfers: Vec<v1::Transfer>) -> Vec<String> {
    transfers
        .into_iter()
        .map(|transfer| transfer.uuid)
        .collect()
}

async fn walk_transfers(raw: &Raw, request: v1::ListTransfersRequest) -> Vec<Vec<String>> {
    let mut raw = raw.clone();
    walk(async |page_token| {
        let request = v1::ListTransfersRequest {
            page_token,
            ..request.clone()
        };
        let page = told(raw.transfers.list_transfers(request)).await;
        (uuids(page.transfers), page.next_page_token)
    })
    .await
}

/// Adds and deletes transfers until told to stop; how many of each.
async fn churn(
    mut raw: Raw,
    mut victims: Vec<String>,
    stop: watch::Receiver<bool>,
) -> (usize, usize) {
    let (mut added, mut deleted) = (0, 0);
    while !*stop.borrow() {
        raw.declared().await;
        added += 1;
        if let Some(victim) = victims.pop() {
            raw.delete(&victim).await;
            deleted += 1;
        }
    }
    (added, deleted)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_seven_show_each_untouched_row_once_while_others_come_and_go() {
    let (_world, raw) = world().await;
    // All of one moment, so that nothing but the uuid orders them; every fifth is going to be deleted.
    let all = many(&raw, 1_000, &plain()).await;
    let (victims, untouched): (Vec<_>, Vec<_>) = all
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 5 == 0);
    let plain_uuids = |pairs: Vec<(usize, String)>| -> Vec<String> {
        pairs.into_iter().map(|(_, uuid)| uuid).collect()
    };
    let (mut victims, untouched) = (plain_uuids(victims), plain_uuids(untouched));
    join_all(victims.iter().map(|uuid| {
        let mut raw = raw.clone();
        async move { raw.cancel(uuid).await }
    }))
    .await;
    let mut expected = untouched;
    expected.sort();
    for order in [v1::SortOrder::Asc, v1::SortOrder::Desc] {
        let (stop, stopped) = watch::channel(false);
        let doomed = victims.split_off(victims.len() / 2);
        let busy = tokio::spawn(churn(raw.clone(), doomed, stopped));
        let request = v1::ListTransfersRequest {
            page_size: 7,
            order: order.into(),
            ..v1::ListTransfersRequest::default()
        };
        let pages = walk_transfers(&raw, request).await;
        stop.send_replace(true);
        let (added, deleted) = busy.await.expect("no panic");
        assert!(
            added > 0 && deleted > 0,
            "nothing came or went: {added}, {deleted}"
        );

        let (last, full) = pages.split_last().expect("a page");
        assert!(
            full.iter().all(|page| page.len() == 7),
            "a page with a next one is full"
        );
        assert!(last.len() <= 7);
        let seen: Vec<_> = pages.concat();
        let distinct: HashSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "no row twice");
        let mut ordered = seen.clone();
        ordered.sort();
        if order == v1::SortOrder::Desc {
            ordered.reverse();
        }
        assert_eq!(seen, ordered);
        let mut kept: Vec<_> = seen
            .into_iter()
            .filter(|uuid| expected.binary_search(uuid).is_ok())
            .collect();
        kept.sort();
        assert_eq!(kept, expected, "every untouched row once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_leaves_the_filter_takes_no_other_along() {
    let (_world, mut raw) = world().await;
    let all = many(&raw, 40, &plain()).await;
    let filter = v1::TransferFilter {
        status: vec![TransferStatus::Pending.into()],
        ..v1::TransferFilter::default()
    };
    let request = v1::ListTransfersRequest {
        filter: Some(filter),
        page_size: 10,
        order: v1::SortOrder::Asc.into(),
        ..v1::ListTransfersRequest::default()
    };
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListTransfersRequest {
            page_token,
            ..request.clone()
        };
        let page = told(raw.transfers.list_transfers(request)).await;
        // Everything on the page leaves the filter, the row that the token stands at with it.
        for transfer in &page.transfers {
            raw.cancel(&transfer.uuid).await;
        }
        seen.extend(uuids(page.transfers));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let mut all = all;
    all.sort();
    assert_eq!(seen, all);
}

/// A declaration as heavy as one can be.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_would_be_too_large_ends_early_and_leads_on() {
    let (_world, mut raw) = world().await;
    let mut all = many(&raw, 150, &heavy()).await;
    all.sort();
    for (page_size, skip) in [(1_000, 0), (100, 0), (1_000, 50)] {
        let request = v1::ListTransfersRequest {
            page_size,
            order: v1::SortOrder::Asc.into(),
            ..v1::ListTransfersRequest::default()
        };
        let first = v1::ListTransfersRequest {
            skip,
            ..request.clone()
        };
        let page = told(raw.transfers.list_transfers(first)).await;
        assert!(
            (40..70).contains(&page.transfers.len()),
            "{} rows",
            page.transfers.len()
        );
        let mut seen = uuids(page.transfers);
        let mut page_token = page.next_page_token;
        while !page_token.is_empty() {
            let next = v1::ListTransfersRequest {
                page_token,
                ..request.clone()
            };
            let page = told(raw.transfers.list_transfers(next)).await;
            seen.extend(uuids(page.transfers));
            page_token = page.next_page_token;
        }
        let skip = usize::try_from(skip).expect("not negative");
        assert_eq!(seen, all[skip..], "nothing is lost between the pages");
    }
    let request = v1::ListRecentTransfersRequest {
        limit: 1_000,
        preload: Vec::new(),
    };
    let recent = raw
        .transfers
        .list_recent_transfers(request)
        .await
        .expect("below 1 MiB")
        .into_inner();
    assert!(recent.more, "it does not hold all of them");
    let recent = uuids(recent.transfers);
    let newest: Vec<_> = all.iter().rev().take(recent.len()).cloned().collect();
    assert!(recent.len() >= 40);
    assert_eq!(recent, newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_pages_of_active_transfers_and_approvals_lead_on_too() {
    let (_world, raw) = world().await;
    let mut active = many(&raw, 90, &heavy()).await;
    let mut asked = many(&raw, 90, &heavy()).await;
    join_all(active.iter().map(|uuid| {
        let mut raw = raw.clone();
        async move { raw.start(uuid).await }
    }))
    .await;
    join_all(asked.iter().map(|uuid| {
        let mut raw = raw.clone();
        async move { raw.ask(uuid, Duration::from_secs(60)).await }
    }))
    .await;
    let mut caller = raw.clone();
    let pages = walk(async |page_token| {
        let request = v1::ListActiveTransfersRequest {
            page_size: 1_000,
            page_token,
            preload: vec![v1::Preload::Connection.into()],
        };
        let page = caller
            .transfers
            .list_active_transfers(request)
            .await
            .expect("accepted");
        let page = page.into_inner();
        (uuids(page.transfers), page.next_page_token)
    })
    .await;
    active.sort();
    active.reverse();
    assert!(pages.len() > 1);
    assert_eq!(pages.concat(), active);
    let mut caller = raw.clone();
    let pages = walk(async |page_token| {
        let request = v1::ListPendingApprovalsRequest {
            page_size: 1_000,
            page_token,
            ..v1::ListPendingApprovalsRequest::default()
        };
        let page = caller
            .transfers
            .list_pending_approvals(request)
            .await
            .expect("accepted");
        let page = page.into_inner();
        (uuids(page.transfers), page.next_page_token)
    })
    .await;
    asked.sort();
    assert!(pages.len() > 1);
    assert_eq!(pages.concat(), asked, "all of one deadline, so by uuid");
}

#[tokio::test]
async fn approvals_are_paged_by_deadline() {
    let (_world, mut raw) = world().await;
    let mut expected = Vec::new();
    for number in 0_u64..23 {
        let uuid = raw.declared().await.uuid;
        // Deadlines that repeat and do not follow the order of creation.
        let seconds = 100 + (number * 7) % 5;
        raw.ask(&uuid, Duration::from_secs(seconds)).await;
        expected.push((seconds, uuid));
    }
    expected.sort();
    let pages = walk(async |page_token| {
        let request = v1::ListPendingApprovalsRequest {
            page_size: 4,
            page_token,
            ..v1::ListPendingApprovalsRequest::default()
        };
        let page = raw
            .transfers
            .list_pending_approvals(request)
            .await
            .expect("accepted");
        let page = page.into_inner();
        (uuids(page.transfers), page.next_page_token)
    })
    .await;
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [4, 4, 4, 4, 4, 3]
    );
    let expected: Vec<_> = expected.into_iter().map(|(_, uuid)| uuid).collect();
    assert_eq!(pages.concat(), expected);
}

#[tokio::test]
async fn a_full_last_page_leads_nowhere() {
    let (_world, raw) = world().await;
    let mut all = many(&raw, 21, &plain()).await;
    all.sort();
    let request = v1::ListTransfersRequest {
        page_size: 7,
        order: v1::SortOrder::Asc.into(),
        ..v1::ListTransfersRequest::default()
    };
    let pages = walk_transfers(&raw, request).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [7, 7, 7]);
    assert_eq!(pages.concat(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heavy_page_of_events_ends_early_and_leads_on() {
    let (_world, mut raw) = world().await;
    let running = many(&raw, 200, &plain()).await;
    join_all(running.iter().map(|uuid| {
        let mut raw = raw.clone();
        async move {
            raw.start(uuid).await;
            let request = v1::FailTransferRequest {
                uuid: uuid.clone(),
                error_message: "🦀".repeat(2_000),
                ..v1::FailTransferRequest::default()
            };
            done(raw.transfers.fail_transfer(request)).await
        }
    }))
    .await;
    let request = v1::ListEventsRequest {
        page_size: 1_000,
        ..v1::ListEventsRequest::default()
    };
    let first = told(raw.events.list_events(request)).await.events;
    assert!(
        first.len() < 600 && !first.is_empty(),
        "{} events",
        first.len()
    );
    let all = raw.log().await;
    let sequences: Vec<_> = all.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=600).collect::<Vec<_>>());
    let failed = all.iter().filter(|event| {
        matches!(&event.detail, Some(v1::event::Detail::Failure(failure))
            if failure.error_message.chars().count() == 2_000)
    });
    assert_eq!(failed.count(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_size_beyond_the_most_is_the_most() {
    let (_world, mut raw) = world().await;
    assert_eq!(many(&raw, 1_001, &plain()).await.len(), 1_001);
    for (page_size, expected) in [(i32::MAX, 1_000), (1_001, 1_000), (0, 50)] {
        let request = v1::ListTransfersRequest {
            page_size,
            ..v1::ListTransfersRequest::default()
        };
        let answer = told(raw.transfers.list_transfers(request)).await;
        let page = answer;
        assert_eq!(page.transfers.len(), expected, "page_size {page_size}");
        assert_ne!(page.next_page_token, "");
    }
    let request = v1::ListRecentTransfersRequest {
        limit: 5_000,
        preload: Vec::new(),
    };
    let answer = told(raw.transfers.list_recent_transfers(request)).await;
    let recent = answer.transfers;
    assert_eq!(recent.len(), 1_000);
}
