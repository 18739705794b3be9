//! The limits themselves: the last value within is taken, the first one beyond is refused.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, NOBODY, Raw, done, plain, told, totals, wire_duration, wire_time},
    request,
};
use tonic::Code;

use super::{bad_fields, everything};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// Each field once, whatever is wrong with it.
fn sorted(mut fields: Vec<String>) -> Vec<String> {
    fields.sort();
    fields.dedup();
    fields
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
        ..Default::default()
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
async fn messages_and_reasons_are_taken_up_to_their_limits() {
    let (_world, mut raw) = world().await;
    let uuid = raw.declared().await.uuid;
    let cancel = |length| v1::CancelTransferRequest {
        reason: wide(length),
        ..request::cancellation(&uuid)
    };
    let named = bad_fields(raw.transfers.cancel_transfer(cancel(1_001))).await;
    assert_eq!(named, ["reason"]);
    let cancelled = done(raw.transfers.cancel_transfer(cancel(1_000))).await;
    assert_eq!(cancelled.cancel_reason, wide(1_000));

    let uuid = raw.running().await.uuid;
    let fail = |length| v1::FailTransferRequest {
        error_message: "🦀".repeat(length),
        ..request::failure(&uuid)
    };
    for length in [0, 2_001] {
        let named = bad_fields(raw.transfers.fail_transfer(fail(length))).await;
        assert_eq!(named, ["error_message"]);
    }
    let failed = done(raw.transfers.fail_transfer(fail(2_000))).await;
    assert_eq!(failed.error_message, "🦀".repeat(2_000));
}

#[tokio::test]
async fn decisions_are_taken_up_to_their_limits() {
    let (_world, mut raw) = world().await;
    let uuid = raw.declared().await.uuid;
    raw.ask(&uuid, Duration::from_secs(60)).await;
    let approve = |admin: &str, length| v1::ApproveTransferRequest {
        admin_user_uuid: admin.to_owned(),
        comment: wide(length),
        ..request::approval(&uuid)
    };
    let call = raw.transfers.approve_transfer(approve("", 1_001));
    assert_eq!(bad_fields(call).await, ["admin_user_uuid", "comment"]);
    let approved = done(raw.transfers.approve_transfer(approve(ADMIN, 1_000))).await;
    assert_eq!(approved.approved_by_uuid, ADMIN);

    let uuid = raw.declared().await.uuid;
    raw.ask(&uuid, Duration::from_secs(60)).await;
    let deny = |admin: &str, length| v1::DenyTransferRequest {
        admin_user_uuid: admin.to_owned(),
        reason: wide(length),
        ..request::denial(&uuid)
    };
    let call = raw.transfers.deny_transfer(deny("", 1_001));
    assert_eq!(bad_fields(call).await, ["admin_user_uuid", "reason"]);
    let denied = done(raw.transfers.deny_transfer(deny(ADMIN, 1_000))).await;
    assert_eq!(denied.denial_reason, wide(1_000));
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
            agent_instance: String::new(),
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
            let deadline = wire_time(world.clock.now().after(time));
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
        records_updated: Some(0),
        records_skipped: Some(0),
        records_failed: Some(0),
        bytes_transferred: Some(i64::MAX),
        phase: 0,
    };
    let request = v1::UpdateProgressRequest {
        lease_epoch: 0,
        uuid: uuid.clone(),
        progress: Some(most),
        checkpoint: Some(vec![0; 4_096]),
        request_id: String::new(),
        record_problems: Vec::new(),
    };
    let running = done(raw.transfers.update_progress(request.clone())).await;
    assert_eq!(
        (running.progress, running.checkpoint.len()),
        (Some(most), 4_096)
    );
    assert!((running.success_rate - 1.0).abs() < 1e-9);
    let twice = v1::UpdateProgressRequest {
        progress: Some(v1::Progress {
            records_failed: Some(i64::MAX),
            ..most
        }),
        ..request.clone()
    };
    let refusal = raw.transfers.update_progress(twice).await;
    let refusal = refusal.expect_err("the sum is no integer that overflows");
    assert_refused(&refusal, Code::InvalidArgument, "TOTALS_INCONSISTENT");
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
    let mut request = v1::ListTransfersRequest {
        skip: 100_000,
        ..v1::ListTransfersRequest::default()
    };
    let page = told(raw.transfers.list_transfers(request.clone())).await;
    assert_eq!(page, v1::ListTransfersResponse::default());
    request.skip += 1;
    let named = bad_fields(raw.transfers.list_transfers(request)).await;
    assert_eq!(named, ["skip"]);

    let mut request = v1::CountTransfersRequest::default();
    let filter = request.filter.get_or_insert_default();
    filter.status = vec![v1::TransferStatus::Pending.into(); 16];
    told(raw.transfers.count_transfers(request.clone())).await;
    let filter = request.filter.get_or_insert_default();
    filter.status.push(v1::TransferStatus::Pending.into());
    let named = bad_fields(raw.transfers.count_transfers(request)).await;
    assert_eq!(named, ["filter.status"]);
}

#[tokio::test]
async fn a_filter_names_so_many_tables_and_none_without_a_name() {
    let (_world, mut raw) = world().await;
    for (tables, fault) in [
        (vec!["t".to_owned(); 100], None),
        (vec!["t".to_owned(); 101], Some("filter.table_names")),
        (
            vec!["t".to_owned(), String::new()],
            Some("filter.table_names[1]"),
        ),
        (vec!["t".repeat(256)], Some("filter.table_names[0]")),
    ] {
        let filter = v1::TransferFilter {
            table_names: tables,
            ..v1::TransferFilter::default()
        };
        let count = v1::CountTransfersRequest {
            filter: Some(filter),
        };
        let call = raw.transfers.count_transfers(count);
        match fault {
            Some(field) => assert_eq!(bad_fields(call).await, [field]),
            None => drop(told(call).await),
        }
    }
}

#[tokio::test]
async fn a_stretch_of_time_does_not_end_before_it_begins() {
    let (_world, mut raw) = world().await;
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    for (to, good) in [(time(5), true), (time(4), false)] {
        let from = time(5);
        let stats = v1::ListTableStatsRequest {
            from,
            to,
            ..v1::ListTableStatsRequest::default()
        };
        let sums = v1::GetConnectionStatsRequest {
            connection_uuid: NOBODY.to_owned(),
            from,
            to,
        };
        let filter = v1::TransferFilter {
            from,
            to,
            ended: Some(v1::TimeRange { from, to }),
            ..v1::TransferFilter::default()
        };
        let count = v1::CountTransfersRequest {
            filter: Some(filter),
        };
        if good {
            told(raw.transfers.list_table_stats(stats)).await;
            told(raw.transfers.get_connection_stats(sums)).await;
            told(raw.transfers.count_transfers(count)).await;
        } else {
            let named = bad_fields(raw.transfers.list_table_stats(stats)).await;
            assert_eq!(named, ["to"]);
            let named = bad_fields(raw.transfers.get_connection_stats(sums)).await;
            assert_eq!(named, ["to"]);
            let named = bad_fields(raw.transfers.count_transfers(count)).await;
            assert_eq!(named, ["filter.to", "filter.ended.to"]);
        }
    }
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let (_world, mut raw) = world().await;
    let beyond = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let bad = v1::CreateTransferRequest {
        max_attempts: 0,
        priority: 101,
        not_before: Some(beyond),
        start_by: Some(beyond),
        finish_by: Some(beyond),
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
        correlation_uuid: "v".to_owned(),
        plan_uuid: "w".to_owned(),
        retry_of_uuid: "z".to_owned(),
        request_id: "two words".to_owned(),
        requires_approval: true,
    };
    let named = sorted(bad_fields(raw.transfers.create_transfer(bad)).await);
    let expected = [
        "conflict_strategy",
        "connection_uuid",
        "correlation_uuid",
        "direction",
        "finish_by",
        "initiated_by_uuid",
        "metadata",
        "not_before",
        "plan_uuid",
        "priority",
        "records_requested",
        "remote_site_url",
        "request_id",
        "requester_ip",
        "requester_user_agent",
        "retry_of_uuid",
        "session_code",
        "start_by",
        "table_name",
    ];
    assert_eq!(named, expected);
    assert_eq!((raw.count().await, raw.log().await.len()), (0, 0));
}

#[tokio::test]
async fn missing_negative_and_malformed_fields_are_told_before_anything_is_looked_up() {
    let (_world, mut raw) = world().await;
    let none = v1::CreateTransferRequest::default();
    let named = sorted(bad_fields(raw.transfers.create_transfer(none)).await);
    assert_eq!(named, ["direction", "table_name"]);
    let bad = v1::CompleteTransferRequest {
        progress: Some(totals(-5)),
        request_id: "é".to_owned(),
        ..request::completion("")
    };
    let named = sorted(bad_fields(raw.transfers.complete_transfer(bad)).await);
    let expected = [
        "progress.bytes_transferred",
        "progress.records_created",
        "progress.records_transferred",
        "request_id",
        "uuid",
    ];
    assert_eq!(named, expected);
    let unknown = v1::CreateTransferRequest {
        connection_uuid: NOBODY.to_owned(),
        records_requested: -1,
        ..plain()
    };
    let named = bad_fields(raw.transfers.create_transfer(unknown)).await;
    assert_eq!(named, ["records_requested"]);
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
            ..v1::CancelTransferRequest::default()
        };
        assert_eq!(
            done(raw.transfers.cancel_transfer(request))
                .await
                .cancel_reason,
            text
        );
    }
}
