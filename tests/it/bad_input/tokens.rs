//! Page tokens: only the list that gave one takes it back, with the same filter and order, unchanged.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{NOBODY, Raw, plain, told},
};

use super::bad_fields;

/// A token of each list.
struct Tokens {
    _world: World,
    raw: Raw,
    transfers: String,
    approvals: String,
    active: String,
    connections: String,
}

fn filter() -> v1::TransferFilter {
    v1::TransferFilter {
        table_names: vec!["characters".to_owned()],
        status: vec![
            TransferStatus::Pending.into(),
            TransferStatus::InProgress.into(),
        ],
        ..v1::TransferFilter::default()
    }
}

fn range(from: Option<prost_types::Timestamp>) -> Option<v1::TimeRange> {
    Some(v1::TimeRange { from, to: None })
}

fn transfers(page_token: &str) -> v1::ListTransfersRequest {
    v1::ListTransfersRequest {
        filter: Some(filter()),
        page_size: 1,
        page_token: page_token.to_owned(),
        ..v1::ListTransfersRequest::default()
    }
}

fn approvals(page_token: &str) -> v1::ListPendingApprovalsRequest {
    v1::ListPendingApprovalsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        ..v1::ListPendingApprovalsRequest::default()
    }
}

fn active(page_token: &str) -> v1::ListActiveTransfersRequest {
    v1::ListActiveTransfersRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        preload: Vec::new(),
    }
}

fn connections(page_token: &str) -> v1::ListConnectionsRequest {
    v1::ListConnectionsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        ..v1::ListConnectionsRequest::default()
    }
}

async fn tokens() -> Tokens {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for name in ["a", "b"] {
        raw.connection(name).await;
        raw.declared().await;
        raw.running().await;
        let uuid = raw.declared().await.uuid;
        raw.ask(&uuid, Duration::from_secs(60)).await;
    }
    let answer = told(raw.transfers.list_transfers(transfers(""))).await;
    let asked = told(raw.transfers.list_pending_approvals(approvals(""))).await;
    let running = told(raw.transfers.list_active_transfers(active(""))).await;
    let sites = told(raw.connections.list_connections(connections(""))).await;
    let tokens = Tokens {
        _world: world,
        raw,
        transfers: answer.next_page_token,
        approvals: asked.next_page_token,
        active: running.next_page_token,
        connections: sites.next_page_token,
    };
    for token in [
        &tokens.transfers,
        &tokens.approvals,
        &tokens.active,
        &tokens.connections,
    ] {
        assert!(!token.is_empty(), "each list goes on");
    }
    tokens
}

/// What becomes of `token` when one character is another one, for each character.
fn tampered(token: &str) -> Vec<String> {
    let mut all: Vec<String> = (0..token.len())
        .map(|index| {
            let mut bytes = token.as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).expect("ASCII")
        })
        .collect();
    all.extend([
        token[1..].to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
        token.repeat(2),
        "garbage".to_owned(),
        "A".repeat(55),
        "x".repeat(60_000),
        "\0".to_owned(),
    ]);
    all
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let mut tokens = tokens().await;
    for token in tampered(&tokens.transfers) {
        let call = tokens.raw.transfers.list_transfers(transfers(&token));
        assert_eq!(bad_fields(call).await, ["page_token"], "{token:?}");
    }
    for token in tampered(&tokens.approvals).iter().step_by(7) {
        let call = tokens
            .raw
            .transfers
            .list_pending_approvals(approvals(token));
        assert_eq!(bad_fields(call).await, ["page_token"], "{token:?}");
    }
    let good = told(
        tokens
            .raw
            .transfers
            .list_transfers(transfers(&tokens.transfers)),
    )
    .await;
    assert_eq!(good.transfers.len(), 1);
}

#[tokio::test]
async fn a_token_of_another_list_is_refused() {
    let mut tokens = tokens().await;
    let names = ["transfers", "approvals", "active", "connections"];
    let all = [
        &tokens.transfers,
        &tokens.approvals,
        &tokens.active,
        &tokens.connections,
    ];
    for (name, token) in names.into_iter().zip(all.map(Clone::clone)) {
        let raw = &mut tokens.raw;
        if name != "transfers" {
            let call = raw.transfers.list_transfers(transfers(&token));
            assert_eq!(bad_fields(call).await, ["page_token"], "{name}");
        }
        if name != "approvals" {
            let call = raw.transfers.list_pending_approvals(approvals(&token));
            assert_eq!(bad_fields(call).await, ["page_token"], "{name}");
        }
        if name != "active" {
            let call = raw.transfers.list_active_transfers(active(&token));
            assert_eq!(bad_fields(call).await, ["page_token"], "{name}");
        }
        if name != "connections" {
            let call = raw.connections.list_connections(connections(&token));
            assert_eq!(bad_fields(call).await, ["page_token"], "{name}");
        }
    }
}

#[tokio::test]
async fn a_token_belongs_to_its_filter_and_order() {
    let mut tokens = tokens().await;
    let time = Some(prost_types::Timestamp::default());
    let changes: [fn(&mut v1::TransferFilter, Option<prost_types::Timestamp>); 17] = [
        |filter, _| filter.reconciliation = v1::ReconciliationState::Matched.into(),
        |filter, _| filter.correlation_uuid = NOBODY.to_owned(),
        |filter, _| filter.plan_uuid = NOBODY.to_owned(),
        |filter, _| filter.table_names.push("s".to_owned()),
        |filter, _| filter.table_prefix.push('c'),
        |filter, _| filter.partial = Some(false),
        |filter, _| filter.initiated_by_uuid = NOBODY.to_owned(),
        |filter, _| filter.decided_by_uuid = NOBODY.to_owned(),
        |filter, _| filter.lease_owner_uuid = NOBODY.to_owned(),
        |filter, time| filter.started = range(time),
        |filter, time| filter.updated = range(time),
        |filter, _| filter.table_names.clear(),
        |filter, _| filter.status.truncate(1),
        |filter, _| filter.requires_approval = Some(false),
        |filter, _| filter.direction = v1::Direction::Send.into(),
        |filter, time| filter.from = time,
        |filter, time| filter.to = time,
    ];
    for change in changes {
        let mut request = transfers(&tokens.transfers);
        change(request.filter.get_or_insert_default(), time);
        let what = format!("{request:?}");
        let call = tokens.raw.transfers.list_transfers(request);
        assert_eq!(bad_fields(call).await, ["page_token"], "{what}");
    }
    let mut request = transfers(&tokens.transfers);
    request.order = v1::SortOrder::Asc.into();
    let call = tokens.raw.transfers.list_transfers(request);
    assert_eq!(bad_fields(call).await, ["page_token"]);
    let mut request = approvals(&tokens.approvals);
    request.table_name = "characters".to_owned();
    let call = tokens.raw.transfers.list_pending_approvals(request);
    assert_eq!(bad_fields(call).await, ["page_token"]);
    let mut request = connections(&tokens.connections);
    request.direction = v1::ConnectionDirection::Sender.into();
    let call = tokens.raw.connections.list_connections(request);
    assert_eq!(bad_fields(call).await, ["page_token"]);
}

#[tokio::test]
async fn a_token_outlives_other_page_sizes_and_other_words_for_the_same_filter() {
    let mut tokens = tokens().await;
    let same = v1::TransferFilter {
        status: vec![
            TransferStatus::InProgress.into(),
            TransferStatus::Pending.into(),
            TransferStatus::Pending.into(),
        ],
        ..filter()
    };
    let request = v1::ListTransfersRequest {
        filter: Some(same),
        page_size: 100,
        order: v1::SortOrder::Desc.into(),
        ..transfers(&tokens.transfers)
    };
    let answer = told(tokens.raw.transfers.list_transfers(request)).await;
    assert_eq!(answer.transfers.len(), 3);
    let fresh = tokens.raw.create(plain()).await;
    let again = told(
        tokens
            .raw
            .transfers
            .list_transfers(transfers(&tokens.transfers)),
    )
    .await;
    let page = again.transfers;
    assert_ne!(
        page[0].uuid, fresh.uuid,
        "what came later stands before the place"
    );
}
