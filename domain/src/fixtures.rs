//! Values for tests, here and in other crates.

use serde_json::Map;
use uuid::Uuid;

use crate::{
    agent::Registration,
    caller::{Caller, Identity, Role},
    connection::{Connection, ConnectionDirection, NewConnection},
    event::{About, Event, EventBody, EventDetail, EventLease, EventType, IdempotencyKey},
    id::ConnectionId,
    policy::Policy,
    receipt::{NewReceipt, Receipt, Statement, VerificationResult},
    status::{Direction, TransferStatus},
    stop::{StopCause, StopKind, StopOrder},
    time::Timestamp,
    transfer::{NewTransfer, Transfer},
};

/// An identity that is this number.
pub fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

/// A caller with a credential.
pub fn caller(role: Role, connection_uuid: Option<ConnectionId>) -> Caller {
    let identity = Identity {
        credential_uuid: id(99),
        role,
        connection_uuid,
        acts_for_others: false,
        session_code: String::new(),
    };
    Caller::known(identity, None)
}

/// What an agent of this name tells.
pub fn registration(instance: &str) -> Registration {
    let engine = ("postgres".to_owned(), "17.2".to_owned());
    let label = ("region".to_owned(), "north".to_owned());
    Registration {
        connection_uuid: None,
        owner_uuid: None,
        instance: instance.to_owned(),
        version: "1.0.0".to_owned(),
        host: "host-1".to_owned(),
        engines: [engine].into(),
        slots: Some(4),
        labels: [label].into(),
    }
}

/// A plain transfer to start from.
pub fn transfer() -> Transfer {
    let declared = NewTransfer {
        direction: Direction::Send,
        table_name: "characters".to_owned(),
        connection_uuid: None,
        session_code: String::new(),
        remote_site_url: String::new(),
        records_requested: 0,
        conflict_strategy: None,
        requires_approval: false,
        requester_ip: String::new(),
        requester_user_agent: String::new(),
        initiated_by_uuid: None,
        metadata: Map::new(),
        correlation_uuid: None,
        plan_uuid: None,
        retry_of_uuid: None,
        max_attempts: None,
        not_before: None,
        start_by: None,
        finish_by: None,
        priority: 0,
    };
    Transfer::create(id(7), declared, Timestamp::from_micros(1_000_000))
}

/// A plain wish that a transfer stops, without a grace.
pub const fn stop_order(kind: StopKind) -> StopOrder {
    StopOrder {
        kind,
        cause: StopCause::Request,
        reason: String::new(),
        grace: None,
        by: None,
    }
}

/// A receipt for ten rows, with nothing else in it.
pub fn receipt(number: i64) -> Receipt {
    let said = NewReceipt {
        own: Statement {
            records_transferred: 10,
            ..Statement::default()
        },
        peer: None,
        consistency: String::new(),
        verification_level: String::new(),
        verification: VerificationResult::NotDone,
        quarantined: Vec::new(),
    };
    Receipt {
        number,
        lease_epoch: 1,
        submitted_at: Timestamp::from_micros(2_000_000),
        submitted_by_uuid: None,
        said,
    }
}

/// An active connection.
pub fn connection() -> Connection {
    let declared = NewConnection {
        name: "north".to_owned(),
        direction: ConnectionDirection::Sender,
        site_url: "https://north.example".to_owned(),
        policy: Policy::default(),
        metadata: Map::new(),
    };
    Connection::create(id(3), declared, false, Timestamp::from_micros(0))
}

/// An approval at this position of the log, not hashed yet.
pub fn event(sequence: i64) -> Event {
    Event {
        sequence,
        transfer_uuid: Some(id(1)),
        connection_uuid: Some(id(2)),
        subject_uuid: Some(id(4)),
        about: About {
            table_name: Some("public.users".to_owned()),
            direction: Some(Direction::Send),
            connection_name: Some("north".to_owned()),
            lease: Some(EventLease {
                epoch: 1,
                owner_uuid: Some(id(5)),
                agent_instance: "host-1".to_owned(),
            }),
            self_approval: true,
            overridden: false,
        },
        body: EventBody {
            event_type: EventType::Approved,
            from_status: Some(TransferStatus::PendingApproval),
            to_status: Some(TransferStatus::Approved),
            actor_uuid: Some(id(3)),
            detail: EventDetail::comment("ja, gęś"),
        },
        actor: "anonymous".to_owned(),
        request: Some(IdempotencyKey {
            request_id: "r-1".to_owned(),
            digest: vec![7; 32],
        }),
        revision: 3,
        occurred_at: Timestamp::from_micros(1_800_000_000_000_001),
        address: "2001:db8::1".parse().ok(),
        hash: None,
    }
}
