//! A store on a file of its own, and values to fill it with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Map, json};
use tempfile::TempDir;

use super::super::{Options, Store};
use tidegate_domain::{
    connection::{Connection, ConnectionDirection, NewConnection},
    decide::creation,
    event::{About, Event, IdempotencyKey},
    fixtures::{id, transfer as sample},
    id::TransferId,
    outcome::{Failure, FailureCode, Phase, PhaseStart, RecordProblem, RecordProblems},
    pace::Pace,
    policy::Policy,
    progress::Totals,
    query::Window,
    receipt::{Digest, NewReceipt, Quarantined, Receipt, Statement, VerificationResult},
    reconcile::{DivergedField, Reconciliation, ReconciliationState},
    status::{ConflictStrategy, Direction, TransferStatus},
    stop::{Stop, StopCause, StopKind},
    time::Timestamp,
    transfer::{Decision, Transfer},
};

/// Deleted with its folder when it is dropped.
pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) folder: TempDir,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = url(&folder.path().join("tidegate.db"));
        let store = Store::open(&url, &Options::default())
            .await
            .expect("a store");
        Self { store, folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("tidegate.db")
    }

    pub(super) async fn insert(&self, transfers: &[Transfer]) {
        let batch = self.store.begin().await.expect("a batch");
        let shared = shared(transfers);
        batch.insert_transfers(&shared).await.expect("inserted");
        let ended = transfers.iter().filter(|it| it.status.is_terminal());
        let ended: Vec<_> = ended.map(|transfer| transfer.uuid).collect();
        batch.count_ended(&ended).await.expect("counted");
        batch.commit().await.expect("committed");
    }

    /// As it is in the database.
    pub(super) async fn stored(&self, uuid: TransferId) -> Option<Transfer> {
        self.store.clear_cache();
        let found = self.store.transfer(uuid).await.expect("read");
        found.map(Arc::unwrap_or_clone)
    }
}

pub(super) fn shared(transfers: &[Transfer]) -> Vec<Arc<Transfer>> {
    transfers.iter().cloned().map(Arc::new).collect()
}

pub(super) fn url(path: &std::path::Path) -> String {
    format!("sqlite://{}?mode=rwc", path.display())
}

pub(super) const fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(super) const fn first(limit: u32) -> Window {
    Window {
        after: None,
        skip: 0,
        limit,
    }
}

/// A plain transfer.
pub(super) fn plain(number: u128) -> Transfer {
    Transfer {
        uuid: id(number),
        ..sample()
    }
}

/// A transfer with something in every field, at its largest where it has a size.
pub(super) fn full(number: u128) -> Transfer {
    let mut transfer = plain(number);
    let declared = &mut transfer.declared;
    declared.direction = Direction::Receive;
    declared.table_name = "Zażółć \"gęślą\" jaźń; DROP TABLE transfer; --".to_owned();
    declared.connection_uuid = Some(id(u128::MAX));
    declared.session_code = "S".repeat(20);
    declared.remote_site_url = "https://site.example/?a=%00&b='".to_owned();
    declared.records_requested = i64::MAX;
    declared.conflict_strategy = Some(ConflictStrategy::Append);
    declared.requires_approval = true;
    declared.requester_ip = "2001:db8::1".to_owned();
    declared.requester_user_agent = "grpc\u{1F30A}".to_owned();
    declared.initiated_by_uuid = Some(id(1));
    declared.metadata = notes();
    declared.correlation_uuid = Some(id(8));
    declared.plan_uuid = Some(id(9));
    declared.retry_of_uuid = Some(id(0));
    declared.max_attempts = Some(100);
    declared.priority = -100;
    declared.not_before = Some(at(11));
    declared.start_by = Some(at(12));
    declared.finish_by = Some(at(16));
    transfer.start_within = Some(Duration::from_micros(13));
    transfer.start_expires_at = Some(at(14));
    transfer.retry_number = 15;
    transfer.retried_by_uuid = Some(id(16));
    transfer.retry_at = Some(at(17));
    transfer.counterpart_uuid = Some(id(18));
    transfer.superseded = true;
    transfer.receipt = Some(Box::new(receipt()));
    transfer.reconciliation = Reconciliation {
        state: ReconciliationState::Diverged,
        diverged: vec![
            DivergedField::RecordsTransferred,
            DivergedField::Verification,
        ],
    };
    transfer.finish_within = Some(Duration::from_micros(15));
    transfer.finish_expires_at = Some(at(16));
    transfer.acted_by_uuid = Some(id(4));
    transfer.observed_ip = "192.0.2.7".parse().ok();
    transfer.status = TransferStatus::Failed;
    transfer.requires_approval = true;
    transfer.totals = Totals {
        records_transferred: i64::MAX,
        records_created: i64::MAX - 1,
        records_updated: i64::MAX - 2,
        records_skipped: i64::MAX - 3,
        records_failed: i64::MAX - 4,
        bytes_transferred: i64::MAX - 5,
    };
    transfer.approved = Some(Decision {
        at: at(2),
        by: id(2),
    });
    transfer.denied = Some(Decision {
        at: at(3),
        by: id(3),
    });
    transfer.denial_reason = "no\n\tnot now".to_owned();
    transfer.approval_expires_at = Some(Timestamp::MAX);
    transfer.error_message = "é".repeat(2_000);
    transfer.failure = Some(Failure {
        code: Some(FailureCode::Verification),
        retryable: true,
    });
    transfer.phases = vec![PhaseStart {
        phase: Phase::Verifying,
        at: at(17),
    }];
    transfer.problems = vec![RecordProblems {
        code: FailureCode::Data,
        count: i64::MAX,
        samples: vec![RecordProblem {
            key: "ząb".to_owned(),
            reason: "\"quoted\"".to_owned(),
        }],
    }];
    transfer.pace = Some(pace());
    transfer.cancel_reason = "''".to_owned();
    transfer.started_at = Some(Timestamp::MIN);
    transfer.completed_at = Some(at(-1));
    transfer.inserted_at = at(0);
    transfer.updated_at = Timestamp::MAX;
    transfer.checkpoint = (0..=255).cycle().take(4_096).collect();
    transfer.heartbeat_timeout = Some(Duration::from_micros(1_500_001));
    transfer.heartbeat_expires_at = Some(at(i64::MAX));
    transfer.lease_epoch = i64::MAX;
    transfer.lease_owner_uuid = Some(id(5));
    transfer.agent_instance = "host-1, ząb".to_owned();
    transfer.pauses = 2;
    transfer.stop = Some(Stop {
        kind: StopKind::Cancel,
        cause: StopCause::ConnectionRevoked,
        reason: "ząb\n\"quoted\"".to_owned(),
        requested_at: at(7),
        requested_by_uuid: Some(id(6)),
        grace: Some(Duration::from_micros(1_000_001)),
        stopped_at: Some(at(8)),
        forced: true,
    });
    transfer.revision = i64::MAX;
    transfer
}

/// With something in every field.
fn receipt() -> Receipt {
    let statement = Statement {
        records_transferred: i64::MAX,
        records_created: Some(1),
        records_updated: Some(2),
        records_skipped: Some(3),
        records_failed: Some(4),
        bytes_transferred: Some(i64::MAX),
        digest: Some(Digest {
            algorithm: "gęś".to_owned(),
            value: (0..64).collect(),
        }),
        schema_digest: vec![0, 255],
    };
    let said = NewReceipt {
        own: statement.clone(),
        peer: Some(statement),
        consistency: "one \"snapshot\"".to_owned(),
        verification_level: "rows".to_owned(),
        verification: VerificationResult::Failed,
        quarantined: vec![Quarantined {
            code: FailureCode::Data,
            count: i64::MAX,
        }],
    };
    Receipt {
        number: 2,
        lease_epoch: i64::MAX,
        submitted_at: Timestamp::MAX,
        submitted_by_uuid: Some(id(7)),
        said,
    }
}

/// With numbers that are hard to write down.
fn pace() -> Pace {
    let value = json!({
        "from": { "at": 18, "records": i64::MAX, "bytes": 19 },
        "reported_at": 20, "interval": 122.416_294_033_786_58, "moved_at": 21, "gap": 0.1,
        "recent": 5e-324, "lasting": 1.8e48, "recent_bytes": 1.0 / 3.0, "slow": true, "health_since": 22,
    });
    serde_json::from_value(value).expect("as it is stored")
}

fn notes() -> Map<String, serde_json::Value> {
    let value = json!({
        "": null, "\u{0}": "\u{7}", "nested": { "list": [1, -2.5, "x", { "deep": [] }] },
        "exact": 0.1, "tiny": 5e-324, "huge": f64::MAX, "awkward": 122.416_294_033_786_58,
        "whole": i64::MAX, "flag": true,
    });
    value.as_object().cloned().expect("an object")
}

pub(super) fn event(transfer: &Transfer, request: Option<IdempotencyKey>) -> Event {
    Event {
        sequence: 0,
        transfer_uuid: Some(transfer.uuid),
        connection_uuid: transfer.declared.connection_uuid,
        subject_uuid: None,
        about: About::transfer(transfer),
        body: creation(transfer.declared.initiated_by_uuid),
        actor: "agent".to_owned(),
        request,
        revision: transfer.revision,
        occurred_at: transfer.updated_at,
        address: None,
        hash: None,
    }
}

pub(super) fn mark(id: &str) -> IdempotencyKey {
    IdempotencyKey {
        request_id: id.to_owned(),
        digest: vec![7; 32],
    }
}

pub(super) fn connection(number: u128, inserted_at: i64) -> Connection {
    let direction = if number.is_multiple_of(2) {
        ConnectionDirection::Sender
    } else {
        ConnectionDirection::Receiver
    };
    let declared = NewConnection {
        name: format!("site {number}"),
        direction,
        site_url: "https://site.example".to_owned(),
        policy: Policy::default(),
        metadata: Map::new(),
    };
    Connection::create(id(number), declared, false, at(inserted_at))
}
