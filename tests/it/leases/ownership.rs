//! Who holds the lease, and what everybody else is told.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, Role, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Actors, bearing, issue},
    assert_refused,
    raw::{Raw, done, plain, told, totals, wire_duration},
    request, soon,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

const HEARTBEAT: Duration = Duration::from_secs(10);

fn starting(uuid: &str, agent_instance: &str) -> v1::StartTransferRequest {
    v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        agent_instance: agent_instance.to_owned(),
        ..request::starting(uuid)
    }
}

/// Every call by which an agent speaks for its run.
async fn speak(
    raw: &Raw,
    uuid: &str,
    lease_epoch: i64,
    token: Option<&str>,
) -> Vec<Result<(), Status>> {
    fn asks<T>(token: Option<&str>, message: T) -> Request<T> {
        match token {
            Some(token) => bearing(token, message),
            None => Request::new(message),
        }
    }
    let mut call = raw.transfers.clone();
    let report = v1::UpdateProgressRequest {
        lease_epoch,
        checkpoint: Some(b"forged".to_vec()),
        ..request::reporting(uuid, totals(999))
    };
    let completion = v1::CompleteTransferRequest {
        lease_epoch,
        progress: Some(totals(999)),
        ..request::completion(uuid)
    };
    let failure = v1::FailTransferRequest {
        lease_epoch,
        ..request::failure(uuid)
    };
    vec![
        call.update_progress(asks(token, report)).await.map(drop),
        call.complete_transfer(asks(token, completion))
            .await
            .map(drop),
        call.fail_transfer(asks(token, failure)).await.map(drop),
    ]
}

/// Nobody else's word changes anything, and they are told who runs it.
async fn is_refused(
    raw: &mut Raw,
    uuid: &str,
    lease_epoch: i64,
    token: Option<&str>,
    reader: Option<&str>,
) {
    let before = read(raw, uuid, reader).await;
    for outcome in speak(raw, uuid, lease_epoch, token).await {
        let refusal = outcome.expect_err("the lease is another's");
        let refused = assert_refused(&refusal, Code::Aborted, "LEASE_LOST");
        let told = |name: &str| refused.metadata.get(name).map(String::as_str);
        assert_eq!(
            told("lease_epoch"),
            Some(before.lease_epoch.to_string().as_str())
        );
        let owner = Some(before.lease_owner_uuid.as_str()).filter(|it| !it.is_empty());
        assert_eq!(told("lease_owner_uuid"), owner);
        assert!(told("heartbeat_expires_at").is_some(), "{refused:?}");
    }
    assert_eq!(read(raw, uuid, reader).await, before);
}

async fn read(raw: &Raw, uuid: &str, token: Option<&str>) -> v1::Transfer {
    let request = v1::GetTransferRequest {
        uuid: uuid.to_owned(),
        ..v1::GetTransferRequest::default()
    };
    let mut call = raw.transfers.clone();
    let request = match token {
        Some(token) => bearing(token, request),
        None => Request::new(request),
    };
    done(call.get_transfer(request)).await
}

#[tokio::test]
async fn of_twenty_agents_one_runs_it_and_the_others_are_told_who() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let raw = world.services().await;
    let create = v1::CreateTransferRequest {
        connection_uuid: actors.own.clone(),
        ..plain()
    };
    let mut call = raw.transfers.clone();
    let uuid = done(call.create_transfer(actors.agent.asks(create)))
        .await
        .uuid;
    let channel = world.channel().await;
    let agents = (0..20).map(|_| issue(&channel, &actors.admin, Role::Agent, &actors.own));
    let agents = join_all(agents).await;
    let starts = agents.iter().map(|agent| {
        let mut call = raw.transfers.clone();
        let start = agent.asks(starting(&uuid, ""));
        async move { call.start_transfer(start).await }
    });
    let outcomes = join_all(starts).await;
    let now = read(&raw, &uuid, Some(&actors.viewer.token)).await;
    assert_eq!(
        (now.status(), now.lease_epoch),
        (TransferStatus::InProgress, 1)
    );
    let mut winners = Vec::new();
    for (agent, outcome) in agents.iter().zip(outcomes) {
        let Err(refusal) = outcome else {
            winners.push(agent.uuid.clone());
            continue;
        };
        let refused = assert_refused(&refusal, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
        let owner = refused.metadata.get("lease_owner_uuid");
        assert_eq!(owner, Some(&now.lease_owner_uuid));
        assert!(
            refused.metadata.contains_key("heartbeat_expires_at"),
            "{refused:?}"
        );
    }
    assert_eq!(winners, [now.lease_owner_uuid]);
}

#[tokio::test]
async fn nobody_but_the_owner_speaks_for_a_run() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let mut raw = world.services().await;
    let create = v1::CreateTransferRequest {
        connection_uuid: actors.own.clone(),
        ..plain()
    };
    let mut call = raw.transfers.clone();
    let uuid = done(call.create_transfer(actors.agent.asks(create)))
        .await
        .uuid;
    let started = done(call.start_transfer(actors.agent.asks(starting(&uuid, "")))).await;
    assert_eq!(started.lease_owner_uuid, actors.agent.uuid);
    let colleague = issue(
        &world.channel().await,
        &actors.admin,
        Role::Agent,
        &actors.own,
    )
    .await;
    let reader = Some(actors.viewer.token.as_str());
    for token in [&colleague.token, &actors.admin] {
        for lease_epoch in [0, 1, 2] {
            is_refused(&mut raw, &uuid, lease_epoch, Some(token), reader).await;
        }
    }
    is_refused(&mut raw, &uuid, 2, Some(&actors.agent.token), reader).await;
    let completion = v1::CompleteTransferRequest {
        lease_epoch: 1,
        ..request::completion(&uuid)
    };
    let completed = done(call.complete_transfer(actors.agent.asks(completion))).await;
    assert_eq!(completed.status(), TransferStatus::Completed);
}

#[tokio::test]
async fn whoever_lost_the_lease_changes_nothing_any_more() {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(15),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut raw = world.services().await;
    let create = v1::CreateTransferRequest {
        max_attempts: 3,
        ..plain()
    };
    let uuid = raw.create(create).await.uuid;
    done(raw.transfers.start_transfer(starting(&uuid, "host-1"))).await;
    is_refused(&mut raw, &uuid, 0, None, None).await;

    // Its stream is open while it loses the lease.
    let (send, sent) = mpsc::channel(4);
    let opened = raw.transfers.report_progress(ReceiverStream::new(sent));
    let report = |records| v1::ReportProgressRequest {
        uuid: uuid.clone(),
        progress: Some(totals(records)),
        checkpoint: None,
        lease_epoch: 1,
        record_problems: Vec::new(),
    };
    send.send(report(5)).await.expect("the stream takes it");
    let mut answers = soon("the stream", opened)
        .await
        .expect("it opens")
        .into_inner();
    let stored = soon("an answer", answers.message()).await.expect("no end");
    assert_eq!(stored.expect("an answer").error, None);
    world.clock.advance(HEARTBEAT);
    let lost = soon("the loss", answers.message())
        .await
        .expect("no end")
        .expect("an answer");
    let error = lost.error.clone().expect("it lost the lease");
    assert_eq!(
        (error.reason.as_str(), error.code),
        ("LEASE_LOST", i32::from(Code::Aborted))
    );
    assert_eq!(lost.status(), TransferStatus::Pending);

    let before = raw.now(&uuid).await;
    for outcome in speak(&raw, &uuid, 1, None).await {
        assert_refused(
            &outcome.expect_err("it waits for its next start"),
            Code::Aborted,
            "LEASE_LOST",
        );
    }
    assert_eq!(raw.now(&uuid).await, before);

    done(raw.transfers.start_transfer(starting(&uuid, "host-2"))).await;
    for lease_epoch in [0, 1, 3] {
        is_refused(&mut raw, &uuid, lease_epoch, None, None).await;
    }
    send.send(report(6)).await.expect("the stream takes it");
    let refused = soon("an answer", answers.message())
        .await
        .expect("no end")
        .expect("an answer");
    assert_eq!(
        refused.error.as_ref().expect("it is not its run").reason,
        "LEASE_LOST"
    );
    assert_eq!(refused.status(), TransferStatus::InProgress);
    let report = v1::UpdateProgressRequest {
        lease_epoch: 2,
        ..request::reporting(&uuid, totals(1))
    };
    let now = done(raw.transfers.update_progress(report)).await;
    assert_eq!(
        (now.progress, now.agent_instance.as_str()),
        (Some(totals(1)), "host-2")
    );
}

#[tokio::test]
async fn beats_are_on_unless_the_operator_says_otherwise() {
    let minute = WorldOptions {
        heartbeat_timeout: Duration::from_secs(60),
        ..WorldOptions::still()
    };
    let world = World::start_with(minute).await;
    let mut raw = world.services().await;
    let free = raw.running().await;
    assert_eq!(
        free.heartbeat_timeout,
        Some(wire_duration(Duration::from_secs(60)))
    );
    let never = v1::ConnectionPolicy {
        heartbeat_timeout: Some(wire_duration(Duration::ZERO)),
        ..v1::ConnectionPolicy::default()
    };
    let site = raw.site(never).await;
    let declared = raw.create(tidegate_tests::site::of(&site)).await;
    let started = raw.start(&declared.uuid).await;
    assert_eq!(
        (started.heartbeat_timeout, started.heartbeat_expires_at),
        (None, None)
    );
    // Not the agent.
    let declared = raw.declared().await;
    let zero = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(Duration::ZERO)),
        ..request::starting(&declared.uuid)
    };
    let refusal = raw
        .transfers
        .start_transfer(zero)
        .await
        .expect_err("an agent must report");
    let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
    assert_eq!(refused.fields, ["heartbeat_timeout"]);

    let off = World::start_with(WorldOptions::still()).await;
    let started = off.services().await.running().await;
    assert_eq!(started.heartbeat_timeout, None);
}

#[tokio::test]
async fn attempts_come_from_the_policy_where_nobody_names_them() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let policy = v1::ConnectionPolicy {
        max_attempts: Some(5),
        ..v1::ConnectionPolicy::default()
    };
    let site = raw.site(policy).await;
    for (named, expected) in [(0, 5), (2, 2)] {
        let create = v1::CreateTransferRequest {
            max_attempts: named,
            ..tidegate_tests::site::of(&site)
        };
        assert_eq!(raw.create(create).await.max_attempts, expected);
    }
    assert_eq!(raw.declared().await.max_attempts, 1);
    for bad in [-1, 101] {
        let create = v1::CreateTransferRequest {
            max_attempts: bad,
            ..plain()
        };
        let refusal = raw
            .transfers
            .create_transfer(create)
            .await
            .expect_err("out of range");
        let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
        assert_eq!(refused.fields, ["max_attempts"]);
    }
    let unknown = v1::ListAttemptsRequest {
        uuid: tidegate_tests::raw::NOBODY.to_owned(),
        ..v1::ListAttemptsRequest::default()
    };
    let refusal = raw
        .transfers
        .list_attempts(unknown)
        .await
        .expect_err("there is none");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    let attempts = v1::ListAttemptsRequest {
        uuid: raw.declared().await.uuid,
        ..v1::ListAttemptsRequest::default()
    };
    assert_eq!(
        told(raw.transfers.list_attempts(attempts)).await.attempts,
        []
    );
}
