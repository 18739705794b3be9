//! Credentials, their tokens and sessions.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::fixture::{Fixture, at, first};
use tidegate_domain::{
    caller::Role,
    credential::{
        Credential, CredentialVerb, NewCredential, NewSession, NewToken, Session, decide_credential,
    },
    fixtures::id,
    id::ConnectionId,
    query::CredentialFilter,
};

const SITE: ConnectionId = ConnectionId(Uuid::from_u128(1));

fn token(id: &str) -> NewToken {
    NewToken {
        id: id.to_owned(),
        digest: vec![1; 32],
        expires_in: Duration::from_secs(60),
    }
}

fn credential(
    number: u8,
    role: Role,
    connection_uuid: Option<ConnectionId>,
    code: &str,
) -> Credential {
    let declared = NewCredential {
        name: format!("credential {number}"),
        role,
        connection_uuid,
        acts_for_others: false,
        session_code: code.to_owned(),
    };
    let token = token(&format!("token {number}"));
    let now = at(i64::from(number));
    Credential::create(id(number.into()), declared, &token, now)
}

fn revoked(mut credential: Credential) -> Credential {
    credential.revoked_at = Some(at(50));
    credential
}

async fn stored(credentials: &[Credential]) -> Fixture {
    let fixture = Fixture::new().await;
    let credentials: Vec<_> = credentials.iter().cloned().map(Arc::new).collect();
    let batch = fixture.store.begin().await.expect("a batch");
    let inserted = batch.insert_credentials(&credentials).await;
    inserted.expect("inserted");
    batch.commit().await.expect("committed");
    fixture
}

#[tokio::test]
async fn the_own_agents_of_a_connection_are_neither_revoked_nor_of_a_session() {
    let (own, elsewhere) = (Some(SITE), Some(id(2)));
    let fixture = stored(&[
        credential(1, Role::Agent, own, ""),
        credential(2, Role::Agent, own, "2345WXYZ"),
        revoked(credential(3, Role::Agent, own, "")),
        credential(4, Role::Agent, elsewhere, ""),
        credential(5, Role::Admin, None, ""),
    ])
    .await;
    let batch = fixture.store.begin().await.expect("a batch");
    let agents = batch.own_agents(&[SITE]).await.expect("read");
    assert_eq!(agents, [id(1)]);
    let none = batch.own_agents(&[id(9)]).await.expect("read");
    assert!(none.is_empty());
}

#[tokio::test]
async fn credentials_are_listed_newest_first_with_their_tokens() {
    let agent = credential(1, Role::Agent, Some(SITE), "");
    let admin = credential(2, Role::Admin, None, "");
    let fixture = stored(&[agent.clone(), admin.clone()]).await;
    let any = CredentialFilter::default();
    let agents = CredentialFilter {
        role: Some(Role::Agent),
        ..any
    };
    let of_site = CredentialFilter {
        connection_uuid: Some(SITE),
        ..any
    };
    for (filter, expected) in [
        (any, vec![admin.clone(), agent.clone()]),
        (agents, vec![agent.clone()]),
        (of_site, vec![agent.clone()]),
    ] {
        let found = fixture.store.credentials(&filter, first(10)).await;
        assert_eq!(found.expect("read"), expected, "{filter:?}");
    }
    let batch = fixture.store.begin().await.expect("a batch");
    let uuids = [1, 2, 3].map(id);
    let expected = [agent, admin];
    let existing = batch.existing_credentials(&uuids).await.expect("read");
    assert_eq!(existing, expected);
    let locked = batch.lock_credentials(&uuids).await.expect("read");
    assert_eq!(locked, expected);
}

#[tokio::test]
async fn a_change_of_a_credential_and_of_its_tokens_is_read_back() {
    let before = credential(1, Role::Admin, None, "");
    let other = credential(2, Role::Admin, None, "");
    let fixture = stored(&[before.clone(), other.clone()]).await;
    let rotate = CredentialVerb::Rotate {
        token: token("next"),
        overlap: Duration::from_secs(30),
    };
    let changed = decide_credential(&before, &rotate, at(20)).expect("it is good");
    let (mut after, ..) = changed.expect("it changes");
    after.last_used_at = Some(at(19));
    after.last_used_address = "192.0.2.1".parse().ok();
    for after in [after.clone(), revoked(after)] {
        let changed = [Arc::new(after.clone())];
        let batch = fixture.store.begin().await.expect("a batch");
        batch.update_credentials(&changed).await.expect("updated");
        batch.replace_tokens(&changed).await.expect("replaced");
        batch.commit().await.expect("committed");
        let mut read = fixture.store.credential(after.uuid).await.expect("read");
        if let Some(read) = &mut read {
            read.tokens.sort_by_key(|token| token.inserted_at);
        }
        assert_eq!(read, Some(after));
    }
    let read = fixture.store.credential(other.uuid).await.expect("read");
    assert_eq!(read, Some(other));
}

#[tokio::test]
async fn a_session_is_found_by_its_code_and_read_back_as_it_was_redeemed() {
    let fixture = Fixture::new().await;
    let declared = NewSession {
        connection_uuid: SITE,
        digest: vec![7; 32],
        expires_in: Duration::from_secs(60),
        token_expires_in: Duration::from_secs(600),
    };
    let opened = Session::open(id(4), declared, at(3));
    let mut redeemed = opened.clone();
    redeemed.redeemed_at = Some(at(5));
    let batch = fixture.store.begin().await.expect("a batch");
    let inserted = batch.insert_sessions(&[Arc::new(opened.clone())]).await;
    inserted.expect("inserted");
    let digests = [vec![7; 32], vec![8; 32]];
    let found = batch.sessions(&digests).await.expect("read");
    assert_eq!(found, [opened]);
    let updated = batch.update_sessions(&[Arc::new(redeemed.clone())]).await;
    updated.expect("updated");
    let locked = batch.lock_sessions(&digests).await.expect("read");
    assert_eq!(locked, [redeemed.clone()]);
    let uuids = [4, 5].map(id);
    let found = batch.existing_sessions(&uuids).await.expect("read");
    assert_eq!(found, [redeemed]);
}

/// Microseconds of a day.
const DAY: i64 = 24 * 3_600 * 1_000_000;

#[tokio::test]
async fn what_has_ended_is_found_and_deleted_with_its_tokens() {
    let person = credential(1, Role::Admin, None, "");
    let gone = revoked(credential(2, Role::Admin, None, ""));
    let spent = credential(3, Role::Agent, Some(SITE), "2345WXYZ");
    let end = spent.expires_at().expect("it has a token").as_micros();
    let mut rotated = credential(4, Role::Agent, Some(SITE), "6789WXYZ");
    rotated.tokens[0].expires_at = at(9 * DAY);
    let fixture = stored(&[person.clone(), gone.clone(), spent.clone(), rotated.clone()]).await;
    let store = &fixture.store;
    let ended = async |before| store.ended_credentials(at(before), 9).await.expect("read");
    assert_eq!(ended(50).await, []);
    assert_eq!(ended(51).await, [gone.uuid]);
    // Agents of sessions are looked at when no token of theirs can be good any more.
    assert_eq!(ended(DAY + 3).await, [gone.uuid]);
    assert_eq!(ended(DAY + end + 1).await, [gone.uuid, spent.uuid]);
    assert_eq!(
        ended(9 * DAY + 1).await,
        [gone.uuid, spent.uuid, rotated.uuid]
    );
    let few = store.ended_credentials(at(9 * DAY + 1), 1).await;
    assert_eq!(few.expect("read"), [gone.uuid, spent.uuid]);

    let batch = store.begin().await.expect("a batch");
    let deleted = batch.delete_credentials(&[gone.uuid, spent.uuid]).await;
    deleted.expect("deleted");
    let again = batch.delete_credentials(&[gone.uuid]).await;
    assert!(again.is_err(), "what is gone was not locked before");
    batch.commit().await.expect("committed");
    assert_eq!(store.credential(gone.uuid).await.expect("read"), None);
    let token = store.credential_of_token("token 3").await.expect("read");
    assert_eq!(token, None, "its token went with it");
    for kept in [person, rotated] {
        let found = store.credential(kept.uuid).await.expect("read");
        assert_eq!(found, Some(kept));
    }
}

#[tokio::test]
async fn sessions_that_are_over_are_found_and_deleted() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let sessions = [1_u8, 2].map(|number| {
        let new = NewSession {
            connection_uuid: SITE,
            digest: vec![number; 32],
            expires_in: Duration::from_micros(10),
            token_expires_in: Duration::from_secs(600),
        };
        Arc::new(Session::open(id(number.into()), new, at(i64::from(number))))
    });
    let batch = store.begin().await.expect("a batch");
    batch.insert_sessions(&sessions).await.expect("inserted");
    batch.commit().await.expect("committed");
    let ended = async |before, limit| store.ended_sessions(at(before), limit).await.expect("read");
    assert_eq!(ended(11, 9).await, Vec::<Vec<u8>>::new());
    assert_eq!(ended(12, 9).await, [vec![1; 32]]);
    assert_eq!(ended(99, 9).await, [vec![1; 32], vec![2; 32]]);
    assert_eq!(ended(99, 1).await, [vec![1; 32]]);
    let batch = store.begin().await.expect("a batch");
    batch
        .delete_sessions(&[sessions[0].uuid])
        .await
        .expect("deleted");
    batch.commit().await.expect("committed");
    assert_eq!(ended(99, 9).await, [vec![2; 32]]);
}
