//! Filters mean what they say.

use uuid::Uuid;

use super::*;
use crate::fixtures::{connection, id, transfer};
use crate::{
    reconcile::ReconciliationState,
    status::{Direction, TransferStatus},
    time::Timestamp,
};

fn at(micros: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(micros))
}

fn since(micros: i64) -> TimeRange {
    TimeRange {
        from: at(micros),
        to: None,
    }
}

/// Filters with one condition each that the transfer of the fixtures meets, and such as it does not meet.
fn transfer_filters() -> (Vec<TransferFilter>, Vec<TransferFilter>) {
    let any = TransferFilter::default;
    let connections = ConnectionScope::Only(id(3));
    let met = vec![
        any(),
        TransferFilter {
            direction: Some(Direction::Send),
            ..any()
        },
        TransferFilter {
            status: vec![TransferStatus::Failed, TransferStatus::Pending],
            ..any()
        },
        TransferFilter {
            connections,
            ..any()
        },
        TransferFilter {
            tables: vec!["users".to_owned(), "characters".to_owned()],
            ..any()
        },
        TransferFilter {
            requires_approval: Some(false),
            ..any()
        },
        TransferFilter {
            from: at(1_000_000),
            ..any()
        },
        TransferFilter {
            to: at(1_000_000),
            ..any()
        },
        TransferFilter {
            from: at(999_999),
            to: at(1_000_001),
            ..any()
        },
        TransferFilter {
            table_prefix: Some("char".to_owned()),
            ..any()
        },
        TransferFilter {
            partial: Some(false),
            ..any()
        },
        TransferFilter {
            updated: since(1_000_000),
            ..any()
        },
        TransferFilter {
            correlation_uuid: Some(id(7)),
            ..any()
        },
        TransferFilter {
            plan_uuid: Some(id(9)),
            ..any()
        },
        TransferFilter {
            reconciliation: Some(ReconciliationState::Pending),
            ..any()
        },
    ];
    let unmet = vec![
        TransferFilter {
            direction: Some(Direction::Receive),
            ..any()
        },
        TransferFilter {
            status: vec![TransferStatus::Failed],
            ..any()
        },
        TransferFilter {
            connections: ConnectionScope::Only(id(4)),
            ..any()
        },
        TransferFilter {
            connections: ConnectionScope::Nothing,
            ..any()
        },
        TransferFilter {
            tables: vec!["users".to_owned()],
            ..any()
        },
        TransferFilter {
            requires_approval: Some(true),
            ..any()
        },
        TransferFilter {
            from: at(1_000_001),
            ..any()
        },
        TransferFilter {
            to: at(999_999),
            ..any()
        },
        TransferFilter {
            table_prefix: Some("Char".to_owned()),
            ..any()
        },
        TransferFilter {
            partial: Some(true),
            ..any()
        },
        TransferFilter {
            started: since(0),
            ..any()
        },
        TransferFilter {
            ended: since(0),
            ..any()
        },
        TransferFilter {
            updated: since(1_000_001),
            ..any()
        },
        TransferFilter {
            initiated_by_uuid: Some(Uuid::max()),
            ..any()
        },
        TransferFilter {
            decided_by_uuid: Some(Uuid::max()),
            ..any()
        },
        TransferFilter {
            lease_owner_uuid: Some(id(99)),
            ..any()
        },
        TransferFilter {
            correlation_uuid: Some(id(9)),
            ..any()
        },
        TransferFilter {
            plan_uuid: Some(id(7)),
            ..any()
        },
        TransferFilter {
            reconciliation: Some(ReconciliationState::Matched),
            ..any()
        },
    ];
    (met, unmet)
}

#[test]
fn a_transfer_must_meet_every_condition() {
    let mut transfer = transfer();
    transfer.declared.connection_uuid = Some(id(3));
    transfer.declared.plan_uuid = Some(id(9));
    let (met, unmet) = transfer_filters();
    for filter in met {
        assert!(filter.matches(&transfer), "{filter:?}");
    }
    for filter in unmet {
        assert!(!filter.matches(&transfer), "{filter:?}");
    }
}

#[test]
fn a_connection_must_meet_every_condition() {
    let (sender, active) = (ConnectionDirection::Sender, ConnectionStatus::Active);
    let other = ConnectionDirection::ALL.iter().find(|it| **it != sender);
    let filter = |direction, status: &[ConnectionStatus]| ConnectionFilter {
        direction,
        status: status.to_vec(),
    };
    for (filter, expected) in [
        (filter(None, &[]), true),
        (filter(Some(sender), &[]), true),
        (filter(None, &[ConnectionStatus::Revoked, active]), true),
        (filter(other.copied(), &[]), false),
        (filter(None, &[ConnectionStatus::Revoked]), false),
        (filter(other.copied(), &[active]), false),
        (filter(Some(sender), &[ConnectionStatus::Revoked]), false),
    ] {
        assert_eq!(filter.matches(&connection()), expected, "{filter:?}");
    }
}

#[test]
fn different_filters_have_different_fingerprints() {
    let (mut filters, unmet) = transfer_filters();
    filters.extend(unmet);
    let distinct = |mut texts: Vec<String>| {
        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count, "{texts:?}");
    };
    distinct(filters.iter().map(TransferFilter::fingerprint).collect());
    let (none, one) = (None, Some(id(1)));
    let (role, table) = (Some(Role::Agent), Some("users".to_owned()));
    distinct(
        [
            (none, None),
            (one, None),
            (none, table.clone()),
            (one, table),
        ]
        .map(|(only, table_name)| {
            ApprovalFilter {
                connections: ConnectionScope::from(only),
                table_name,
            }
            .fingerprint()
        })
        .to_vec(),
    );
    distinct(
        [(None, none), (role, none), (None, one), (role, one)]
            .map(|(role, connection_uuid)| {
                CredentialFilter {
                    role,
                    connection_uuid,
                }
                .fingerprint()
            })
            .to_vec(),
    );
    let (sender, active) = (Some(ConnectionDirection::Sender), ConnectionStatus::Active);
    distinct(
        [(None, vec![]), (sender, vec![]), (None, vec![active])]
            .map(|(direction, status)| ConnectionFilter { direction, status }.fingerprint())
            .to_vec(),
    );
}

#[test]
fn the_order_of_statuses_and_their_repetition_make_no_other_fingerprint() {
    use TransferStatus::{Failed, Pending};
    let transfers = |status: &[TransferStatus]| {
        let status = status.to_vec();
        TransferFilter {
            status,
            ..TransferFilter::default()
        }
        .fingerprint()
    };
    assert_eq!(
        transfers(&[Pending, Failed]),
        transfers(&[Failed, Pending, Failed])
    );
    let connections = |status: &[ConnectionStatus]| {
        let status = status.to_vec();
        ConnectionFilter {
            status,
            ..ConnectionFilter::default()
        }
        .fingerprint()
    };
    let (active, revoked) = (ConnectionStatus::Active, ConnectionStatus::Revoked);
    assert_eq!(
        connections(&[active, revoked]),
        connections(&[revoked, active, revoked])
    );
}

#[test]
fn a_value_cannot_pose_as_another_condition() {
    let posing = TransferFilter {
        tables: vec!["a;requires_approval=4:true".to_owned()],
        ..TransferFilter::default()
    };
    let plain = TransferFilter {
        tables: vec!["a".to_owned()],
        requires_approval: Some(true),
        ..TransferFilter::default()
    };
    assert_ne!(posing.fingerprint(), plain.fingerprint());
    assert_eq!(
        plain.fingerprint(),
        "table_name=1:a;requires_approval=4:true;"
    );
}
