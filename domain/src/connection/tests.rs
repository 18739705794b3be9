use super::*;
use crate::fixtures::connection as sample;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn verbs() -> Vec<ConnectionVerb> {
    vec![
        update(
            &[ConnectionField::Name],
            |to| to.name = "south".to_owned(),
            None,
        ),
        ConnectionVerb::Approve,
        ConnectionVerb::Suspend {
            reason: "noise".to_owned(),
        },
        ConnectionVerb::Reactivate,
        ConnectionVerb::Revoke {
            reason: "gone".to_owned(),
        },
        ConnectionVerb::Expire,
        ConnectionVerb::Delete,
    ]
}

fn update(
    fields: &[ConnectionField],
    change: impl FnOnce(&mut NewConnection),
    revision: Option<i64>,
) -> ConnectionVerb {
    let mut to = sample().declared;
    change(&mut to);
    ConnectionVerb::Update {
        fields: fields.to_vec(),
        to: Box::new(to.into()),
        revision,
        allow_duplicate: false,
    }
}

fn decide(connection: &Connection, verb: &ConnectionVerb) -> Result<ConnectionChange, Refusal> {
    decide_connection(connection, verb, Usage::default(), false, at(9))
}

#[test]
fn every_status_and_action_follows_the_table() {
    assert_eq!(verbs().len(), ConnectionAction::ALL.len());
    for status in ConnectionStatus::ALL {
        for verb in verbs() {
            let mut connection = sample();
            connection.status = *status;
            if matches!(verb, ConnectionVerb::Expire) {
                connection.declared.policy.expires_at = Some(at(9));
            }
            let rule = verb.action().rule();
            match decide(&connection, &verb) {
                Ok(ConnectionChange::Changed(after, ..)) => {
                    assert!(rule.from.contains(status), "{status} {verb:?}");
                    assert_eq!(
                        after.status,
                        rule.to.unwrap_or(*status),
                        "{status} {verb:?}"
                    );
                    assert_eq!((after.revision, after.updated_at), (2, at(9)));
                }
                Ok(ConnectionChange::Removal(_)) => assert!(rule.from.contains(status)),
                Ok(ConnectionChange::Nothing) => panic!("{status} {verb:?} did nothing"),
                Err(refusal) => {
                    assert_eq!(refusal.reason(), "ILLEGAL_TRANSITION", "{status} {verb:?}");
                    assert!(!rule.from.contains(status), "{status} {verb:?}");
                }
            }
        }
    }
}

#[test]
fn revoked_is_the_end() {
    let leaving: Vec<_> = ConnectionAction::ALL
        .iter()
        .filter(|action| action.may_leave(ConnectionStatus::Revoked))
        .collect();
    assert_eq!(leaving, [&ConnectionAction::Delete]);
}

#[test]
fn an_update_changes_what_it_names() {
    let change = update(
        &[ConnectionField::Policy(PolicyField::MaxTransfers)],
        |to| {
            to.name = "not named in the mask".to_owned();
            to.policy.max_transfers = Some(5);
        },
        Some(1),
    );
    let used = Usage {
        transfers: 3,
        records: 70,
    };
    let change = decide_connection(&sample(), &change, used, false, at(9)).expect("it is legal");
    let ConnectionChange::Changed(after, event, detail) = change else {
        panic!("{change:?}");
    };
    assert_eq!(after.declared.name, "north");
    assert_eq!(after.policy().max_transfers, Some(5));
    assert_eq!(after.used.transfers, 3, "what is on record counts");
    assert_eq!(after.used.records, 0, "that limit is not set");
    assert_eq!(event, EventType::ConnectionUpdated);
    let fields = vec!["policy.max_transfers".to_owned()];
    assert_eq!(detail, Some(EventDetail::ConnectionUpdate { fields }));
}

#[test]
fn an_update_is_bound_to_its_revision_and_may_be_empty() {
    let rename = |revision| {
        update(
            &[ConnectionField::Name],
            |to| to.name = "south".to_owned(),
            revision,
        )
    };
    let stale = decide(&sample(), &rename(Some(2))).expect_err("it is at 1");
    assert_eq!(stale.reason(), "STALE_REVISION");
    assert!(decide(&sample(), &rename(Some(1))).is_ok());
    let same = update(&[ConnectionField::Name], |_| {}, None);
    assert_eq!(decide(&sample(), &same), Ok(ConnectionChange::Nothing));
}

#[test]
fn one_whose_end_has_passed_stays_out_of_use() {
    let mut connection = sample();
    connection.status = ConnectionStatus::Expired;
    connection.declared.policy.expires_at = Some(at(9));
    let refusal = decide(&connection, &ConnectionVerb::Reactivate).expect_err("it is over");
    assert_eq!(refusal.reason(), "CONNECTION_EXPIRED");
    connection.declared.policy.expires_at = Some(at(10));
    assert!(decide(&connection, &ConnectionVerb::Reactivate).is_ok());
    connection.status = ConnectionStatus::Active;
    let early = decide(&connection, &ConnectionVerb::Expire);
    assert_eq!(early, Ok(ConnectionChange::Nothing));
}

#[test]
fn one_in_use_is_not_deleted() {
    let mut connection = sample();
    connection.status = ConnectionStatus::Revoked;
    let delete = |in_use| {
        decide_connection(
            &connection,
            &ConnectionVerb::Delete,
            Usage::default(),
            in_use,
            at(9),
        )
    };
    assert_eq!(
        delete(true).expect_err("in use").reason(),
        "CONNECTION_IN_USE"
    );
    let gone = ConnectionChange::Removal(EventType::ConnectionDeleted);
    assert_eq!(delete(false), Ok(gone));
}

#[test]
fn a_path_of_a_mask_names_one_field_or_the_policy() {
    let policy = ConnectionField::at("policy");
    assert_eq!(policy.len(), PolicyField::ALL.len());
    let own = [
        ConnectionField::Name,
        ConnectionField::SiteUrl,
        ConnectionField::Metadata,
    ];
    for field in own.into_iter().chain(policy) {
        assert_eq!(ConnectionField::at(field.path()), [field], "{field:?}");
    }
    for unknown in ["", "uuid", "policy.", "policy.name", "max_transfers"] {
        assert!(ConnectionField::at(unknown).is_empty(), "{unknown}");
    }
}

#[test]
fn the_drawing_begins_with_the_creation_and_ends_with_the_deletion() {
    let drawing = diagram();
    let lines: Vec<_> = drawing.lines().map(str::trim).collect();
    assert_eq!(lines[..2], ["stateDiagram-v2", "[*] --> ACTIVE: CREATE"]);
    assert!(
        lines.contains(&"EXPIRED --> ACTIVE: REACTIVATE"),
        "{drawing}"
    );
    assert_eq!(lines.last(), Some(&"EXPIRED --> [*]: DELETE"));
}

#[test]
fn addresses_of_one_site_differ_in_writing_alone() {
    let north = site("https://north.example/api?x=1");
    assert_eq!(north, "https://north.example:443/api?x=1");
    for same in [
        "HTTPS://North.Example:443/api/?x=1",
        "https://user@north.example./api?x=1#top",
    ] {
        assert_eq!(site(same), north, "{same}");
    }
    for other in [
        "http://north.example/api?x=1",
        "https://south.example/api?x=1",
        "https://north.example:444/api?x=1",
        "https://north.example/API?x=1",
        "https://north.example/api",
    ] {
        assert_ne!(site(other), north, "{other}");
    }
    assert_eq!(site("no address"), "no address");
}

#[test]
fn a_limit_that_is_only_changed_goes_on_counting() {
    let mut connection = sample();
    connection.declared.policy.max_transfers = Some(5);
    connection.declared.policy.max_records_total = Some(50);
    connection.used = Usage {
        transfers: 2,
        records: 20,
    };
    let on_record = Usage {
        transfers: 9,
        records: 90,
    };
    let used_after = |fields: &[ConnectionField], change: fn(&mut NewConnection)| {
        let verb = update(fields, change, None);
        match decide_connection(&connection, &verb, on_record, false, at(9)) {
            Ok(ConnectionChange::Changed(after, ..)) => after.used,
            other => panic!("{other:?}"),
        }
    };
    let limits = [PolicyField::MaxTransfers, PolicyField::MaxRecordsTotal];
    let limits = limits.map(ConnectionField::Policy);
    let raised = used_after(&limits, |to| {
        to.policy.max_transfers = Some(6);
        to.policy.max_records_total = Some(60);
    });
    assert_eq!(raised, connection.used);
    assert_eq!(used_after(&limits, |_| {}), connection.used, "both lifted");
}

#[test]
fn a_change_of_use_is_for_the_transfers_to_follow_once() {
    let suspend = ConnectionVerb::Suspend {
        reason: "noise".to_owned(),
    };
    let follow = |connection: &Connection, verb: &ConnectionVerb| match decide(connection, verb) {
        Ok(ConnectionChange::Changed(after, ..)) => *after,
        other => panic!("{other:?}"),
    };
    let suspended = follow(&sample(), &suspend);
    let active = follow(&suspended, &ConnectionVerb::Reactivate);
    let revoked = follow(
        &active,
        &ConnectionVerb::Revoke {
            reason: String::new(),
        },
    );
    assert!(!sample().settling);
    for changed in [suspended, active, revoked] {
        assert!(changed.settling);
        assert_eq!(
            changed.settled(changed.revision - 1),
            None,
            "it has changed since"
        );
        let settled = changed
            .settled(changed.revision)
            .expect("they have followed");
        assert!(!settled.settling && settled.revision == changed.revision);
        assert_eq!(settled.settled(settled.revision), None);
    }
}
