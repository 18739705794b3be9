//! Who may decide, and for whom.

use super::*;

#[test]
fn approval_is_a_second_pair_of_eyes() {
    let (one, other) = (id(1), id(2));
    let mut transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    transfer.status = TransferStatus::PendingApproval;
    transfer.declared.initiated_by_uuid = Some(one);
    let approve = |transfer: &Transfer, by, caller: &Caller| {
        let verb = Verb::Approve {
            admin_user_uuid: by,
            comment: String::new(),
            revision: None,
        };
        authorize(transfer, Some(&north()), &verb, caller, DEFAULTS, at(1))
    };
    assert_eq!(reason(approve(&transfer, one, &anyone())), "SELF_APPROVAL");
    let verdict = approve(&transfer, other, &anyone()).expect("somebody else");
    assert!(
        matches!(verdict.change, Change::Transition(_, it) if it.event_type == EventType::Approved)
    );
    // A credential that initiated it cannot lend its voice to somebody else either.
    let mut service = known(Role::Admin, None);
    if let Some(identity) = &mut service.identity {
        identity.acts_for_others = true;
    }
    assert!(approve(&transfer, other, &service).is_ok());
    transfer.declared.initiated_by_uuid = service.credential().map(Uuid::from);
    assert_eq!(reason(approve(&transfer, other, &service)), "SELF_APPROVAL");
    // Nor can one that declared it for somebody, or somebody else in its name.
    transfer.declared.initiated_by_uuid = Some(one);
    transfer.acted_by_uuid = service.credential();
    let acted = service.credential().expect("it has one");
    assert_eq!(
        reason(approve(&transfer, acted.into(), &service)),
        "SELF_APPROVAL"
    );
    assert_eq!(reason(approve(&transfer, other, &service)), "SELF_APPROVAL");
    assert_eq!(
        reason(approve(&transfer, acted.into(), &anyone())),
        "SELF_APPROVAL"
    );
    assert!(approve(&transfer, other, &anyone()).is_ok());
    transfer.acted_by_uuid = None;
    // An agent is its connection's, whoever initiated the transfer.
    transfer.declared.initiated_by_uuid = None;
    let agent = known(Role::Agent, Some(north().uuid));
    let own = agent.credential().expect("it has one");
    assert_eq!(
        reason(approve(&transfer, own.into(), &agent)),
        "SELF_APPROVAL"
    );
    transfer.declared.initiated_by_uuid = service.credential().map(Uuid::from);
    transfer.self_approval = true;
    assert!(approve(&transfer, other, &service).is_ok());
}

#[test]
fn a_decision_holds_for_the_revision_that_was_looked_at() {
    let mut transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    transfer.status = TransferStatus::PendingApproval;
    let deny = |revision| Verb::Deny {
        admin_user_uuid: id(2),
        reason: String::new(),
        revision,
    };
    let ask = |verb: &Verb| authorize(&transfer, Some(&north()), verb, &anyone(), DEFAULTS, at(1));
    assert_eq!(reason(ask(&deny(Some(7)))), "STALE_REVISION");
    assert!(ask(&deny(Some(transfer.revision))).is_ok());
}

#[test]
fn a_decision_is_made_in_nobody_elses_name() {
    let mut transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    transfer.status = TransferStatus::PendingApproval;
    let mut approver = known(Role::Approver, None);
    let own = approver.credential().expect("it has one").0;
    let other = Uuid::from_u128(2);
    let (comment, revision) = (String::new(), None);
    let verbs = |by| {
        let (comment, reason) = (comment.clone(), comment.clone());
        [
            Verb::Approve {
                admin_user_uuid: by,
                comment,
                revision,
            },
            Verb::Deny {
                admin_user_uuid: by,
                reason,
                revision,
            },
        ]
    };
    let ask = |verb: &Verb, caller: &Caller| {
        authorize(&transfer, Some(&north()), verb, caller, DEFAULTS, at(1))
    };
    for verb in verbs(other) {
        assert_eq!(reason(ask(&verb, &approver)), "ACTOR_MISMATCH", "{verb:?}");
    }
    for verb in verbs(own) {
        assert!(ask(&verb, &approver).is_ok(), "{verb:?}");
    }
    if let Some(identity) = &mut approver.identity {
        identity.acts_for_others = true;
    }
    for verb in verbs(other) {
        assert!(ask(&verb, &approver).is_ok(), "{verb:?}");
    }
}

#[test]
fn a_transfer_without_a_connection_is_approved_by_whoever_has_none_either() {
    let mut transfer = sample();
    transfer.status = TransferStatus::PendingApproval;
    let verb = Verb::Approve {
        admin_user_uuid: Uuid::from_u128(2),
        comment: String::new(),
        revision: None,
    };
    assert!(authorize(&transfer, None, &verb, &anyone(), DEFAULTS, at(1)).is_ok());
}
