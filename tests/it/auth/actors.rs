//! In whose name: who is noted as the initiator and the decider, who may name others, and what the log says of refusals.

use std::time::Duration;

use serde_json::Value;
use tidegate_client::{Client, Reason};
use tidegate_proto::v1::{
    self, EventType, Role, credential_service_client::CredentialServiceClient,
    event_service_client::EventServiceClient, transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    World,
    actors::{Actors, Member, bearing},
    assert_refused,
    process::{binary, command, run},
    raw::{ADMIN, NOBODY, done, plain, told},
    request, soon,
};
use tonic::{Code, transport::Channel};

use super::refusals;

pub(super) async fn events(channel: &Channel, admin: &str) -> Vec<v1::Event> {
    let mut events = EventServiceClient::new(channel.clone());
    let request = v1::ListEventsRequest {
        page_size: 1_000,
        ..v1::ListEventsRequest::default()
    };
    told(events.list_events(bearing(admin, request)))
        .await
        .events
}

/// A transfer of `own` that waits for a decision.
pub(crate) async fn waiting(
    transfers: &mut TransferServiceClient<Channel>,
    actors: &Actors,
) -> String {
    let request = v1::CreateTransferRequest {
        connection_uuid: actors.own.clone(),
        ..plain()
    };
    let uuid = done(transfers.create_transfer(actors.agent.asks(request)))
        .await
        .uuid;
    let asking = request::asking(&uuid);
    done(transfers.request_approval(actors.agent.asks(asking)))
        .await
        .uuid
}

#[tokio::test]
async fn whoever_decides_is_noted_and_may_not_name_another() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let uuid = waiting(&mut transfers, &actors).await;
    let other = actors.approver.asks(request::approval(&uuid));
    let refusal = transfers
        .approve_transfer(other)
        .await
        .expect_err("that is somebody else");
    let said = assert_refused(&refusal, Code::PermissionDenied, "ACTOR_MISMATCH");
    assert_eq!(said.metadata["field"], "admin_user_uuid");
    assert_eq!(said.metadata["named"], ADMIN);
    let themselves = v1::ApproveTransferRequest {
        admin_user_uuid: String::new(),
        ..request::approval(&uuid)
    };
    let approved = done(transfers.approve_transfer(actors.approver.asks(themselves))).await;
    assert_eq!(approved.approved_by_uuid, actors.approver.uuid);
    assert_eq!(approved.initiated_by_uuid, actors.agent.uuid);
    let log = events(&channel, &actors.admin).await;
    let of = |event_type: EventType| {
        let found = log
            .iter()
            .find(|it| it.r#type() == event_type && it.transfer_uuid == uuid);
        found.expect("it is in the log")
    };
    for (event_type, member, role) in [
        (EventType::Created, &actors.agent, "agent"),
        (EventType::Approved, &actors.approver, "approver"),
    ] {
        let event = of(event_type);
        assert_eq!(event.actor_uuid, member.uuid);
        assert_eq!(event.actor, format!("{role}:{}", member.uuid));
        assert_eq!(event.address, "127.0.0.1");
    }
}

#[tokio::test]
async fn an_approver_with_a_token_names_nobody() {
    let (world, actors) = super::actors().await;
    let mut transfers = TransferServiceClient::new(world.channel().await);
    let one = waiting(&mut transfers, &actors).await;
    let other = waiting(&mut transfers, &actors).await;
    let [one, other] = [one, other].map(|uuid| uuid.parse().expect("a uuid"));
    let me = actors.approver.uuid.parse().ok();
    let client = Client::builder(world.address.as_str()).token(actors.approver.token.as_str());
    let client = client.connect().await.expect("the server listens");
    let admin = ADMIN.parse().expect("a uuid");
    let refusal = client.approvals().approve(one).on_behalf_of(admin).await;
    let refusal = refusal.expect_err("that is somebody else");
    assert_eq!(refusal.reason(), Some(Reason::ActorMismatch));
    let approved = client.approvals().approve(one).await.expect("it waits");
    assert_eq!(approved.approved_by_uuid, me);
    let denied = client.approvals().deny(other).await.expect("it waits");
    assert_eq!(denied.denied_by_uuid, me);
}

#[tokio::test]
async fn an_approver_with_a_token_names_nobody_to_the_tool() {
    let (world, actors) = super::actors().await;
    let mut transfers = TransferServiceClient::new(world.channel().await);
    for (verb, by) in [("approve", "approvedByUuid"), ("deny", "deniedByUuid")] {
        let uuid = waiting(&mut transfers, &actors).await;
        let mut tidegate = command(binary("tidegate"));
        tidegate
            .env("TIDEGATE_ADDRESS", &world.address)
            .env("TIDEGATE_TOKEN", &actors.approver.token)
            .args(["transfer", verb, &uuid, "-o", "json"]);
        let ended = run(&mut tidegate).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let shown: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
        assert_eq!(shown[by], actors.approver.uuid.as_str());
    }
}

#[tokio::test]
async fn who_acts_for_others_names_them_and_is_noted_beside_them() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let portal = v1::CreateCredentialRequest {
        name: "portal".to_owned(),
        role: Role::Approver.into(),
        acts_for_others: true,
        ..v1::CreateCredentialRequest::default()
    };
    let portal = told(credentials.create_credential(bearing(&actors.admin, portal))).await;
    let portal = Member {
        uuid: portal.credential.expect("it is told").uuid,
        token: portal.token,
    };
    let mut transfers = TransferServiceClient::new(channel.clone());
    let uuid = waiting(&mut transfers, &actors).await;
    let approval = portal.asks(request::approval(&uuid));
    let approved = done(transfers.approve_transfer(approval)).await;
    assert_eq!(approved.approved_by_uuid, ADMIN);
    let log = events(&channel, &actors.admin).await;
    let event = log
        .iter()
        .find(|it| it.r#type() == EventType::Approved)
        .expect("it is in the log");
    assert_eq!(event.actor_uuid, ADMIN);
    assert_eq!(event.actor, format!("approver:{}", portal.uuid));
}

#[tokio::test]
async fn the_caller_is_told_who_they_are_and_his_use_is_noted() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let caller = v1::GetCallerRequest::default();
    let answer = told(credentials.get_caller(actors.agent.asks(caller))).await;
    let told_of = answer.credential.expect("they are known");
    assert_eq!(told_of.uuid, actors.agent.uuid);
    assert_eq!(told_of.role(), Role::Agent);
    assert_eq!(told_of.connection_uuid, actors.own);
    let noted = async {
        loop {
            let request = v1::GetCredentialRequest {
                uuid: actors.agent.uuid.clone(),
            };
            let found = told(credentials.get_credential(bearing(&actors.admin, request))).await;
            let found = found.credential.expect("it is told");
            if found.last_used_at.is_some() {
                assert_eq!(found.last_used_address, "127.0.0.1");
                assert_eq!(found.revision, 1, "use is no change");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the note of its use", noted).await;
}

/// Waits for so many refusals of `member` in the log.
pub(super) async fn noted_refusals(
    world: &World,
    actors: &Actors,
    member: &Member,
    count: usize,
) -> Vec<v1::Event> {
    let channel = world.channel().await;
    let noted = async {
        loop {
            let log = events(&channel, &actors.admin).await;
            let of_his = |event: &&v1::Event| {
                event.r#type() == EventType::Refused && event.actor_uuid == member.uuid
            };
            let noted: Vec<_> = log.iter().filter(of_his).collect();
            if noted.len() >= count {
                assert!(noted.iter().all(|event| event.address == "127.0.0.1"));
                return noted.into_iter().cloned().collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the notes of the refusals", noted).await
}

#[tokio::test]
async fn refused_changes_are_in_the_log_and_refused_questions_are_not() {
    let (world, actors) = super::actors().await;
    let mut transfers = TransferServiceClient::new(world.channel().await);
    let uuid = waiting(&mut transfers, &actors).await;
    let agent = &actors.agent;
    // Neither of these is a change that a rule refuses.
    let unknown = v1::GetTransferRequest {
        uuid: NOBODY.to_owned(),
        ..v1::GetTransferRequest::default()
    };
    transfers
        .get_transfer(agent.asks(unknown))
        .await
        .expect_err("there is none");
    let invalid = agent.asks(request::starting("no uuid"));
    transfers
        .start_transfer(invalid)
        .await
        .expect_err("it is invalid");
    let start = agent.asks(request::starting(&uuid));
    transfers
        .start_transfer(start)
        .await
        .expect_err("it is not approved");
    let unknown = agent.asks(request::starting(NOBODY));
    transfers
        .start_transfer(unknown)
        .await
        .expect_err("there is none");
    let approval = agent.asks(request::approval(&uuid));
    transfers
        .approve_transfer(approval)
        .await
        .expect_err("not by an agent");
    let noted = noted_refusals(&world, &actors, agent, 3).await;
    let mut details: Vec<_> = noted.iter().map(refusals::detail).collect();
    details.sort();
    assert_eq!(
        details,
        [
            ("ILLEGAL_TRANSITION", "StartTransfer", uuid.as_str()),
            ("PERMISSION_DENIED", "ApproveTransfer", ""),
            ("TRANSFER_NOT_FOUND", "StartTransfer", NOBODY),
        ]
    );
}

#[tokio::test]
async fn one_caller_fills_the_log_with_sixty_refusals_a_minute_at_most() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let began = std::time::Instant::now();
    for _ in 0..100 {
        let unknown = actors.agent.asks(request::starting(NOBODY));
        transfers
            .start_transfer(unknown)
            .await
            .expect_err("there is none");
    }
    let fits = 60 + usize::try_from(began.elapsed().as_secs()).expect("a short time");
    noted_refusals(&world, &actors, &actors.agent, 60).await;
    // Another's refusal is noted after all of theirs.
    let denied = actors.viewer.asks(request::starting(NOBODY));
    transfers
        .start_transfer(denied)
        .await
        .expect_err("not by a viewer");
    noted_refusals(&world, &actors, &actors.viewer, 1).await;
    let log = events(&channel, &actors.admin).await;
    let noted = log.iter().filter(|it| it.actor_uuid == actors.agent.uuid);
    let noted = noted.filter(|it| it.r#type() == EventType::Refused);
    let dropped: Vec<_> = noted.map(refusals::dropped).collect();
    assert!(
        (60..=fits).contains(&dropped.len()),
        "{} of 100 in {:?}",
        dropped.len(),
        began.elapsed()
    );
    // The next one that there is room for says how many are missing.
    let told: i64 = dropped.iter().sum();
    let missing = 100 - i64::try_from(dropped.len()).expect("few") - told;
    assert!(missing > 0, "{dropped:?}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let unknown = actors.agent.asks(request::starting(NOBODY));
    transfers
        .start_transfer(unknown)
        .await
        .expect_err("there is none");
    let all = noted_refusals(&world, &actors, &actors.agent, dropped.len() + 1).await;
    assert_eq!(all.last().map(refusals::dropped), Some(missing));
}
