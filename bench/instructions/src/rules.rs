//! What the rules are asked: values like those of a transfer that an agent runs.

use std::time::Duration;

use tidegate_domain::{
    command::Verb,
    decide::{Change, decide},
    fixtures::{self, id},
    page::{Position, Scope},
    progress::Report,
    time::Timestamp,
    transfer::Transfer,
};

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_001);

/// A transfer that waits for its agent.
pub(super) fn queued() -> Transfer {
    let mut transfer = fixtures::transfer();
    let declared = &mut transfer.declared;
    declared.connection_uuid = Some(id(2));
    declared.initiated_by_uuid = Some(id(3));
    declared.remote_site_url = "https://south.example/transfers".to_owned();
    declared.requester_user_agent = "planner/2.1".to_owned();
    declared.records_requested = 1_000_000;
    for key in ["ticket", "team", "reason"] {
        declared
            .metadata
            .insert(key.to_owned(), "a short note".into());
    }
    transfer
}

/// The same with an agent that has moved some records.
pub(super) fn running() -> Transfer {
    let mut transfer = match decide(&queued(), &start(), NOW) {
        Ok(Change::Transition(started, _)) => started,
        other => panic!("it should start: {other:?}"),
    };
    transfer.totals.records_transferred = 250_000;
    transfer.totals.records_created = 250_000;
    transfer.checkpoint = vec![7; 64];
    transfer
}

pub(super) fn start() -> Verb {
    Verb::Start {
        heartbeat_timeout: Some(Duration::from_secs(60)),
        agent_instance: "copy-1".to_owned(),
        owner_uuid: Some(id(4)),
    }
}

pub(super) fn update_progress() -> Verb {
    Verb::UpdateProgress {
        report: totals(500_000),
        checkpoint: Some(vec![8; 64]),
        lease_epoch: Some(1),
    }
}

pub(super) fn complete() -> Verb {
    Verb::Complete {
        lease_epoch: Some(1),
        report: totals(1_000_000),
    }
}

fn totals(records: i64) -> Report {
    Report {
        records_transferred: Some(records),
        records_created: Some(records),
        bytes_transferred: Some(records * 100),
        ..Report::default()
    }
}

/// A list, as a filter with two fields makes it.
pub(super) fn scope() -> Scope {
    Scope::new("transfers", "desc", "table_name=10:characters;status=1:5;")
}

pub(super) fn position() -> Position {
    Position {
        micros: NOW.as_micros(),
        uuid: id(7),
    }
}
