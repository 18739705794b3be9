//! What has ended is deleted when it was over for as long as it is to be kept, and nothing else is.

use std::time::Duration;

use tidegate_proto::v1::{self, EventType, event::Detail};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, told, wire_duration},
    soon,
};
use tonic::{Code, Status};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A server that keeps what has ended for a day; or for ever.
async fn world(forgetful: bool) -> (World, Raw) {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(20),
        arguments: if forgetful {
            &["--access-retention", "24h"]
        } else {
            &[]
        },
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let raw = world.services().await;
    (world, raw)
}

async fn person(raw: &mut Raw, name: &str) -> String {
    let request = v1::CreateCredentialRequest {
        name: name.to_owned(),
        role: v1::Role::Viewer.into(),
        expires_in: Some(wire_duration(HOUR)),
        request_id: format!("create-{name}"),
        ..v1::CreateCredentialRequest::default()
    };
    let made = told(raw.credentials.create_credential(request)).await;
    made.credential.expect("it was made").uuid
}

async fn revoke(raw: &mut Raw, uuid: &str) {
    let request = v1::RevokeCredentialRequest {
        uuid: uuid.to_owned(),
        ..v1::RevokeCredentialRequest::default()
    };
    told(raw.credentials.revoke_credential(request)).await;
}

async fn get(raw: &mut Raw, uuid: &str) -> Result<v1::Credential, Status> {
    let uuid = uuid.to_owned();
    let found = raw
        .credentials
        .get_credential(v1::GetCredentialRequest { uuid });
    Ok(found.await?.into_inner().credential.expect("it is there"))
}

/// A session's code.
async fn open(raw: &mut Raw, connection: &str) -> String {
    let request = v1::CreateSessionRequest {
        connection_uuid: connection.to_owned(),
        ..v1::CreateSessionRequest::default()
    };
    told(raw.credentials.create_session(request))
        .await
        .session_code
}

/// The agent of a session that is redeemed.
async fn redeem(raw: &mut Raw, session_code: String) -> String {
    let request = v1::RedeemSessionRequest { session_code };
    let redeemed = told(raw.credentials.redeem_session(request)).await;
    redeemed.credential.expect("the agent").uuid
}

/// The deletions in the log.
async fn deletions(raw: &mut Raw) -> Vec<v1::Event> {
    let mut events = raw.log().await;
    events.retain(|it| {
        matches!(
            it.r#type(),
            EventType::CredentialDeleted | EventType::SessionDeleted
        )
    });
    events
}

async fn deleted(raw: &mut Raw, count: usize) -> Vec<v1::Event> {
    let wait = async {
        loop {
            let events = deletions(raw).await;
            if events.len() >= count {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the deletions", wait).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_over_for_a_day_is_deleted_and_told() {
    let (world, mut raw) = world(true).await;
    let connection = raw.connection("north").await;
    let (stays, ended) = (
        person(&mut raw, "stays").await,
        person(&mut raw, "ended").await,
    );
    let code = open(&mut raw, &connection).await;
    let agent = redeem(&mut raw, code).await;
    open(&mut raw, &connection).await;
    world.clock.advance(HOUR);
    revoke(&mut raw, &ended).await;

    // Both sessions are over, an hour after they were opened; what was revoked stays for a day from then.
    world.clock.advance(DAY - Duration::from_secs(1));
    let events = deleted(&mut raw, 2).await;
    let types: Vec<_> = events.iter().map(v1::Event::r#type).collect();
    assert_eq!(types, [EventType::SessionDeleted; 2]);
    assert_eq!(events[0].connection_uuid, connection);
    get(&mut raw, &ended).await.expect("not a day yet");

    world.clock.advance(Duration::from_secs(2));
    let events = deleted(&mut raw, 3).await;
    assert_eq!(events[2].subject_uuid, ended);
    assert_eq!(events[2].actor, "sweeper");
    let who = Detail::Credential(v1::CredentialDetail {
        role: v1::Role::Viewer.into(),
        name: "ended".to_owned(),
    });
    assert_eq!(events[2].detail, Some(who));
    let refusal = get(&mut raw, &ended).await.expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "CREDENTIAL_NOT_FOUND");
    // So is what its creation would be answered with.
    let again = v1::CreateCredentialRequest {
        name: "ended".to_owned(),
        role: v1::Role::Viewer.into(),
        expires_in: Some(wire_duration(HOUR)),
        request_id: "create-ended".to_owned(),
        ..v1::CreateCredentialRequest::default()
    };
    let refusal = raw.credentials.create_credential(again).await;
    let refusal = refusal.expect_err("it is a repetition");
    assert_refused(&refusal, Code::NotFound, "CREDENTIAL_NOT_FOUND");

    world.clock.advance(2 * DAY);
    let events = deleted(&mut raw, 4).await;
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!(events[3].subject_uuid, agent);
    let kept = get(&mut raw, &stays).await.expect("it can be rotated");
    assert_eq!(kept.name, "stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_has_ended_stays_unless_it_is_asked_for() {
    let (world, mut raw) = world(false).await;
    let ended = person(&mut raw, "ended").await;
    revoke(&mut raw, &ended).await;
    world.clock.advance(400 * DAY);
    tokio::time::sleep(Duration::from_millis(300)).await;
    get(&mut raw, &ended).await.expect("it is kept");
    assert_eq!(deletions(&mut raw).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_batch_is_deleted_in_several() {
    const MANY: usize = 300;
    let (world, mut raw) = world(true).await;
    let connection = raw.connection("north").await;
    for _ in 0..MANY {
        open(&mut raw, &connection).await;
    }
    world.clock.advance(2 * DAY);
    let events = deleted(&mut raw, MANY).await;
    assert_eq!(events.len(), MANY, "each once");
}
