//! A transfer and an event as the server answers with them.

use prost_types::{Struct, Timestamp, Value, value::Kind};
use tidegate_domain::fixtures::id;
use tidegate_proto::v1;

/// One that runs: most of the messages that there are.
pub(super) fn transfer() -> v1::Transfer {
    v1::Transfer {
        uuid: uuid(1),
        direction: v1::Direction::Send.into(),
        connection_uuid: uuid(2),
        remote_site_url: "https://south.example/transfers".to_owned(),
        table_name: "characters".to_owned(),
        records_requested: 1_000_000,
        status: v1::TransferStatus::InProgress.into(),
        progress: Some(progress()),
        requester_user_agent: "planner/2.1".to_owned(),
        initiated_by_uuid: uuid(3),
        started_at: Some(time(3)),
        inserted_at: Some(time(1)),
        updated_at: Some(time(4)),
        metadata: Some(metadata()),
        checkpoint: vec![7; 64],
        heartbeat_timeout: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        heartbeat_expires_at: Some(time(64)),
        revision: 12,
        success_rate: 1.0,
        lease_epoch: 1,
        lease_owner_uuid: uuid(4),
        agent_instance: "copy-1".to_owned(),
        max_attempts: 3,
        phases: vec![v1::PhaseTime {
            phase: v1::Phase::Transferring.into(),
            started_at: Some(time(3)),
            ended_at: None,
        }],
        records_per_second: Some(8_333.3),
        bytes_per_second: Some(833_333.3),
        estimated_completion: Some(time(90)),
        estimated_completion_earliest: Some(time(80)),
        estimated_completion_latest: Some(time(110)),
        health: v1::TransferHealth::Healthy.into(),
        health_since: Some(time(3)),
        correlation_uuid: uuid(1),
        reconciliation: Some(v1::Reconciliation {
            state: v1::ReconciliationState::Pending.into(),
            ..v1::Reconciliation::default()
        }),
        ..v1::Transfer::default()
    }
}

/// An approval with a remark.
pub(super) fn event() -> v1::Event {
    v1::Event {
        sequence: 950,
        transfer_uuid: uuid(1),
        connection_uuid: uuid(2),
        r#type: v1::EventType::Approved.into(),
        from_status: v1::TransferStatus::PendingApproval.into(),
        to_status: v1::TransferStatus::Approved.into(),
        actor_uuid: uuid(3),
        actor: "admin".to_owned(),
        request_id: "7d8c7a52-0f1e-4f0b-9a5e-5b1f5a6c1b11".to_owned(),
        revision: 3,
        occurred_at: Some(time(2)),
        address: "2001:db8::1".to_owned(),
        hash: vec![9; 32],
        detail: Some(v1::event::Detail::Comment(v1::CommentDetail {
            text: "checked with the owners of the table".to_owned(),
        })),
        table_name: "characters".to_owned(),
        direction: v1::Direction::Send.into(),
        connection_name: "north".to_owned(),
        ..v1::Event::default()
    }
}

fn progress() -> v1::Progress {
    v1::Progress {
        records_transferred: Some(500_000),
        records_created: Some(500_000),
        records_updated: Some(0),
        records_skipped: Some(0),
        records_failed: Some(0),
        bytes_transferred: Some(50_000_000),
        phase: v1::Phase::Transferring.into(),
    }
}

fn metadata() -> Struct {
    let note = |key: &str| {
        let kind = Some(Kind::StringValue("a short note".to_owned()));
        (key.to_owned(), Value { kind })
    };
    Struct {
        fields: ["ticket", "team", "reason"].map(note).into(),
    }
}

fn uuid(number: u128) -> String {
    let uuid: tidegate_domain::id::TransferId = id(number);
    uuid.to_string()
}

const fn time(seconds: i64) -> Timestamp {
    Timestamp {
        seconds: 1_800_000_000 + seconds,
        nanos: 1_000,
    }
}
