use super::*;
use crate::fixtures::id;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn token(id: &str) -> NewToken {
    NewToken {
        id: id.to_owned(),
        digest: vec![1; 32],
        expires_in: Duration::from_secs(1_000),
    }
}

fn agent() -> Credential {
    let declared = NewCredential {
        name: "north".to_owned(),
        role: Role::Agent,
        connection_uuid: Some(id(1)),
        acts_for_others: false,
        session_code: String::new(),
    };
    Credential::create(id(2), declared, &token("a"), at(0))
}

fn rotated(credential: &Credential, id: &str, overlap: u64, now: i64) -> Credential {
    let verb = CredentialVerb::Rotate {
        token: token(id),
        overlap: Duration::from_secs(overlap),
    };
    let change = decide_credential(credential, &verb, at(now)).expect("it is good");
    change.expect("it changes").0
}

const ACTIVE: Option<ConnectionStatus> = Some(ConnectionStatus::Active);

#[test]
fn lives_are_as_the_contract_says() {
    const MINUTE: u64 = 60;
    const DAY: u64 = 86_400;
    let seconds =
        |(shortest, longest): (Duration, Duration)| (shortest.as_secs(), longest.as_secs());
    assert_eq!(seconds(TOKEN_LIFE), (MINUTE, 366 * DAY));
    assert_eq!(seconds(SESSION_LIFE), (MINUTE, DAY));
    assert_eq!(seconds((TOKEN_LIFE_DEFAULT, OVERLAP_MAX)), (90 * DAY, DAY));
    assert_eq!(
        seconds((CODE_LIFE_DEFAULT, SESSION_TOKEN_LIFE_DEFAULT)),
        (15 * MINUTE, 60 * MINUTE)
    );
}

#[test]
fn an_agent_has_a_connection_and_speaks_for_itself_alone() {
    let uuid = "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b";
    for (role, connection_uuid, acts_for_others, wrong) in [
        (Role::Agent, uuid, false, vec![]),
        (
            Role::Agent,
            "",
            false,
            vec!["connection_uuid is required for an agent"],
        ),
        (
            Role::Agent,
            uuid,
            true,
            vec!["acts_for_others is not for agents"],
        ),
        (Role::Admin, "", true, vec![]),
        (Role::Viewer, "", false, vec![]),
        (
            Role::Viewer,
            uuid,
            false,
            vec!["connection_uuid is only for agents"],
        ),
    ] {
        let mut check = Check::default();
        let new =
            NewCredential::declare(&mut check, "north", role, connection_uuid, acts_for_others);
        assert_eq!((new.name.as_str(), new.role), ("north", role));
        assert_eq!(new.acts_for_others, acts_for_others);
        assert_eq!(new.connection_uuid.is_some(), connection_uuid == uuid);
        let found = match check.finish(()) {
            Err(Refusal::Invalid { fields }) => fields,
            other => {
                assert_eq!(other, Ok(()));
                vec![]
            }
        };
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, wrong, "{role} {connection_uuid} {acts_for_others}");
    }
}

#[test]
fn a_credential_ends_with_its_last_token_and_each_change_is_a_revision() {
    let second = rotated(&agent(), "b", 60, 10);
    let third = rotated(&second, "c", 60, 20);
    assert_eq!(agent().expires_at(), Some(at(1_000)));
    assert_eq!(third.expires_at(), Some(at(1_020)));
    assert_eq!([agent(), second, third].map(|it| it.revision), [1, 2, 3]);
}

#[test]
fn the_token_that_overlaps_is_the_newest_that_is_still_good() {
    let mut brief = rotated(&agent(), "b", 300, 10);
    brief.tokens[1].expires_at = at(70);
    for (now, kept) in [(69, "b"), (70, "a"), (71, "a")] {
        let after = rotated(&brief, "c", 60, now);
        let ids: Vec<_> = after.tokens.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, [kept, "c"], "{now}");
    }
}

#[test]
fn a_token_is_good_until_its_end() {
    let agent = agent();
    assert_eq!(agent.good_until("a", ACTIVE, at(999)), Some(at(1_000)));
    assert_eq!(agent.good_until("a", ACTIVE, at(1_000)), None);
    assert_eq!(agent.good_until("b", ACTIVE, at(1)), None);
    assert_eq!(
        agent.good_until("a", Some(ConnectionStatus::Revoked), at(1)),
        None
    );
    assert_eq!(
        agent.good_until("a", None, at(1)),
        None,
        "its connection is gone"
    );
    assert!(
        agent
            .good_until("a", Some(ConnectionStatus::Suspended), at(1))
            .is_some()
    );
}

#[test]
fn two_tokens_overlap_and_a_third_pushes_the_first_out() {
    let second = rotated(&agent(), "b", 60, 10);
    assert_eq!(second.good_until("a", ACTIVE, at(69)), Some(at(70)));
    assert_eq!(second.good_until("a", ACTIVE, at(70)), None);
    assert_eq!(second.good_until("b", ACTIVE, at(70)), Some(at(1_010)));
    let third = rotated(&second, "c", 60, 20);
    assert_eq!(third.good_until("a", ACTIVE, at(20)), None);
    assert_eq!(third.good_until("b", ACTIVE, at(79)), Some(at(80)));
    assert_eq!(third.tokens.len(), 2);
    let same_time = rotated(&third, "e", 60, 20);
    let order: Vec<_> = same_time.tokens.iter().map(|it| it.inserted_at).collect();
    assert!(order.is_sorted_by(|one, next| one < next), "{order:?}");
    let at_once = rotated(&third, "d", 0, 30);
    assert_eq!(at_once.tokens.len(), 1);
}

#[test]
fn a_revoked_credential_is_over() {
    let revoke = CredentialVerb::Revoke {
        reason: "lost".to_owned(),
    };
    let change = decide_credential(&agent(), &revoke, at(5)).expect("it is good");
    let (revoked, _, detail) = change.expect("it changes");
    assert_eq!(detail, EventDetail::comment("lost"));
    assert_eq!(revoked.good_until("a", ACTIVE, at(5)), None);
    assert_eq!(decide_credential(&revoked, &revoke, at(6)), Ok(None));
    let rotate = CredentialVerb::Rotate {
        token: token("b"),
        overlap: Duration::ZERO,
    };
    let refusal = decide_credential(&revoked, &rotate, at(6)).expect_err("it is over");
    assert_eq!(refusal.reason(), "CREDENTIAL_REVOKED");
}

#[test]
fn what_has_ended_can_be_deleted_and_nothing_else() {
    let delete = |credential: &Credential, micros: i64| {
        let verb = CredentialVerb::Delete {
            ended_before: at(micros),
        };
        let change = decide_credential(credential, &verb, at(9_999));
        change.expect("never refused").map(|(after, event, _)| {
            assert_eq!(&after, credential);
            event
        })
    };
    let gone = Some(EventType::CredentialDeleted);
    let agent = agent();
    assert_eq!(
        delete(&agent, i64::from(u16::MAX)),
        None,
        "a new token revives it"
    );
    let revoke = CredentialVerb::Revoke {
        reason: String::new(),
    };
    let revoked = decide_credential(&agent, &revoke, at(5)).expect("it is good");
    let (revoked, ..) = revoked.expect("it changes");
    assert_eq!(delete(&revoked, 5), None);
    assert_eq!(delete(&revoked, 6), gone);
    let mut of_session = agent;
    of_session.declared.session_code = "2345WXYZ".to_owned();
    let end = of_session.expires_at().expect("it has a token");
    let verb = |ended_before| CredentialVerb::Delete { ended_before };
    let change = |by| decide_credential(&of_session, &verb(by), at(0)).expect("never refused");
    assert_eq!(change(end), None);
    let (.., detail) = change(end.after(Duration::from_micros(1))).expect("it is over");
    assert_eq!(detail, Some(of_session.detail()));
}

#[test]
fn a_session_is_redeemed_once_and_in_time() {
    let new = NewSession {
        connection_uuid: id(1),
        digest: vec![2; 32],
        expires_in: Duration::from_secs(60),
        token_expires_in: Duration::from_secs(600),
    };
    let session = Session::open(id(4), new, at(0));
    let (redeemed, agent) = session.redeem("2345WXYZ", ACTIVE, at(59)).expect("in time");
    assert_eq!(agent.session_code, "2345WXYZ");
    assert_eq!(agent.connection_uuid, Some(id(1)));
    for (session, connection, now) in [
        (&redeemed, ACTIVE, 59),
        (&session, ACTIVE, 60),
        (&session, Some(ConnectionStatus::Suspended), 1),
        (&session, None, 1),
    ] {
        let refusal = session
            .redeem("2345WXYZ", connection, at(now))
            .expect_err("a no");
        assert_eq!(refusal.reason(), "SESSION_CODE_INVALID");
    }
}
