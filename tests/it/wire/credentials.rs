//! Credentials.

use std::time::Duration;

use tidegate_proto::v1::{self, EventType, Role, event::Detail};
use tidegate_tests::{
    World, WorldOptions,
    actors::bearing,
    assert_refused,
    raw::{NOBODY, Raw, said, told, wire_duration, wire_time},
};
use tonic::Code;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn request(name: &str, role: Role) -> v1::CreateCredentialRequest {
    v1::CreateCredentialRequest {
        name: name.to_owned(),
        role: role.into(),
        ..v1::CreateCredentialRequest::default()
    }
}

async fn created(raw: &mut Raw, request: v1::CreateCredentialRequest) -> (v1::Credential, String) {
    let answer = told(raw.credentials.create_credential(request)).await;
    (answer.credential.expect("the credential"), answer.token)
}

async fn now(raw: &mut Raw, uuid: &str) -> v1::Credential {
    let uuid = uuid.to_owned();
    let get = v1::GetCredentialRequest { uuid };
    let answer = told(raw.credentials.get_credential(get)).await;
    answer.credential.expect("the credential")
}

/// Types of the events of the log with what they happened to, their revision and their detail.
async fn log(raw: &mut Raw) -> Vec<(EventType, String, i64, Option<Detail>)> {
    let events = raw.log().await.into_iter();
    let told = events.map(|it| (it.r#type(), it.subject_uuid, it.revision, it.detail));
    told.collect()
}

#[tokio::test]
async fn a_credential_is_created_with_a_token_and_read_back_without() {
    let (world, mut raw) = world().await;
    let wanted = v1::CreateCredentialRequest {
        acts_for_others: true,
        ..request("Ægir's desk", Role::Approver)
    };
    let (credential, token) = created(&mut raw, wanted).await;
    assert_eq!(
        Uuid::try_parse(&credential.uuid).map(|uuid| uuid.get_version_num()),
        Ok(7)
    );
    assert!(token.starts_with("tdg_") && token.len() == 82, "a token");
    let expected = v1::Credential {
        uuid: credential.uuid.clone(),
        name: "Ægir's desk".to_owned(),
        role: Role::Approver.into(),
        acts_for_others: true,
        inserted_at: Some(wire_time(world.clock.now())),
        expires_at: Some(wire_time(world.clock.now().after(90 * DAY))),
        revision: 1,
        ..v1::Credential::default()
    };
    assert_eq!(credential, expected);
    assert_eq!(now(&mut raw, &credential.uuid).await, expected);
    let detail = Detail::Credential(v1::CredentialDetail {
        role: Role::Approver.into(),
        name: "Ægir's desk".to_owned(),
    });
    assert_eq!(
        log(&mut raw).await,
        [(
            EventType::CredentialCreated,
            credential.uuid,
            1,
            Some(detail)
        )]
    );
}

#[tokio::test]
async fn an_agent_belongs_to_a_connection_that_exists() {
    let (_world, mut raw) = world().await;
    let connection = raw.connection("north").await;
    let agent = |connection: &str| v1::CreateCredentialRequest {
        connection_uuid: connection.to_owned(),
        ..request("north", Role::Agent)
    };
    let (credential, _) = created(&mut raw, agent(&connection)).await;
    assert_eq!(credential.connection_uuid, connection);
    let events = raw.log().await;
    assert_eq!(
        events.last().map(|it| it.connection_uuid.as_str()),
        Some(connection.as_str())
    );
    let refusal = raw.credentials.create_credential(agent(NOBODY)).await;
    let refusal = refusal.expect_err("there is no such connection");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
}

#[tokio::test]
async fn what_makes_no_credential_is_refused_field_by_field() {
    let (_world, mut raw) = world().await;
    let connection = raw.connection("north").await;
    let cases = [
        (request("", Role::Unspecified), &["role", "name"][..]),
        (
            v1::CreateCredentialRequest {
                role: 77,
                ..request("x", Role::Viewer)
            },
            &["role"],
        ),
        (request("x", Role::Agent), &["connection_uuid"]),
        (
            v1::CreateCredentialRequest {
                connection_uuid: connection.clone(),
                expires_in: Some(wire_duration(Duration::from_secs(59))),
                ..request("x", Role::Admin)
            },
            &["expires_in", "connection_uuid"],
        ),
        (
            v1::CreateCredentialRequest {
                connection_uuid: connection,
                acts_for_others: true,
                expires_in: Some(wire_duration(367 * DAY)),
                ..request(&"x".repeat(256), Role::Agent)
            },
            &["expires_in", "acts_for_others", "name"],
        ),
    ];
    for (request, fields) in cases {
        let refusal = raw.credentials.create_credential(request).await;
        let refusal = refusal.expect_err("it makes no credential");
        let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
        assert_eq!(refused.fields, fields);
    }
}

#[tokio::test]
async fn an_unknown_credential_is_not_found() {
    let (_world, mut raw) = world().await;
    let uuid = NOBODY.to_owned();
    let get = v1::GetCredentialRequest { uuid: uuid.clone() };
    let rotate = v1::RotateCredentialRequest {
        uuid: uuid.clone(),
        ..v1::RotateCredentialRequest::default()
    };
    let revoke = v1::RevokeCredentialRequest {
        uuid: uuid.clone(),
        ..v1::RevokeCredentialRequest::default()
    };
    let refusals = [
        raw.credentials.get_credential(get).await.map(drop),
        raw.credentials.rotate_credential(rotate).await.map(drop),
        raw.credentials.revoke_credential(revoke).await.map(drop),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("nobody knows it");
        let refused = assert_refused(&refusal, Code::NotFound, "CREDENTIAL_NOT_FOUND");
        assert_eq!(refused.metadata.get("uuid"), Some(&uuid));
    }
}

#[tokio::test]
async fn credentials_are_listed_newest_first_by_role_and_connection() {
    let (world, mut raw) = world().await;
    let connection = raw.connection("north").await;
    for number in 0..7 {
        world.clock.advance(Duration::from_secs(number % 2));
        let wanted = if number % 3 == 0 {
            v1::CreateCredentialRequest {
                connection_uuid: connection.clone(),
                ..request(&number.to_string(), Role::Agent)
            }
        } else {
            request(&number.to_string(), Role::Viewer)
        };
        created(&mut raw, wanted).await;
    }
    let mut list = async |role: Role, connection: &str, page_size| {
        let mut pages: Vec<String> = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListCredentialsRequest {
                role: role.into(),
                connection_uuid: connection.to_owned(),
                page_size,
                page_token,
            };
            let page = told(raw.credentials.list_credentials(request)).await;
            let names = page.credentials.iter().map(|each| each.name.as_str());
            pages.push(names.collect());
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return pages;
            }
        }
    };
    assert_eq!(list(Role::Unspecified, "", 0).await, ["6543210"]);
    assert_eq!(list(Role::Unspecified, "", 3).await, ["654", "321", "0"]);
    assert_eq!(list(Role::Viewer, "", 3).await, ["542", "1"]);
    assert_eq!(list(Role::Agent, "", 0).await, ["630"]);
    assert_eq!(list(Role::Unspecified, &connection, 2).await, ["63", "0"]);
    assert_eq!(list(Role::Viewer, &connection, 0).await, [""]);
}

#[tokio::test]
async fn a_page_token_is_for_its_list_alone() {
    let (_world, mut raw) = world().await;
    for name in ["a", "b", "c"] {
        created(&mut raw, request(name, Role::Viewer)).await;
    }
    let first = v1::ListCredentialsRequest {
        page_size: 1,
        ..v1::ListCredentialsRequest::default()
    };
    let page_token = told(raw.credentials.list_credentials(first))
        .await
        .next_page_token;
    let other = v1::ListCredentialsRequest {
        role: Role::Viewer.into(),
        page_token,
        ..v1::ListCredentialsRequest::default()
    };
    let refusal = raw.credentials.list_credentials(other).await;
    let refusal = refusal.expect_err("the token is of another list");
    let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
    assert_eq!(refused.fields, ["page_token"]);
}

#[tokio::test]
async fn a_rotation_changes_the_token_and_its_end() {
    let (world, mut raw) = world().await;
    let (credential, first) = created(&mut raw, request("desk", Role::Admin)).await;
    world.clock.advance(DAY);
    let rotate = v1::RotateCredentialRequest {
        uuid: credential.uuid.clone(),
        overlap: Some(wire_duration(HOUR)),
        expires_in: Some(wire_duration(7 * DAY)),
        ..v1::RotateCredentialRequest::default()
    };
    let answer = told(raw.credentials.rotate_credential(rotate)).await;
    assert!(answer.token.starts_with("tdg_"));
    assert_ne!(answer.token, first);
    let expected = v1::Credential {
        expires_at: Some(wire_time(world.clock.now().after(7 * DAY))),
        revision: 2,
        ..credential.clone()
    };
    assert_eq!(answer.credential, Some(expected));
    let last = log(&mut raw).await.pop();
    let uuid = credential.uuid;
    assert_eq!(last, Some((EventType::CredentialRotated, uuid, 2, None)));
}

#[tokio::test]
async fn a_revoked_credential_stays_so() {
    let (world, mut raw) = world().await;
    let (credential, _) = created(&mut raw, request("desk", Role::Admin)).await;
    let revoke = |reason: &str| v1::RevokeCredentialRequest {
        uuid: credential.uuid.clone(),
        reason: reason.to_owned(),
        ..v1::RevokeCredentialRequest::default()
    };
    let answer = told(raw.credentials.revoke_credential(revoke("lost"))).await;
    let expected = v1::Credential {
        expires_at: None,
        revoked_at: Some(wire_time(world.clock.now())),
        revision: 2,
        ..credential.clone()
    };
    assert_eq!(answer.credential, Some(expected.clone()));
    world.clock.advance(DAY);
    let again = told(raw.credentials.revoke_credential(revoke("again"))).await;
    assert_eq!(again.credential, Some(expected), "it changes nothing");
    let uuid = credential.uuid.clone();
    let log = log(&mut raw).await;
    assert_eq!(log.len(), 2);
    assert_eq!(
        log[1],
        (EventType::CredentialRevoked, uuid, 2, said("lost"))
    );
    let rotate = v1::RotateCredentialRequest {
        uuid: credential.uuid,
        ..v1::RotateCredentialRequest::default()
    };
    let refusal = raw.credentials.rotate_credential(rotate).await;
    let refusal = refusal.expect_err("it is over");
    assert_refused(&refusal, Code::FailedPrecondition, "CREDENTIAL_REVOKED");
}

#[tokio::test]
async fn a_repetition_answers_without_the_token() {
    let (_world, mut raw) = world().await;
    let wanted = v1::CreateCredentialRequest {
        request_id: "once".to_owned(),
        ..request("desk", Role::Viewer)
    };
    let first = told(raw.credentials.create_credential(wanted.clone())).await;
    let (credential, token) = (first.credential.expect("the credential"), first.token);
    assert!(!token.is_empty());
    let repeated = created(&mut raw, wanted.clone()).await;
    assert_eq!(repeated, (credential.clone(), String::new()));
    let rotate = v1::RotateCredentialRequest {
        uuid: credential.uuid.clone(),
        request_id: "twice".to_owned(),
        ..v1::RotateCredentialRequest::default()
    };
    let rotated = told(raw.credentials.rotate_credential(rotate.clone())).await;
    assert!(!rotated.token.is_empty());
    let again = told(raw.credentials.rotate_credential(rotate.clone())).await;
    assert_eq!(again.token, "");
    assert_eq!(again.credential, rotated.credential);
    // The credential as it is now, also for the call that came first.
    let repeated = created(&mut raw, wanted).await;
    assert_eq!(repeated.0.revision, 2);
    let other = v1::RotateCredentialRequest {
        overlap: Some(wire_duration(HOUR)),
        ..rotate
    };
    let refusal = raw.credentials.rotate_credential(other).await;
    let refusal = refusal.expect_err("it asks for something else");
    assert_refused(&refusal, Code::AlreadyExists, "REQUEST_ID_REUSED");
    assert_eq!(raw.log().await.len(), 2);
}

#[tokio::test]
async fn a_connections_token_is_rotated_for_its_own_agent() {
    let (world, mut raw) = world().await;
    let connection = raw.connection("north").await;
    let rotate = v1::RotateConnectionTokenRequest {
        uuid: connection.clone(),
        ..v1::RotateConnectionTokenRequest::default()
    };
    let first = told(raw.connections.rotate_connection_token(rotate.clone())).await;
    let agent = first.credential.expect("the agent");
    assert_eq!(
        (agent.name.as_str(), agent.role(), agent.revision),
        ("agent of north", Role::Agent, 1)
    );
    assert_eq!(agent.connection_uuid, connection);
    world.clock.advance(HOUR);
    let second = told(raw.connections.rotate_connection_token(rotate.clone())).await;
    let again = second.credential.expect("the agent");
    assert_eq!((&again.uuid, again.revision), (&agent.uuid, 2));
    assert_ne!(first.token, second.token);
    // Its newest agent; one that was revoked is passed over.
    let wanted = v1::CreateCredentialRequest {
        connection_uuid: connection.clone(),
        ..request("newer", Role::Agent)
    };
    let (newer, _) = created(&mut raw, wanted).await;
    let third = told(raw.connections.rotate_connection_token(rotate.clone())).await;
    assert_eq!(third.credential.map(|it| it.uuid), Some(newer.uuid.clone()));
    let revoke = v1::RevokeCredentialRequest {
        uuid: newer.uuid,
        ..v1::RevokeCredentialRequest::default()
    };
    told(raw.credentials.revoke_credential(revoke)).await;
    let fourth = told(raw.connections.rotate_connection_token(rotate.clone())).await;
    assert_eq!(fourth.credential.map(|it| it.uuid), Some(agent.uuid));

    let unknown = v1::RotateConnectionTokenRequest {
        uuid: NOBODY.to_owned(),
        ..rotate.clone()
    };
    let refusal = raw.connections.rotate_connection_token(unknown).await;
    let refusal = refusal.expect_err("there is none");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    let revoke = v1::RevokeConnectionRequest {
        uuid: connection,
        ..v1::RevokeConnectionRequest::default()
    };
    told(raw.connections.revoke_connection(revoke)).await;
    let refusal = raw.connections.rotate_connection_token(rotate).await;
    let refusal = refusal.expect_err("it is over");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_NOT_ACTIVE");
}

#[tokio::test]
async fn a_caller_is_told_who_they_are() {
    let (_world, mut raw) = world().await;
    let answer = told(raw.credentials.get_caller(v1::GetCallerRequest {})).await;
    assert_eq!(answer.credential, None, "nobody has to say who they are");

    let guarded = World::start_with(WorldOptions::guarded()).await;
    let mut raw = guarded.services().await;
    let ask = bearing(guarded.admin(), v1::GetCallerRequest {});
    let caller = told(raw.credentials.get_caller(ask)).await.credential;
    let caller = caller.expect("a caller with a token");
    assert_eq!(
        (caller.name.as_str(), caller.role()),
        ("first", Role::Admin)
    );
}
