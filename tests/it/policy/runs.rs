//! Limits of what runs at once: never passed, whoever comes at the same time, and free again with the end of a run.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, ConnectionPolicy, Role};
use tidegate_tests::{
    World, WorldOptions,
    actors::{bearing, channel_from, issue},
    assert_refused,
    database::{Kind, kind},
    raw::{Raw, done, told, wire_duration},
    request,
    site::{limiting, of},
    soon,
};
use tonic::{Code, Response, Status};

fn at_once(all: Option<i32>, agent: Option<i32>) -> ConnectionPolicy {
    ConnectionPolicy {
        max_running: all,
        max_running_per_agent: agent,
        ..ConnectionPolicy::default()
    }
}

fn start(uuid: &str, agent: &str) -> v1::StartTransferRequest {
    v1::StartTransferRequest {
        agent_instance: agent.to_owned(),
        ..request::starting(uuid)
    }
}

/// That many transfers that wait.
async fn declared(raw: &mut Raw, site: &str, count: usize) -> Vec<String> {
    let mut uuids = Vec::new();
    for _ in 0..count {
        uuids.push(raw.create(of(site)).await.uuid);
    }
    uuids
}

fn assert_full<T>(answer: Result<Response<T>, Status>, name: &str, limit: &str) {
    let refused = answer.map(drop).expect_err("as many run as may");
    let refused = assert_refused(&refused, Code::FailedPrecondition, "RUN_LIMIT_REACHED");
    assert_eq!(refused.metadata.get(name).map(String::as_str), Some(limit));
}

#[tokio::test]
async fn one_more_runs_when_one_has_ended() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let site = raw.site(at_once(Some(2), None)).await;
    let uuids = declared(&mut raw, &site, 4).await;
    raw.start(&uuids[0]).await;
    raw.start(&uuids[1]).await;
    let third = raw.transfers.start_transfer(request::starting(&uuids[2]));
    assert_full(third.await, "max_running", "2");
    let explain = v1::ExplainTransferRequest {
        uuid: uuids[2].clone(),
        address: String::new(),
    };
    let said = told(raw.transfers.explain_transfer(explain.clone())).await;
    let [obstacle] = &said.obstacles[..] else {
        panic!("{:?}", said.obstacles);
    };
    assert_eq!(obstacle.reason, "RUN_LIMIT_REACHED");
    assert_eq!(obstacle.rule, "policy.max_running");
    raw.complete(&uuids[0], 1).await;
    assert!(
        told(raw.transfers.explain_transfer(explain))
            .await
            .startable
    );
    raw.start(&uuids[2]).await;
    raw.cancel(&uuids[1]).await;
    raw.start(&uuids[3]).await;
    let update = limiting(&site, at_once(Some(1), None), &["policy.max_running"]);
    told(raw.connections.update_connection(update)).await;
    assert_eq!(
        raw.report(&uuids[3], 1).await.status(),
        v1::TransferStatus::InProgress
    );
}

#[tokio::test]
async fn an_agent_is_a_credential_and_what_it_calls_itself() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let channel = channel_from(&world.address, 1).await;
    let mut raw = Raw::on(channel.clone());
    let admin = world.admin();
    let policy = at_once(None, Some(1));
    let site = v1::CreateConnectionRequest {
        name: "runs".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://runs.example".to_owned(),
        policy: Some(policy),
        ..v1::CreateConnectionRequest::default()
    };
    let site = told(raw.connections.create_connection(bearing(admin, site))).await;
    let site = site.connection.expect("the connection").uuid;
    let one = issue(&channel, admin, Role::Agent, &site).await;
    let two = issue(&channel, admin, Role::Agent, &site).await;
    let mut uuids = Vec::new();
    for _ in 0..5 {
        let created = raw.transfers.create_transfer(one.asks(of(&site)));
        uuids.push(done(created).await.uuid);
    }
    let first = raw
        .transfers
        .start_transfer(one.asks(start(&uuids[0], "a")));
    done(first).await;
    let again = raw
        .transfers
        .start_transfer(one.asks(start(&uuids[1], "a")));
    assert_full(again.await, "max_running_per_agent", "1");
    for (member, agent, uuid) in [(&one, "b", &uuids[1]), (&two, "a", &uuids[2])] {
        let other = raw
            .transfers
            .start_transfer(member.asks(start(uuid, agent)));
        done(other).await;
    }
    let claim = v1::ClaimTransfersRequest {
        agent_instance: "b".to_owned(),
        ..v1::ClaimTransfersRequest::default()
    };
    let one_of_two = told(raw.transfers.claim_transfers(two.asks(claim.clone()))).await;
    assert_eq!(one_of_two.transfers.len(), 1, "b of the other credential");
    let none = told(raw.transfers.claim_transfers(one.asks(claim))).await;
    assert_eq!(none.transfers, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_run_than_may_whoever_comes_at_once() {
    let mut worlds = vec![World::start().await];
    if kind() == Kind::Postgres {
        let second = worlds[0].replica().await;
        worlds.push(second);
    }
    let mut raw = worlds[0].services().await;
    let site = raw.site(at_once(Some(7), None)).await;
    let uuids = declared(&mut raw, &site, 30).await;
    let mut calls = Vec::new();
    for (number, uuid) in uuids.iter().enumerate() {
        let mut raw = worlds[number % worlds.len()].services().await;
        let (site, uuid) = (site.clone(), uuid.clone());
        calls.push(async move {
            if number % 2 == 0 {
                let started = raw.transfers.start_transfer(request::starting(&uuid)).await;
                return usize::from(started.is_ok());
            }
            let claim = v1::ClaimTransfersRequest {
                max: 3,
                ..request::claim(&site)
            };
            told(raw.transfers.claim_transfers(claim))
                .await
                .transfers
                .len()
        });
    }
    let started: usize = soon("the starts", join_all(calls)).await.iter().sum();
    assert_eq!(started, 7);
}

#[tokio::test]
async fn a_claim_waits_for_a_run_to_end() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let site = raw.site(at_once(Some(1), None)).await;
    let uuids = declared(&mut raw, &site, 2).await;
    raw.start(&uuids[0]).await;
    let claim = v1::ClaimTransfersRequest {
        wait: Some(wire_duration(Duration::from_secs(60))),
        max: 5,
        ..request::claim(&site)
    };
    let mut agent = raw.clone();
    let claimed = tokio::spawn(async move { told(agent.transfers.claim_transfers(claim)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    raw.report(&uuids[0], 1).await;
    assert!(!claimed.is_finished(), "one runs, and no more may");
    raw.complete(&uuids[0], 1).await;
    let claimed = soon("a place", claimed).await.expect("no panic").transfers;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].uuid, uuids[1]);
}
