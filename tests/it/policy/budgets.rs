//! Limits that all transfers of a connection share: never passed, whoever comes at the same time, and in step with the
//! rows whatever happens to the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tidegate_proto::v1::{self, ConnectionPolicy, TransferStatus};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions, assert_refused,
    raw::{Raw, plain, told, totals},
    refused, request,
    site::{limiting, of, renaming},
    soon,
};
use tonic::Code;

fn limited_to(limit: i64) -> ConnectionPolicy {
    ConnectionPolicy {
        max_transfers: Some(limit),
        ..ConnectionPolicy::default()
    }
}

fn records(limit: i64) -> ConnectionPolicy {
    ConnectionPolicy {
        max_records_total: Some(limit),
        ..ConnectionPolicy::default()
    }
}

/// All transfers of a connection.
async fn all_of(raw: &mut Raw, uuid: &str) -> Vec<v1::Transfer> {
    let request = v1::ListTransfersRequest {
        filter: Some(v1::TransferFilter {
            connection_uuid: uuid.to_owned(),
            ..v1::TransferFilter::default()
        }),
        page_size: 1_000,
        ..v1::ListTransfersRequest::default()
    };
    told(raw.transfers.list_transfers(request)).await.transfers
}

fn moved(transfer: &v1::Transfer) -> i64 {
    transfer.progress.map_or(0, |it| it.records_transferred())
}

/// Fifty callers at once on these connections: how many were allowed.
async fn fifty_starts(callers: &[Raw]) {
    let mut raw = callers[0].clone();
    let uuid = raw.site(limited_to(10)).await;
    let mut transfers = Vec::new();
    for _ in 0..50 {
        transfers.push(raw.create(of(&uuid)).await.uuid);
    }
    let starts = transfers.iter().zip(callers.iter().cycle());
    let starts = starts.map(|(transfer, caller)| {
        let (mut caller, start) = (caller.clone(), request::starting(transfer));
        async move { caller.transfers.start_transfer(start).await }
    });
    let outcomes = join_all(starts).await;
    let refusals: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(refusals.len(), 40);
    for refusal in refusals {
        assert_refused(refusal, Code::FailedPrecondition, "TRANSFER_LIMIT_REACHED");
    }
    let site = raw.site_now(&uuid).await;
    assert_eq!((site.transfers_used, site.revision), (10, 1));
    let started = all_of(&mut raw, &uuid).await;
    let started = started.iter().filter(|it| it.started_at.is_some());
    assert_eq!(started.count(), 10);
}

/// Transfers of one connection report at once until nothing is left: the sum stops at the limit exactly.
async fn reports_to_the_last_record(callers: &[Raw]) {
    const LIMIT: i64 = 500;
    let mut raw = callers[0].clone();
    let uuid = raw.site(records(LIMIT)).await;
    let mut running = Vec::new();
    for _ in 0..12 {
        let transfer = raw.create(of(&uuid)).await.uuid;
        raw.start(&transfer).await;
        running.push(transfer);
    }
    let agents = running.iter().zip(callers.iter().cycle());
    let agents = agents.enumerate().map(|(seed, (transfer, caller))| {
        let (mut caller, transfer) = (caller.clone(), transfer.clone());
        let mut chance = StdRng::seed_from_u64(seed as u64);
        tokio::spawn(async move {
            let (mut total, mut stride) = (0, 16);
            while stride > 0 {
                let step = chance.random_range(1..=stride);
                let report = request::reporting(&transfer, totals(total + step));
                match caller.transfers.update_progress(report).await {
                    Ok(_) => total += step,
                    Err(refusal) => {
                        let refused = refused(&refusal);
                        assert_eq!(refused.reason, "RECORD_LIMIT_REACHED");
                        let left: i64 = refused.metadata["remaining"].parse().expect("a number");
                        assert!(left < step, "{left} are left, {step} were refused");
                        stride = left.min(step - 1);
                    }
                }
            }
            total
        })
    });
    let totals: Vec<_> = soon("the last record", join_all(agents)).await;
    let acknowledged: i64 = totals.into_iter().map(|it| it.expect("no panic")).sum();
    assert_eq!(acknowledged, LIMIT);
    let site = raw.site_now(&uuid).await;
    assert_eq!((site.records_used, site.revision), (LIMIT, 1));
    let stored: i64 = all_of(&mut raw, &uuid).await.iter().map(moved).sum();
    assert_eq!(stored, LIMIT);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_starts_at_once_share_ten_transfers() {
    let world = World::start_with(WorldOptions::still()).await;
    let callers = join_all((0..4).map(|_| world.services())).await;
    fifty_starts(&callers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_at_once_never_pass_the_limit() {
    let world = World::start_with(WorldOptions::still()).await;
    let callers = join_all((0..4).map(|_| world.services())).await;
    reports_to_the_last_record(&callers).await;
}

mod postgres_only {
    use super::*;

    async fn two_replicas() -> (World, World, Vec<Raw>) {
        let one = World::start_with(WorldOptions::still()).await;
        let two = one.replica().await;
        let mut callers = Vec::new();
        for _ in 0..2 {
            callers.push(one.services().await);
            callers.push(two.services().await);
        }
        (one, two, callers)
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn two_replicas_share_ten_transfers() {
        let (_one, _two, callers) = two_replicas().await;
        for _ in 0..3 {
            fifty_starts(&callers).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn two_replicas_never_pass_the_limit_of_records() {
        let (_one, _two, callers) = two_replicas().await;
        reports_to_the_last_record(&callers).await;
    }

    /// Reports on a connection without limits share its lock; a change of it gets its turn all the same.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_change_gets_its_turn_among_those_who_only_look() {
        let (_one, _two, callers) = two_replicas().await;
        let mut raw = callers[0].clone();
        let uuid = raw.site(ConnectionPolicy::default()).await;
        let evening = Arc::new(AtomicBool::new(false));
        let mut agents = Vec::new();
        for caller in callers.iter().cycle().take(32) {
            let transfer = raw.create(of(&uuid)).await.uuid;
            raw.start(&transfer).await;
            let (mut caller, evening) = (caller.clone(), Arc::clone(&evening));
            agents.push(tokio::spawn(async move {
                let mut records = 0;
                while !evening.load(Ordering::Relaxed) {
                    records += 1;
                    caller.report(&transfer, records).await;
                }
            }));
        }
        for number in 1..=20 {
            let rename = renaming(&uuid, &format!("name {number}"));
            told(raw.connections.update_connection(rename)).await;
        }
        evening.store(true, Ordering::Relaxed);
        for agent in soon("the agents", join_all(agents)).await {
            agent.expect("no panic");
        }
        assert_eq!(raw.site_now(&uuid).await.revision, 21);
    }

    /// A limit that is set while transfers start and report on both replicas counts every one of them.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_limit_set_in_the_middle_counts_what_happens_at_the_time() {
        let (_one, _two, callers) = two_replicas().await;
        let mut raw = callers[0].clone();
        let uuid = raw.site(ConnectionPolicy::default()).await;
        let agents = (0..40).zip(callers.iter().cycle()).map(|(number, caller)| {
            let (mut caller, uuid) = (caller.clone(), uuid.clone());
            tokio::spawn(async move {
                let transfer = caller.create(of(&uuid)).await.uuid;
                caller.start(&transfer).await;
                for records in 1..=5 {
                    caller.report(&transfer, records * number).await;
                }
            })
        });
        let agents: Vec<_> = agents.collect();
        tokio::task::yield_now().await;
        let policy = ConnectionPolicy {
            max_transfers: Some(1_000),
            max_records_total: Some(1_000_000),
            ..ConnectionPolicy::default()
        };
        let site = raw.limit(&uuid, policy).await;
        assert!(site.transfers_used <= 40);
        for agent in soon("the agents", join_all(agents)).await {
            agent.expect("no panic");
        }
        let site = raw.site_now(&uuid).await;
        let all = all_of(&mut raw, &uuid).await;
        assert_eq!(site.transfers_used, 40);
        assert_eq!(site.records_used, all.iter().map(moved).sum::<i64>());
    }
}

#[tokio::test]
async fn final_totals_are_counted_and_refused_alike() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let uuid = raw.site(records(10)).await;
    let [one, two] = [raw.create(of(&uuid)).await, raw.create(of(&uuid)).await];
    for transfer in [&one, &two] {
        raw.start(&transfer.uuid).await;
    }
    let complete = |uuid: &str, records| v1::CompleteTransferRequest {
        progress: Some(totals(records)),
        ..request::completion(uuid)
    };
    let fail = |uuid: &str, records| v1::FailTransferRequest {
        progress: Some(totals(records)),
        ..request::failure(uuid)
    };
    let refusal = raw
        .transfers
        .complete_transfer(complete(&one.uuid, 11))
        .await;
    let refusal = refusal.expect_err("one too many");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "RECORD_LIMIT_REACHED");
    assert_eq!(refused.metadata["max_records_total"], "10");
    told(raw.transfers.complete_transfer(complete(&one.uuid, 6))).await;
    let refusal = raw.transfers.fail_transfer(fail(&two.uuid, 5)).await;
    let refusal = refusal.expect_err("one too many");
    assert_refused(&refusal, Code::FailedPrecondition, "RECORD_LIMIT_REACHED");
    assert_eq!(
        raw.now(&two.uuid).await.status(),
        TransferStatus::InProgress
    );
    told(raw.transfers.fail_transfer(fail(&two.uuid, 4))).await;
    assert_eq!(raw.site_now(&uuid).await.records_used, 10);
    let refusal = raw.transfers.create_transfer(of(&uuid)).await;
    let refusal = refusal.expect_err("nothing is left");
    assert_refused(&refusal, Code::FailedPrecondition, "RECORD_LIMIT_REACHED");
    let wider = raw.limit(&uuid, records(11)).await;
    assert_eq!(wider.records_used, 10);
    raw.create(of(&uuid)).await;
}

#[tokio::test]
async fn a_limit_set_later_counts_what_is_on_record() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let uuid = raw.site(ConnectionPolicy::default()).await;
    raw.create(plain()).await;
    for records in [3, 4, 5] {
        let transfer = raw.create(of(&uuid)).await.uuid;
        raw.start(&transfer).await;
        raw.complete(&transfer, records).await;
    }
    raw.create(of(&uuid)).await;
    let site = raw.site_now(&uuid).await;
    assert_eq!((site.transfers_used, site.records_used), (0, 0));

    // One limit counts by itself; the other one is not kept until it is set.
    let update = limiting(&uuid, limited_to(9), &["policy.max_transfers"]);
    let site = told(raw.connections.update_connection(update))
        .await
        .connection;
    let site = site.expect("the connection");
    assert_eq!((site.transfers_used, site.records_used), (3, 0));
    let update = limiting(&uuid, records(20), &["policy.max_records_total"]);
    let site = told(raw.connections.update_connection(update))
        .await
        .connection;
    let site = site.expect("the connection");
    assert_eq!((site.transfers_used, site.records_used), (3, 12));

    // What was counted stays so when a row goes.
    let all = all_of(&mut raw, &uuid).await;
    let ended = all.iter().find(|it| moved(it) == 5).expect("it is there");
    raw.delete(&ended.uuid).await;
    let site = raw.limit(
        &uuid,
        ConnectionPolicy {
            max_transfers: Some(4),
            ..records(20)
        },
    );
    let site = site.await;
    assert_eq!((site.transfers_used, site.records_used), (3, 12));
}

#[tokio::test]
async fn a_stream_of_reports_is_told_and_lives_on() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let uuid = raw.site(records(10)).await;
    let transfer = raw.create(of(&uuid)).await.uuid;
    raw.start(&transfer).await;
    let (reports, receiver) = tokio::sync::mpsc::channel(4);
    let report = |records| v1::ReportProgressRequest {
        uuid: transfer.clone(),
        progress: Some(totals(records)),
        ..v1::ReportProgressRequest::default()
    };
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    reports.send(report(11)).await.expect("the stream is open");
    let mut acks = told(raw.transfers.report_progress(stream)).await;
    let refused = soon("an answer", acks.message())
        .await
        .expect("the stream lives");
    let error = refused.and_then(|it| it.error).expect("it is refused");
    assert_eq!(error.reason, "RECORD_LIMIT_REACHED");
    reports.send(report(10)).await.expect("the stream is open");
    let accepted = soon("an answer", acks.message())
        .await
        .expect("the stream lives");
    let accepted = accepted.expect("an answer");
    assert!(accepted.error.is_none(), "{accepted:?}");
    assert_eq!(raw.site_now(&uuid).await.records_used, 10);
}

/// Whatever moment the server is killed at, what it counted is what its rows say.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_survives_kill_9() {
    let database = Database::fresh().await;
    let mut site = String::new();
    for round in 0..4_u64 {
        let server = ServerProcess::start(&database, 0, &[]).await;
        let mut raw = Raw::on(server.channel().await);
        if site.is_empty() {
            let policy = ConnectionPolicy {
                max_transfers: Some(10_000),
                ..records(1_000_000)
            };
            site = raw.site(policy).await;
        }
        assert_in_step(&mut raw, &site).await;
        let agents = (0..8).map(|_| {
            let (mut raw, site) = (raw.clone(), site.clone());
            tokio::spawn(async move {
                loop {
                    let Ok(answer) = raw.transfers.create_transfer(of(&site)).await else {
                        return;
                    };
                    let transfer = answer.into_inner().transfer.expect("a transfer").uuid;
                    let start = request::starting(&transfer);
                    if raw.transfers.start_transfer(start).await.is_err() {
                        return;
                    }
                    for total in 1..5 {
                        let report = request::reporting(&transfer, totals(total * 3));
                        if raw.transfers.update_progress(report).await.is_err() {
                            return;
                        }
                    }
                }
            })
        });
        let agents: Vec<_> = agents.collect();
        let before = raw.site_now(&site).await.transfers_used;
        let enough = before + 20 + i64::try_from(round).expect("few");
        soon("some starts", async {
            while raw.site_now(&site).await.transfers_used < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        server.kill().await;
        for agent in soon("the agents", join_all(agents)).await {
            agent.expect("no panic");
        }
    }
    let server = ServerProcess::start(&database, 0, &[]).await;
    let mut raw = Raw::on(server.channel().await);
    assert_in_step(&mut raw, &site).await;
}

async fn assert_in_step(raw: &mut Raw, uuid: &str) {
    let site = raw.site_now(uuid).await;
    let (mut started, mut records) = (0, 0);
    let mut page_token = String::new();
    loop {
        let request = v1::ListTransfersRequest {
            filter: Some(v1::TransferFilter {
                connection_uuid: uuid.to_owned(),
                ..v1::TransferFilter::default()
            }),
            page_size: 1_000,
            page_token,
            ..v1::ListTransfersRequest::default()
        };
        let page = told(raw.transfers.list_transfers(request)).await;
        for transfer in &page.transfers {
            started += i64::from(transfer.started_at.is_some());
            records += moved(transfer);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((site.transfers_used, site.records_used), (started, records));
}
