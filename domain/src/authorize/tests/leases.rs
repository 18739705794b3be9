//! Who may speak for a run.

use super::*;
use crate::event::{About, EventLease};

fn start(agent_instance: &str) -> Verb {
    Verb::Start {
        heartbeat_timeout: None,
        agent_instance: agent_instance.to_owned(),
        // A credential that the caller does not have.
        owner_uuid: Some(id(77)),
    }
}

fn started(transfer: &Transfer, agent_instance: &str, caller: &Caller) -> Transfer {
    let verdict = authorize(
        transfer,
        Some(&north()),
        &start(agent_instance),
        caller,
        DEFAULTS,
        at(1),
    );
    match verdict.expect("it starts").change {
        Change::Transition(after, body) => {
            let lease = About::change(transfer, Some(&after), &body, Some(caller)).lease;
            let wanted = EventLease {
                epoch: after.lease_epoch,
                owner_uuid: caller.credential(),
                agent_instance: agent_instance.to_owned(),
            };
            assert_eq!(lease, Some(wanted));
            after
        }
        other => panic!("no transition: {other:?}"),
    }
}

fn reports(lease_epoch: Option<i64>) -> [Verb; 5] {
    let report = Report::default();
    [
        Verb::UpdateProgress {
            report: report.clone(),
            checkpoint: Some(vec![1]),
            lease_epoch,
        },
        Verb::AcknowledgeStop {
            report: report.clone(),
            checkpoint: None,
            lease_epoch,
        },
        Verb::Complete {
            report: report.clone(),
            lease_epoch,
        },
        Verb::Fail {
            report: report.clone(),
            lease_epoch,
            error_message: "broken".to_owned(),
            failure: FAILURE,
        },
        Verb::SubmitReceipt {
            lease_epoch,
            receipt: Box::new(receipt(1).said),
            by: None,
        },
    ]
}

fn agent(credential: u128) -> Caller {
    let mut agent = known(Role::Agent, Some(north().uuid));
    if let Some(identity) = &mut agent.identity {
        identity.credential_uuid = id(credential);
    }
    agent
}

#[test]
fn only_the_holder_of_the_lease_speaks_for_the_run() {
    let declared = created(Policy::default(), &anyone()).expect("it is allowed");
    let (one, other) = (agent(1), agent(2));
    let unnamed = started(&declared, "", &one);
    assert_eq!(
        unnamed.lease_owner_uuid,
        one.credential(),
        "whatever the verb says"
    );
    let named = started(&declared, "host-1", &one);
    let mut second = unnamed.clone();
    second.lease_epoch = 2;
    let free = started(&declared, "", &anyone());
    for (running, lease_epoch, caller, is_held) in [
        (&unnamed, None, &one, true),
        (&unnamed, Some(1), &one, true),
        (&unnamed, Some(2), &one, false),
        (&unnamed, None, &other, false),
        (&unnamed, Some(1), &other, false),
        (&unnamed, Some(1), &known(Role::Admin, None), false),
        (&named, Some(1), &one, true),
        (&named, None, &one, false),
        (&second, Some(2), &one, true),
        (&second, Some(1), &one, false),
        (&second, None, &one, false),
        // Started where nobody showed a credential.
        (&free, None, &other, true),
        (&free, Some(2), &other, false),
    ] {
        // Asked to stop, so that they can say that they have.
        let mut running = running.clone();
        running.stop = Some(pending_stop());
        for verb in reports(lease_epoch) {
            let verdict = authorize(&running, Some(&north()), &verb, caller, DEFAULTS, at(2));
            if is_held {
                assert!(verdict.is_ok(), "{verb:?} {verdict:?}");
                continue;
            }
            let refusal = verdict.expect_err("it is not theirs");
            assert_eq!(refusal.reason(), "LEASE_LOST", "{verb:?}");
            let metadata = refusal.metadata();
            let find = |name| metadata.iter().find(|(each, _)| *each == name);
            let epoch = find("lease_epoch").map(|(_, it)| it.clone());
            assert_eq!(epoch, Some(running.lease_epoch.to_string()));
            let owner = find("lease_owner_uuid").map(|(_, it)| it.clone());
            assert_eq!(owner, running.lease_owner_uuid.map(|it| it.to_string()));
            assert!(find("heartbeat_expires_at").is_some(), "{metadata:?}");
        }
    }
}

#[test]
fn nobody_holds_what_was_queued_again() {
    let declared = created(Policy::default(), &anyone()).expect("it is allowed");
    let refused = |transfer: &Transfer, lease_epoch| {
        let [report, ..] = reports(lease_epoch);
        reason(authorize(
            transfer,
            Some(&north()),
            &report,
            &anyone(),
            DEFAULTS,
            at(2),
        ))
    };
    assert_eq!(refused(&declared, None), "ILLEGAL_TRANSITION");
    assert_eq!(
        refused(&declared, Some(1)),
        "ILLEGAL_TRANSITION",
        "it was never started"
    );
    let mut queued = declared.clone();
    queued.lease_epoch = 1;
    assert_eq!(refused(&queued, Some(1)), "LEASE_LOST");
    assert_eq!(refused(&queued, None), "ILLEGAL_TRANSITION");
    let mut ended = queued;
    ended.status = TransferStatus::Completed;
    assert_eq!(
        refused(&ended, Some(1)),
        "ILLEGAL_TRANSITION",
        "the status says more"
    );
}

#[test]
fn who_comes_second_is_told_who_runs_it() {
    let declared = created(Policy::default(), &anyone()).expect("it is allowed");
    let running = started(&declared, "host-1", &agent(1));
    let verdict = authorize(
        &running,
        Some(&north()),
        &start("host-2"),
        &agent(2),
        DEFAULTS,
        at(2),
    );
    let refusal = verdict.expect_err("it runs");
    assert_eq!(refusal.reason(), "ILLEGAL_TRANSITION");
    let owner = id::<Uuid>(1);
    let text = format!(
        "transfer {} is IN_PROGRESS, run by credential {owner} (host-1) with lease 1 until 1970-01-01T00:01:01.000000Z; \
         START is possible from PENDING, APPROVED",
        running.uuid
    );
    assert_eq!(refusal.to_string(), text);
    let metadata = refusal.metadata();
    for pair in [
        ("lease_owner_uuid", owner.to_string()),
        ("agent_instance", "host-1".to_owned()),
        ("lease_epoch", "1".to_owned()),
        (
            "heartbeat_expires_at",
            "1970-01-01T00:01:01.000000Z".to_owned(),
        ),
    ] {
        assert!(metadata.contains(&pair), "{metadata:?}");
    }
}

#[test]
fn silence_is_limited_by_the_agent_the_policy_or_the_server_in_that_order() {
    let second = Duration::from_secs(1);
    for (asked, policy, expected) in [
        (Some(5), Some(7), Some(5)),
        (None, Some(7), Some(7)),
        (None, Some(0), None),
        (None, None, Some(60)),
    ] {
        let policy = Policy {
            heartbeat_timeout: policy.map(|seconds| seconds * second),
            ..Policy::default()
        };
        let verb = Verb::Start {
            heartbeat_timeout: asked.map(|seconds| seconds * second),
            agent_instance: String::new(),
            owner_uuid: None,
        };
        let declared = created(Policy::default(), &anyone()).expect("it is allowed");
        let verdict = authorize(
            &declared,
            Some(&site(policy)),
            &verb,
            &anyone(),
            DEFAULTS,
            at(1),
        );
        let Ok(Authorization {
            change: Change::Transition(after, _),
            ..
        }) = verdict
        else {
            panic!("{verdict:?}");
        };
        assert_eq!(
            after.heartbeat_timeout,
            expected.map(|seconds| seconds * second)
        );
        assert_eq!(after.heartbeat_expires_at.is_some(), expected.is_some());
    }
}

#[test]
fn further_attempts_are_counted_with_the_first() {
    let mut connection = site(Policy {
        max_transfers: Some(1),
        max_attempts: Some(3),
        ..Policy::default()
    });
    let mut transfer =
        create(id(8), declared(), Some(&connection), &anyone(), at(1)).expect("a transfer");
    assert_eq!(transfer.max_attempts(), 3);
    connection.used.transfers = 1;
    let ask = |transfer: &Transfer| {
        authorize(
            transfer,
            Some(&connection),
            &start(""),
            &anyone(),
            DEFAULTS,
            at(1),
        )
    };
    assert_eq!(reason(ask(&transfer)), "TRANSFER_LIMIT_REACHED");
    transfer.lease_epoch = 1;
    assert_eq!(ask(&transfer).expect("it was counted").charged, None);
}
