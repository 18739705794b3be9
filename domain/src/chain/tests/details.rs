//! What events tell is covered by their hashes, and read as it was written.

use super::*;
use crate::bulk::{BulkState, BulkVerb};

fn details() -> Vec<Option<EventDetail>> {
    let text = |text: &str| text.to_owned();
    let failure = |error_message: &str, retryable| EventDetail::Failure {
        error_message: text(error_message),
        code: None,
        retryable,
    };
    let update = |fields: &[&str]| EventDetail::ConnectionUpdate {
        fields: fields.iter().map(|field| text(field)).collect(),
    };
    let credential = |role, name: &str| EventDetail::Credential {
        role,
        name: text(name),
    };
    let agent = |agent_instance: &str, version: &str, host: &str| EventDetail::Agent {
        agent_instance: text(agent_instance),
        version: text(version),
        host: text(host),
    };
    let redemption = |number| EventDetail::Redemption {
        agent_uuid: id(number),
    };
    let dropping = |reason: &str, method: &str, uuid: Option<u128>, dropped| EventDetail::Refusal {
        reason: text(reason),
        method: text(method),
        uuid: uuid.map(Uuid::from_u128),
        dropped,
    };
    let refusal = |reason: &str, method: &str, uuid| dropping(reason, method, uuid, 0);
    let bulk = |verb, state, [matched, succeeded, refused]: [i64; 3]| EventDetail::BulkOperation {
        verb,
        state,
        matched,
        succeeded,
        refused,
    };
    let details = vec![
        bulk(BulkVerb::Cancel, BulkState::Running, [0, 0, 0]),
        bulk(BulkVerb::Delete, BulkState::Running, [0, 0, 0]),
        bulk(BulkVerb::Cancel, BulkState::Stopped, [0, 0, 0]),
        bulk(BulkVerb::Cancel, BulkState::Running, [1, 0, 0]),
        bulk(BulkVerb::Cancel, BulkState::Running, [0, 1, 0]),
        bulk(BulkVerb::Cancel, BulkState::Running, [0, 0, 1]),
        EventDetail::Comment { text: text("a") },
        EventDetail::Comment { text: text("b") },
        failure("a", false),
        failure("b", false),
        failure("a", true),
        update(&[]),
        update(&["a"]),
        update(&["a", "b"]),
        update(&["b", "a"]),
        update(&["ab"]),
        credential(Role::Viewer, "a"),
        credential(Role::Agent, "a"),
        credential(Role::Viewer, "b"),
        redemption(1),
        redemption(2),
        EventDetail::Retry {
            retried_by_uuid: id(1),
        },
        EventDetail::Retry {
            retried_by_uuid: id(2),
        },
        agent("a", "b", ""),
        agent("ab", "", ""),
        agent("a", "", "b"),
        refusal("a", "b", None),
        refusal("ab", "", None),
        refusal("a", "c", None),
        refusal("a", "b", Some(0)),
        refusal("a", "b", Some(1)),
        dropping("a", "b", Some(1), 1),
    ];
    std::iter::once(None)
        .chain(details.into_iter().chain(receipts()).map(Some))
        .collect()
}

/// One that says nothing, and one with each change of it.
fn receipts() -> impl Iterator<Item = EventDetail> {
    let digest = |algorithm: &str, value| {
        Some(Digest {
            algorithm: algorithm.to_owned(),
            value: vec![value],
        })
    };
    let mut all = vec![receipt(1), receipt(2)];
    let mut changed = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = receipt(1);
        change(&mut receipt);
        all.push(receipt);
    };
    changed(&|it| it.lease_epoch = 9);
    changed(&|it| it.submitted_at = Timestamp::MAX);
    changed(&|it| it.submitted_by_uuid = Some(id(1)));
    changed(&|it| it.said.own.records_transferred = 9);
    changed(&|it| it.said.own.records_created = Some(0));
    changed(&|it| it.said.own.records_updated = Some(0));
    changed(&|it| it.said.own.records_skipped = Some(0));
    changed(&|it| it.said.own.records_failed = Some(0));
    changed(&|it| it.said.own.bytes_transferred = Some(0));
    changed(&|it| it.said.own.digest = digest("a", 1));
    changed(&|it| it.said.own.digest = digest("b", 1));
    changed(&|it| it.said.own.digest = digest("a", 2));
    changed(&|it| it.said.own.schema_digest = vec![1]);
    changed(&|it| it.said.peer = Some(it.said.own.clone()));
    changed(&|it| it.said.consistency.push('a'));
    changed(&|it| it.said.verification_level.push('a'));
    changed(&|it| it.said.verification = VerificationResult::Failed);
    for (code, count) in [
        (FailureCode::Data, 1),
        (FailureCode::Data, 2),
        (FailureCode::Source, 1),
    ] {
        changed(&|it| it.said.quarantined = vec![Quarantined { code, count }]);
    }
    all.into_iter().map(|it| EventDetail::Receipt(Box::new(it)))
}

#[test]
fn details_that_differ_have_hashes_that_differ() {
    let details = details();
    let mut hashes = std::collections::HashSet::new();
    for detail in &details {
        let mut changed = event(1);
        changed.body.detail.clone_from(detail);
        assert!(hashes.insert(link(&GENESIS, &changed)), "{detail:?}");
    }
}

#[test]
fn details_are_read_as_they_are_serialized() {
    for detail in details().into_iter().flatten() {
        let text = serde_json::to_string(&detail).expect("it is JSON");
        let read: EventDetail = serde_json::from_str(&text).expect("it is read");
        assert_eq!(read, detail, "{text}");
    }
    let read = serde_json::from_str::<EventDetail>;
    for text in [
        r#"{"comment":{"text":"a","note":"b"}}"#,
        r#"{"comment":{}}"#,
        r#"{"credential":{"role":"KING","name":"a"}}"#,
        r#"{"connection_update":{"fields":"name"}}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_claim_is_covered_with_all_that_it_has_started() {
    let hash = |claimed_with: &[u128]| {
        let mut event = event(1);
        event.body.detail = Some(EventDetail::Claim {
            claimed_with: claimed_with.iter().copied().map(id).collect(),
        });
        link(&GENESIS, &event)
    };
    let all = [&[][..], &[1], &[2], &[1, 2], &[2, 1]].map(hash);
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}
