//! The limits themselves: the last value within is taken, the first one beyond is refused.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions,
    raw::{ADMIN, NOBODY, Raw, done, plain, totals, wire_duration},
};

use super::{bad_fields, everything};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// So many characters, each of two bytes: limits count characters.
fn wide(count: usize) -> String {
    "é".repeat(count)
}

#[tokio::test]
async fn a_declaration_is_taken_up_to_its_limits() {
    let (_world, mut raw) = world().await;
    let url = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
    type Change = fn(&mut v1::CreateTransferRequest, String);
    let cases: [(&str, Change, String, String); 5] = [
        (
            "table_name",
            |request, text| request.table_name = text,
            wide(255),
            wide(256),
        ),
        (
            "session_code",
            |request, text| request.session_code = text,
            wide(20),
            wide(21),
        ),
        (
            "remote_site_url",
            |request, text| request.remote_site_url = text,
            url(255),
            url(256),
        ),
        (
            "requester_user_agent",
            |request, text| request.requester_user_agent = text,
            wide(255),
            wide(256),
        ),
        (
            "request_id",
            |request, text| request.request_id = text,
            "~".repeat(36),
            "!".repeat(37),
        ),
    ];
    for (field, change, within, beyond) in cases {
        let mut request = plain();
        change(&mut request, within);
        raw.create(request).await;
        let before = everything(&mut raw).await;
        let mut request = plain();
        change(&mut request, beyond);
        assert_eq!(
            bad_fields(raw.transfers.create_transfer(request)).await,
            [field]
        );
        assert_eq!(everything(&mut raw).await, before);
    }
    for table_name in ["", " ", "\u{3000}"] {
        let request = v1::CreateTransferRequest {
            table_name: table_name.to_owned(),
            ..plain()
        };
        assert_eq!(
            bad_fields(raw.transfers.create_transfer(request)).await,
            ["table_name"]
        );
    }
}

#[tokio::test]
async fn a_connection_is_taken_up_to_its_limits() {
    let (_world, mut raw) = world().await;
    let sound = v1::CreateConnectionRequest {
        name: wide(255),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: format!("http://a.example/{}", "x".repeat(238)),
        request_id: "~".repeat(36),
    };
    assert_eq!(sound.site_url.len(), 255);
    raw.connections
        .create_connection(sound.clone())
        .await
        .expect("all is within the limits");
    let before = everything(&mut raw).await;
    let none = v1::CreateConnectionRequest::default();
    let mut named = bad_fields(raw.connections.create_connection(none)).await;
    named.sort();
    assert_eq!(named, ["direction", "name", "site_url"]);
    let beyond = v1::CreateConnectionRequest {
        name: wide(256),
        site_url: format!("{}x", sound.site_url),
        request_id: "~".repeat(37),
        ..sound
    };
    let mut named = bad_fields(raw.connections.create_connection(beyond)).await;
    named.sort();
    assert_eq!(named, ["name", "request_id", "site_url"]);
    assert_eq!(everything(&mut raw).await, before);
}

#[tokio::test]
async fn reasons_are_taken_up_to_their_limits() {
    let (_world, mut raw) = world().await;
    let uuid = raw.declared().await.uuid;
    let cancel = |length| v1::CancelTransferRequest {
        uuid: uuid.clone(),
        reason: wide(length),
        request_id: String::new(),
    };
    assert_eq!(
        bad_fields(raw.transfers.cancel_transfer(cancel(1_001))).await,
        ["reason"]
    );
    let cancelled = done(raw.transfers.cancel_transfer(cancel(1_000))).await;
    assert_eq!(cancelled.cancel_reason, wide(1_000));

    let uuid = raw.running().await.uuid;
    let fail = |length| v1::FailTransferRequest {
        uuid: uuid.clone(),
        error_message: "🦀".repeat(length),
        ..v1::FailTransferRequest::default()
    };
    assert_eq!(
        bad_fields(raw.transfers.fail_transfer(fail(2_001))).await,
        ["error_message"]
    );
    assert_eq!(
        bad_fields(raw.transfers.fail_transfer(fail(0))).await,
        ["error_message"]
    );
    let failed = done(raw.transfers.fail_transfer(fail(2_000))).await;
    assert_eq!(failed.error_message, "🦀".repeat(2_000));

    for deny in [false, true] {
        let uuid = raw.declared().await.uuid;
        raw.ask(&uuid, Duration::from_secs(60)).await;
        for (length, admin, expected) in [
            (1_001, ADMIN, Some(if deny { "reason" } else { "comment" })),
            (0, "", Some("admin_user_uuid")),
            (1_000, ADMIN, None),
        ] {
            let admin_user_uuid = admin.to_owned();
            let (uuid, text, request_id) = (uuid.clone(), wide(length), String::new());
            let outcome = if deny {
                let reason = text;
                let request = v1::DenyTransferRequest {
                    uuid,
                    admin_user_uuid,
                    reason,
                    request_id,
                };
                raw.transfers
                    .deny_transfer(request)
                    .await
                    .map(|_| tonic::Response::new(()))
            } else {
                let comment = text;
                let request = v1::ApproveTransferRequest {
                    uuid,
                    admin_user_uuid,
                    comment,
                    request_id,
                };
                raw.transfers
                    .approve_transfer(request)
                    .await
                    .map(|_| tonic::Response::new(()))
            };
            match expected {
                Some(field) => assert_eq!(bad_fields(async { outcome }).await, [field]),
                None => assert!(outcome.is_ok(), "{outcome:?}"),
            }
        }
    }
}

#[tokio::test]
async fn durations_are_taken_up_to_their_limits() {
    let (world, mut raw) = world().await;
    let day = Duration::from_secs(24 * 3_600);
    let tick = Duration::from_nanos(1);
    let second = Duration::from_secs(1);
    for (time, good) in [
        (second - tick, false),
        (second, true),
        (day, true),
        (day + tick, false),
    ] {
        let uuid = raw.declared().await.uuid;
        let request = v1::StartTransferRequest {
            uuid,
            heartbeat_timeout: Some(wire_duration(time)),
            request_id: String::new(),
        };
        if good {
            let started = done(raw.transfers.start_transfer(request)).await;
            assert_eq!(started.heartbeat_timeout, Some(wire_duration(time)));
        } else {
            let named = bad_fields(raw.transfers.start_transfer(request)).await;
            assert_eq!(named, ["heartbeat_timeout"]);
        }
    }
    for (time, good) in [
        (second - tick, false),
        (second, true),
        (90 * day, true),
        (90 * day + tick, false),
    ] {
        let uuid = raw.declared().await.uuid;
        let request = v1::RequestApprovalRequest {
            uuid,
            expires_in: Some(wire_duration(time)),
            request_id: String::new(),
        };
        if good {
            let asked = done(raw.transfers.request_approval(request)).await;
            let deadline = tidegate_tests::raw::wire_time(world.clock.now().after(time));
            assert_eq!(asked.approval_expires_at, Some(deadline));
        } else {
            let named = bad_fields(raw.transfers.request_approval(request)).await;
            assert_eq!(named, ["expires_in"]);
        }
    }
}

#[tokio::test]
async fn checkpoints_and_totals_are_taken_up_to_their_limits() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let most = v1::Progress {
        records_transferred: Some(i64::MAX),
        records_created: Some(i64::MAX),
        records_updated: Some(i64::MAX),
        records_skipped: Some(i64::MAX),
        records_failed: Some(i64::MAX),
        bytes_transferred: Some(i64::MAX),
    };
    let request = v1::UpdateProgressRequest {
        uuid: uuid.clone(),
        progress: Some(most),
        checkpoint: Some(vec![0; 4_096]),
        request_id: String::new(),
    };
    let running = done(raw.transfers.update_progress(request.clone())).await;
    assert_eq!(
        (running.progress, running.checkpoint.len()),
        (Some(most), 4_096)
    );
    assert!(
        (running.success_rate - 2.0).abs() < 1e-9,
        "the sum is no integer that overflows"
    );
    let beyond = v1::UpdateProgressRequest {
        checkpoint: Some(vec![0; 4_097]),
        ..request
    };
    assert_eq!(
        bad_fields(raw.transfers.update_progress(beyond)).await,
        ["checkpoint"]
    );
}

#[tokio::test]
async fn lists_are_taken_up_to_their_limits() {
    let (_world, mut raw) = world().await;
    for (skip, good) in [(100_000, true), (100_001, false)] {
        let request = v1::ListTransfersRequest {
            skip,
            ..v1::ListTransfersRequest::default()
        };
        if good {
            let answer = raw
                .transfers
                .list_transfers(request)
                .await
                .expect("it is the most");
            assert_eq!(answer.into_inner(), v1::ListTransfersResponse::default());
        } else {
            assert_eq!(
                bad_fields(raw.transfers.list_transfers(request)).await,
                ["skip"]
            );
        }
    }
    let statuses = |count| v1::TransferFilter {
        status: vec![v1::TransferStatus::Pending.into(); count],
        ..v1::TransferFilter::default()
    };
    let count = |filter| v1::CountTransfersRequest {
        filter: Some(filter),
    };
    raw.transfers
        .count_transfers(count(statuses(16)))
        .await
        .expect("16 are the most");
    let named = bad_fields(raw.transfers.count_transfers(count(statuses(17)))).await;
    assert_eq!(named, ["filter.status"]);

    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let (from, to) = (time(5), time(4));
    let filter = v1::TransferFilter {
        from,
        to,
        ..v1::TransferFilter::default()
    };
    assert_eq!(
        bad_fields(raw.transfers.count_transfers(count(filter))).await,
        ["filter.to"]
    );
    let request = v1::ListTableStatsRequest {
        from,
        to,
        ..v1::ListTableStatsRequest::default()
    };
    assert_eq!(
        bad_fields(raw.transfers.list_table_stats(request)).await,
        ["to"]
    );
    let same = v1::ListTableStatsRequest {
        from,
        to: from,
        ..v1::ListTableStatsRequest::default()
    };
    raw.transfers
        .list_table_stats(same)
        .await
        .expect("a moment is a stretch of time");
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let (_world, mut raw) = world().await;
    let bad = v1::CreateTransferRequest {
        direction: 9,
        table_name: "a\u{1}".repeat(256),
        connection_uuid: "x".to_owned(),
        session_code: "x".repeat(21),
        remote_site_url: "gopher://x".to_owned(),
        records_requested: -1,
        conflict_strategy: 9,
        requester_ip: "here".to_owned(),
        requester_user_agent: "\0".to_owned(),
        initiated_by_uuid: "y".to_owned(),
        metadata: Some(super::metadata::nested(17)),
        retry_of_uuid: "z".to_owned(),
        request_id: "two words".to_owned(),
        requires_approval: true,
    };
    let mut named = bad_fields(raw.transfers.create_transfer(bad)).await;
    named.sort();
    named.dedup();
    assert_eq!(
        named,
        [
            "conflict_strategy",
            "connection_uuid",
            "direction",
            "initiated_by_uuid",
            "metadata",
            "records_requested",
            "remote_site_url",
            "request_id",
            "requester_ip",
            "requester_user_agent",
            "retry_of_uuid",
            "session_code",
            "table_name",
        ]
    );
    let mut named = bad_fields(
        raw.transfers
            .create_transfer(v1::CreateTransferRequest::default()),
    )
    .await;
    named.sort();
    assert_eq!(named, ["direction", "table_name"], "what is missing");

    let negative = v1::Progress {
        records_created: Some(-1),
        ..totals(-5)
    };
    let bad = v1::CompleteTransferRequest {
        uuid: String::new(),
        progress: Some(negative),
        request_id: "é".to_owned(),
    };
    let mut named = bad_fields(raw.transfers.complete_transfer(bad)).await;
    named.sort();
    assert_eq!(
        named,
        [
            "progress.bytes_transferred",
            "progress.records_created",
            "progress.records_transferred",
            "request_id",
            "uuid",
        ]
    );
    assert_eq!((raw.count().await, raw.log().await.len()), (0, 0));
    // Fields come before existence: what is malformed is told first.
    let both = v1::CreateTransferRequest {
        connection_uuid: NOBODY.to_owned(),
        records_requested: -1,
        ..plain()
    };
    assert_eq!(
        bad_fields(raw.transfers.create_transfer(both)).await,
        ["records_requested"]
    );
}

#[tokio::test]
async fn line_breaks_belong_into_reasons_alone() {
    let (_world, mut raw) = world().await;
    for text in ["a\nb", "a\rb", "a\tb"] {
        let request = v1::CreateTransferRequest {
            table_name: text.to_owned(),
            ..plain()
        };
        assert_eq!(
            bad_fields(raw.transfers.create_transfer(request)).await,
            ["table_name"]
        );
        let uuid = raw.declared().await.uuid;
        let request = v1::CancelTransferRequest {
            uuid,
            reason: text.to_owned(),
            request_id: String::new(),
        };
        assert_eq!(
            done(raw.transfers.cancel_transfer(request))
                .await
                .cancel_reason,
            text
        );
    }
}
