//! What the log says of refused changes: why, and of what they were asked.

use std::time::Duration;

use tidegate_proto::v1::{
    self, ConnectionPolicy, Role, connection_service_client::ConnectionServiceClient,
    credential_service_client::CredentialServiceClient, event::Detail,
    event_service_client::EventServiceClient, transfer_service_client::TransferServiceClient,
    watch_events_response,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Actors, Member, bearing, issue, revoke},
    raw::{NOBODY, done, told, wire_time},
    request,
    site::{limiting, of},
    soon,
};
use tonic::{Response, Status, transport::Channel};

use super::{
    actors,
    actors::{noted_refusals, waiting},
    actors_with,
};

/// Reason, method and uuid.
pub(super) fn detail(event: &v1::Event) -> (&str, &str, &str) {
    match &event.detail {
        Some(Detail::Refusal(refusal)) => (&refusal.reason, &refusal.method, &refusal.uuid),
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

/// How many were left out before it.
pub(super) fn dropped(event: &v1::Event) -> i64 {
    match &event.detail {
        Some(Detail::Refusal(refusal)) => refusal.dropped,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

/// An event without what differs from run to run: reason, method, what was named, transfer, connection, credential.
type Noted = [String; 6];

fn noted(
    (reason, method, named): (&str, &str, &str),
    transfer: &str,
    connection: &str,
    subject: &str,
) -> Noted {
    [reason, method, named, transfer, connection, subject].map(str::to_owned)
}

/// Asserts that these refusals of `member` are in the log, and no others.
async fn assert_noted(world: &World, actors: &Actors, member: &Member, mut wanted: Vec<Noted>) {
    let events = noted_refusals(world, actors, member, wanted.len()).await;
    let of = |event: &v1::Event| {
        let [transfer, connection, subject] = [
            &event.transfer_uuid,
            &event.connection_uuid,
            &event.subject_uuid,
        ];
        noted(detail(event), transfer, connection, subject)
    };
    let mut found: Vec<Noted> = events.iter().map(of).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

fn illegal<'a>(method: &'a str, uuid: &'a str) -> (&'a str, &'a str, &'a str) {
    ("ILLEGAL_TRANSITION", method, uuid)
}

fn unknown<'a>(method: &'a str, uuid: &'a str) -> (&'a str, &'a str, &'a str) {
    ("TRANSFER_NOT_FOUND", method, uuid)
}

async fn refused<T>(call: impl Future<Output = Result<Response<T>, Status>>) {
    if call.await.is_ok() {
        panic!("it should be refused");
    }
}

#[tokio::test]
async fn a_refused_change_of_a_transfer_names_it_and_its_connection_whoever_asked() {
    let (world, actors) = actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let admin = issue(&channel, &actors.admin, Role::Admin, "").await;
    let uuid = waiting(&mut transfers, &actors).await;
    let request = actors.agent.asks(of(&actors.own));
    let pending = done(transfers.create_transfer(request)).await.uuid;
    let foreign = v1::CreateTransferRequest {
        retry_of_uuid: uuid.clone(),
        ..of(&actors.own)
    };

    refused(transfers.start_transfer(actors.agent.asks(request::starting(&uuid)))).await;
    refused(transfers.create_transfer(actors.agent.asks(foreign))).await;
    refused(transfers.start_transfer(actors.stranger.asks(request::starting(&uuid)))).await;
    refused(transfers.create_transfer(actors.stranger.asks(of(&actors.own)))).await;
    let approval = v1::ApproveTransferRequest {
        admin_user_uuid: String::new(),
        ..request::approval(&pending)
    };
    refused(transfers.approve_transfer(actors.approver.asks(approval))).await;
    refused(transfers.approve_transfer(actors.approver.asks(request::approval(&uuid)))).await;
    let delete = v1::DeleteTransferRequest {
        uuid: uuid.clone(),
        ..v1::DeleteTransferRequest::default()
    };
    refused(transfers.delete_transfer(admin.asks(delete))).await;
    refused(transfers.start_transfer(admin.asks(request::starting(NOBODY)))).await;

    let (own, other) = (actors.own.as_str(), actors.other.as_str());
    let retry = ("RETRY_NOT_ALLOWED", "CreateTransfer", uuid.as_str());
    let wanted = vec![
        noted(illegal("StartTransfer", &uuid), &uuid, own, ""),
        noted(retry, &uuid, own, ""),
    ];
    assert_noted(&world, &actors, &actors.agent, wanted).await;
    // What a caller may not see is named as they named it, among what is theirs.
    let connection = ("CONNECTION_NOT_FOUND", "CreateTransfer", own);
    let wanted = vec![
        noted(unknown("StartTransfer", &uuid), "", other, ""),
        noted(connection, "", other, ""),
    ];
    assert_noted(&world, &actors, &actors.stranger, wanted).await;
    let mismatch = ("ACTOR_MISMATCH", "ApproveTransfer", uuid.as_str());
    let wanted = vec![
        noted(illegal("ApproveTransfer", &pending), &pending, own, ""),
        noted(mismatch, &uuid, own, ""),
    ];
    assert_noted(&world, &actors, &actors.approver, wanted).await;
    let wanted = vec![
        noted(illegal("DeleteTransfer", &uuid), &uuid, own, ""),
        noted(unknown("StartTransfer", NOBODY), "", "", ""),
    ];
    assert_noted(&world, &actors, &admin, wanted).await;
}

#[tokio::test]
async fn a_refusal_is_among_the_events_of_its_transfer_and_tells_what_that_is() {
    let (world, actors) = actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let mut log = EventServiceClient::new(channel);
    let uuid = waiting(&mut transfers, &actors).await;
    waiting(&mut transfers, &actors).await;
    let its = v1::WatchEventsRequest {
        transfer_uuid: uuid.clone(),
        ..v1::WatchEventsRequest::default()
    };
    let watch = log.watch_events(bearing(&actors.admin, its));
    let mut watch = told(watch).await;
    refused(transfers.start_transfer(actors.agent.asks(request::starting(&uuid)))).await;
    noted_refusals(&world, &actors, &actors.agent, 1).await;

    let its = v1::ListEventsRequest {
        transfer_uuid: uuid.clone(),
        ..v1::ListEventsRequest::default()
    };
    let listed = told(log.list_events(bearing(&actors.admin, its)))
        .await
        .events;
    let last = listed.last().expect("an event").clone();
    assert_eq!(detail(&last), illegal("StartTransfer", &uuid));
    let about = (&*last.table_name, last.direction(), &*last.connection_name);
    let declared = of(&actors.own);
    assert_eq!(about, (&*declared.table_name, declared.direction(), "own"));
    let seen = async {
        loop {
            let step = watch
                .message()
                .await
                .expect("it lives")
                .expect("it goes on");
            if let Some(watch_events_response::Update::Event(event)) = step.update
                && event.r#type() == v1::EventType::Refused
            {
                return event;
            }
        }
    };
    assert_eq!(soon("the refusal", seen).await, last);
}

#[tokio::test]
async fn a_refused_change_of_a_connection_or_a_credential_names_it() {
    let (world, actors) = actors().await;
    let channel = world.channel().await;
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let mut transfers = TransferServiceClient::new(channel.clone());
    let admin = issue(&channel, &actors.admin, Role::Admin, "").await;
    waiting(&mut transfers, &actors).await;
    let gone = issue(&channel, &actors.admin, Role::Agent, &actors.other).await;
    let done = revoke(&channel, &actors.admin, &gone.uuid).await;
    done.expect("it is there");
    let approve = |uuid: &str| v1::ApproveConnectionRequest {
        uuid: uuid.to_owned(),
        ..v1::ApproveConnectionRequest::default()
    };
    let rotate = |uuid: &str| v1::RotateCredentialRequest {
        uuid: uuid.to_owned(),
        ..v1::RotateCredentialRequest::default()
    };

    refused(connections.approve_connection(admin.asks(approve(&actors.own)))).await;
    refused(connections.approve_connection(admin.asks(approve(NOBODY)))).await;
    refused(connections.approve_connection(actors.viewer.asks(approve(&actors.own)))).await;
    refused(credentials.rotate_credential(admin.asks(rotate(&gone.uuid)))).await;
    refused(credentials.rotate_credential(admin.asks(rotate(NOBODY)))).await;

    let (own, other) = (actors.own.as_str(), actors.other.as_str());
    let method = "ApproveConnection";
    let wanted = vec![
        noted(("ILLEGAL_TRANSITION", method, own), "", own, ""),
        noted(("CONNECTION_NOT_FOUND", method, NOBODY), "", "", ""),
        noted(
            ("CREDENTIAL_REVOKED", "RotateCredential", &gone.uuid),
            "",
            other,
            &gone.uuid,
        ),
        noted(
            ("CREDENTIAL_NOT_FOUND", "RotateCredential", NOBODY),
            "",
            "",
            "",
        ),
    ];
    assert_noted(&world, &actors, &admin, wanted).await;
    let wanted = vec![noted(("PERMISSION_DENIED", method, ""), "", "", "")];
    assert_noted(&world, &actors, &actors.viewer, wanted).await;
}

/// A guarded server, whose clock stands at 08:00.
async fn still() -> (World, Actors) {
    let options = WorldOptions {
        auth: WorldOptions::guarded().auth,
        ..WorldOptions::still()
    };
    actors_with(options).await
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Policies that refuse, with the reason that each gives.
fn policies(world: &World) -> Vec<(ConnectionPolicy, &'static str)> {
    let open = ConnectionPolicy::default;
    let end = world.clock.now().after(Duration::from_secs(60));
    vec![
        (
            ConnectionPolicy {
                excluded_tables: names(&["characters"]),
                ..open()
            },
            "TABLE_NOT_ALLOWED",
        ),
        (
            ConnectionPolicy {
                ip_allowlist: names(&["192.0.2.0/24"]),
                ..open()
            },
            "IP_NOT_ALLOWED",
        ),
        (
            ConnectionPolicy {
                allowed_hours: "08:01-08:00".to_owned(),
                ..open()
            },
            "OUTSIDE_ALLOWED_HOURS",
        ),
        (
            ConnectionPolicy {
                max_transfers: Some(0),
                ..open()
            },
            "TRANSFER_LIMIT_REACHED",
        ),
        (
            ConnectionPolicy {
                max_records_total: Some(0),
                ..open()
            },
            "RECORD_LIMIT_REACHED",
        ),
        // Last, since time passes.
        (
            ConnectionPolicy {
                expires_at: Some(wire_time(end)),
                ..open()
            },
            "CONNECTION_EXPIRED",
        ),
    ]
}

async fn limit(channel: &Channel, actors: &Actors, policy: ConnectionPolicy) {
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let update = limiting(&actors.own, policy, &["policy"]);
    told(connections.update_connection(bearing(&actors.admin, update))).await;
}

/// Has `agent` and `admin` refused a new transfer of `own` and the start of `uuid`: what the log is to say of each.
async fn both_refused(
    channel: &Channel,
    actors: &Actors,
    admin: &Member,
    uuid: &str,
    reason: &str,
) -> Vec<Noted> {
    let mut transfers = TransferServiceClient::new(channel.clone());
    for member in [&actors.agent, admin] {
        refused(transfers.create_transfer(member.asks(of(&actors.own)))).await;
        refused(transfers.start_transfer(member.asks(request::starting(uuid)))).await;
    }
    let own = actors.own.as_str();
    vec![
        noted((reason, "CreateTransfer", own), "", own, ""),
        noted((reason, "StartTransfer", uuid), uuid, own, ""),
    ]
}

#[tokio::test]
async fn what_a_policy_refuses_names_the_transfer_and_the_connection() {
    let (world, actors) = still().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let admin = issue(&channel, &actors.admin, Role::Admin, "").await;
    let request = actors.agent.asks(of(&actors.own));
    let uuid = done(transfers.create_transfer(request)).await.uuid;
    let mut wanted = Vec::new();
    for (policy, reason) in policies(&world) {
        limit(&channel, &actors, policy).await;
        if reason == "CONNECTION_EXPIRED" {
            world.clock.advance(Duration::from_secs(60));
        }
        wanted.extend(both_refused(&channel, &actors, &admin, &uuid, reason).await);
    }
    for member in [&actors.agent, &admin] {
        assert_noted(&world, &actors, member, wanted.clone()).await;
    }
}

#[tokio::test]
async fn what_a_connection_that_is_not_in_use_refuses_names_the_transfer_and_the_connection() {
    let (world, actors) = still().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let admin = issue(&channel, &actors.admin, Role::Admin, "").await;
    let request = actors.agent.asks(of(&actors.own));
    let uuid = done(transfers.create_transfer(request)).await.uuid;
    let suspend = v1::SuspendConnectionRequest {
        uuid: actors.own.clone(),
        ..v1::SuspendConnectionRequest::default()
    };
    told(connections.suspend_connection(admin.asks(suspend))).await;
    let reason = "CONNECTION_NOT_ACTIVE";
    let wanted = both_refused(&channel, &actors, &admin, &uuid, reason).await;
    assert_noted(&world, &actors, &actors.agent, wanted.clone()).await;
    assert_noted(&world, &actors, &admin, wanted).await;
}
