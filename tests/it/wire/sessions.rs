//! Sessions: codes that are redeemed, once, for a token.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, EventType, Role, event::Detail};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, told, wire_duration, wire_time},
};
use tonic::{Code, Status};

const MINUTE: Duration = Duration::from_secs(60);

async fn world() -> (World, Raw, String) {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let connection = raw.connection("north").await;
    (world, raw, connection)
}

fn session(connection: &str) -> v1::CreateSessionRequest {
    v1::CreateSessionRequest {
        connection_uuid: connection.to_owned(),
        ..v1::CreateSessionRequest::default()
    }
}

async fn code(raw: &mut Raw, connection: &str) -> String {
    let request = session(connection);
    told(raw.credentials.create_session(request))
        .await
        .session_code
}

async fn redeem(raw: &mut Raw, code: &str) -> Result<v1::RedeemSessionResponse, Status> {
    let session_code = code.to_owned();
    let request = v1::RedeemSessionRequest { session_code };
    let answer = raw.credentials.redeem_session(request).await;
    answer.map(tonic::Response::into_inner)
}

fn assert_invalid(answer: Result<v1::RedeemSessionResponse, Status>) {
    let refusal = answer.expect_err("the code is good for nothing");
    let refused = assert_refused(&refusal, Code::Unauthenticated, "SESSION_CODE_INVALID");
    assert!(refused.metadata.is_empty(), "nothing says what is wrong");
}

#[tokio::test]
async fn a_session_is_opened_and_redeemed_for_an_agent() {
    let (world, mut raw, connection) = world().await;
    let before = raw.log().await.len();
    let request = v1::CreateSessionRequest {
        token_expires_in: Some(wire_duration(10 * MINUTE)),
        ..session(&connection)
    };
    let opened = told(raw.credentials.create_session(request)).await;
    let now = world.clock.now();
    assert_eq!(opened.expires_at, Some(wire_time(now.after(15 * MINUTE))));
    let code = opened.session_code;
    assert!(code.len() == 8 && !code.contains(['0', '1', 'O', 'I', 'L']));

    // As people type it.
    let typed = format!(" {}-{} ", &code[..4].to_lowercase(), &code[4..]);
    let request = v1::RedeemSessionRequest {
        session_code: typed,
    };
    let redeemed = told(raw.credentials.redeem_session(request)).await;
    assert!(redeemed.token.starts_with("tdg_"));
    let agent = redeemed.credential.expect("the agent");
    let expected = v1::Credential {
        uuid: agent.uuid.clone(),
        name: format!("session {code}"),
        role: Role::Agent.into(),
        connection_uuid: connection.clone(),
        session_code: code,
        inserted_at: Some(wire_time(now)),
        expires_at: Some(wire_time(now.after(10 * MINUTE))),
        revision: 1,
        ..v1::Credential::default()
    };
    assert_eq!(agent, expected);

    let events = raw.log().await.split_off(before);
    let [opening, redemption] = events.as_slice() else {
        panic!("two events: {events:?}");
    };
    assert_eq!(opening.r#type(), EventType::SessionCreated);
    assert_eq!(redemption.r#type(), EventType::SessionRedeemed);
    let detail = Detail::Redemption(v1::RedemptionDetail {
        agent_uuid: agent.uuid.clone(),
    });
    assert_eq!(redemption.detail, Some(detail));
    for event in [opening, redemption] {
        assert_eq!(event.connection_uuid, connection);
        assert_eq!(event.subject_uuid, opening.subject_uuid);
        assert_eq!(event.revision, 0);
    }
    assert_ne!(opening.subject_uuid, "");
}

#[tokio::test]
async fn a_code_is_good_once_whoever_is_first() {
    let (_world, mut raw, connection) = world().await;
    let code = code(&mut raw, &connection).await;
    let tries = (0..100).map(|_| {
        let (mut raw, code) = (raw.clone(), code.clone());
        async move { redeem(&mut raw, &code).await }
    });
    let answers = join_all(tries).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 99));
    bad.into_iter().for_each(assert_invalid);
    let agents = v1::ListCredentialsRequest {
        connection_uuid: connection,
        ..v1::ListCredentialsRequest::default()
    };
    let agents = told(raw.credentials.list_credentials(agents)).await;
    assert_eq!(agents.credentials.len(), 1);
}

#[tokio::test]
async fn a_code_is_good_until_its_end() {
    let (world, mut raw, connection) = world().await;
    let (early, late) = (
        code(&mut raw, &connection).await,
        code(&mut raw, &connection).await,
    );
    world.clock.advance(15 * MINUTE - Duration::from_micros(1));
    redeem(&mut raw, &early).await.expect("just in time");
    world.clock.advance(Duration::from_micros(1));
    assert_invalid(redeem(&mut raw, &late).await);
}

#[tokio::test]
async fn what_is_no_code_says_no_more_than_a_wrong_one() {
    let (_world, mut raw, connection) = world().await;
    code(&mut raw, &connection).await;
    for wrong in ["", "2345WXYZ", "0000 0000", "2345WXYZ2345WXYZ", "2345WXYÄ"] {
        assert_invalid(redeem(&mut raw, wrong).await);
    }
}

#[tokio::test]
async fn a_session_needs_an_active_connection_from_its_beginning_to_its_end() {
    let (_world, mut raw, connection) = world().await;
    let waiting = code(&mut raw, &connection).await;
    let suspend = v1::SuspendConnectionRequest {
        uuid: connection.clone(),
        ..v1::SuspendConnectionRequest::default()
    };
    told(raw.connections.suspend_connection(suspend)).await;
    assert_invalid(redeem(&mut raw, &waiting).await);
    let refusal = raw.credentials.create_session(session(&connection)).await;
    let refusal = refusal.expect_err("it is suspended");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_NOT_ACTIVE");
    let reactivate = v1::ReactivateConnectionRequest {
        uuid: connection,
        ..v1::ReactivateConnectionRequest::default()
    };
    told(raw.connections.reactivate_connection(reactivate)).await;
    redeem(&mut raw, &waiting).await.expect("it is good again");
    let refusal = raw.credentials.create_session(session(NOBODY)).await;
    let refusal = refusal.expect_err("there is none");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
}

#[tokio::test]
async fn a_repeated_opening_answers_without_the_code() {
    let (world, mut raw, connection) = world().await;
    let request = v1::CreateSessionRequest {
        request_id: "once".to_owned(),
        ..session(&connection)
    };
    let opened = told(raw.credentials.create_session(request.clone())).await;
    world.clock.advance(MINUTE);
    let again = told(raw.credentials.create_session(request)).await;
    assert_eq!(again.session_code, "");
    assert_eq!(again.expires_at, opened.expires_at);
    redeem(&mut raw, &opened.session_code)
        .await
        .expect("it is the one session");
}

#[tokio::test]
async fn lives_have_limits() {
    let (_world, mut raw, connection) = world().await;
    for (life, is_good) in [
        (MINUTE - Duration::from_micros(1), false),
        (MINUTE, true),
        (24 * 60 * MINUTE, true),
        (24 * 60 * MINUTE + Duration::from_micros(1), false),
    ] {
        let request = v1::CreateSessionRequest {
            expires_in: Some(wire_duration(life)),
            token_expires_in: Some(wire_duration(life)),
            ..session(&connection)
        };
        let answer = raw.credentials.create_session(request).await;
        assert_eq!(answer.is_ok(), is_good, "{life:?}");
        if let Err(refusal) = answer {
            let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
            assert_eq!(refused.fields, ["expires_in", "token_expires_in"]);
        }
    }
}
