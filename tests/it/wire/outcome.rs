//! How a run goes and how it ended, beyond its totals, over the wire.

use std::time::Duration;

use tidegate_proto::v1::{self, FailureCode, Phase, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, told, totals, wire_duration, wire_time},
    request,
};
use tonic::Code;

use crate::bad_input::bad_fields;

const SECOND: Duration = Duration::from_secs(1);

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn entering(phase: Phase) -> v1::Progress {
    v1::Progress {
        phase: phase.into(),
        ..v1::Progress::default()
    }
}

fn problems(code: FailureCode, count: i64, keys: &[&str]) -> v1::RecordProblems {
    let samples = keys.iter().map(|key| v1::RecordProblem {
        key: (*key).to_owned(),
        reason: "the target has it".to_owned(),
    });
    v1::RecordProblems {
        code: code.into(),
        count,
        samples: samples.collect(),
    }
}

fn names(transfer: &v1::Transfer) -> Vec<Phase> {
    transfer.phases.iter().map(v1::PhaseTime::phase).collect()
}

#[tokio::test]
async fn phases_are_timed_and_do_not_go_back() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let began = wire_time(world.clock.now());
    let preparing = request::reporting(&uuid, entering(Phase::Preparing));
    let first = done(raw.transfers.update_progress(preparing.clone())).await;
    world.clock.advance(SECOND);
    let again = done(raw.transfers.update_progress(preparing.clone())).await;
    assert_eq!(again, first, "it is in it already");

    // Transferring is left out.
    let verified = wire_time(world.clock.now());
    let verifying = request::reporting(&uuid, entering(Phase::Verifying));
    let second = done(raw.transfers.update_progress(verifying)).await;
    assert_eq!(second.progress.map(|it| it.phase()), Some(Phase::Verifying));
    let back = raw.transfers.update_progress(preparing).await;
    let back = back.expect_err("it does not go back");
    let refused = assert_refused(&back, Code::FailedPrecondition, "PHASE_REGRESSED");
    let told = |name: &str| refused.metadata.get(name).map_or("", String::as_str);
    assert_eq!(
        (told("stored"), told("reported")),
        ("VERIFYING", "PREPARING")
    );
    assert_eq!(raw.now(&uuid).await, second);

    world.clock.advance(SECOND);
    let ended = wire_time(world.clock.now());
    let complete = v1::CompleteTransferRequest {
        progress: Some(v1::Progress {
            phase: Phase::Finalizing.into(),
            ..totals(3)
        }),
        ..request::completion(&uuid)
    };
    let completed = done(raw.transfers.complete_transfer(complete)).await;
    let time = |phase: Phase, started_at, ended_at| v1::PhaseTime {
        phase: phase.into(),
        started_at: Some(started_at),
        ended_at: Some(ended_at),
    };
    let expected = [
        time(Phase::Preparing, began, verified),
        time(Phase::Verifying, verified, ended),
        time(Phase::Finalizing, ended, ended),
    ];
    assert_eq!(completed.phases, expected);
    assert_eq!(raw.now(&uuid).await, completed);
    assert_eq!(raw.events_of(&uuid).await.len(), 3, "a phase is no event");
}

#[tokio::test]
async fn each_run_has_phases_and_problems_of_its_own() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let report = v1::UpdateProgressRequest {
        progress: Some(entering(Phase::Verifying)),
        record_problems: vec![problems(FailureCode::Data, 1, &["7"])],
        ..request::reporting(&uuid, v1::Progress::default())
    };
    done(raw.transfers.update_progress(report)).await;
    let pause = v1::PauseTransferRequest {
        grace: Some(wire_duration(Duration::ZERO)),
        ..request::pause(&uuid)
    };
    let paused = done(raw.transfers.pause_transfer(pause)).await;
    assert_eq!(names(&paused), [Phase::Verifying], "until the next run");
    told(raw.transfers.resume_transfer(request::resumption(&uuid))).await;
    let again = raw.start(&uuid).await;
    assert_eq!((names(&again), again.record_problems.len()), (vec![], 0));
    let preparing = v1::UpdateProgressRequest {
        lease_epoch: again.lease_epoch,
        ..request::reporting(&uuid, entering(Phase::Preparing))
    };
    let after = done(raw.transfers.update_progress(preparing)).await;
    assert_eq!(names(&after), [Phase::Preparing]);
    drop(world);
}

#[tokio::test]
async fn a_failure_says_where_its_cause_lies() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let found = vec![
        problems(FailureCode::Data, 12, &["7", "9"]),
        problems(FailureCode::Target, 1, &[]),
    ];
    let fail = v1::FailTransferRequest {
        code: FailureCode::Network.into(),
        retryable: true,
        record_problems: found.clone(),
        ..request::failure(&uuid)
    };
    let failed = done(raw.transfers.fail_transfer(fail.clone())).await;
    assert_eq!(failed.status(), TransferStatus::Failed);
    assert_eq!(failed.failure_code(), FailureCode::Network);
    assert!(failed.failure_retryable);
    assert_eq!(failed.record_problems, found);
    assert_eq!(raw.now(&uuid).await, failed);
    let events = raw.events_of(&uuid).await;
    let detail = v1::event::Detail::Failure(v1::FailureDetail {
        error_message: fail.error_message,
        code: FailureCode::Network.into(),
        retryable: true,
    });
    assert_eq!(events.last().and_then(|it| it.detail.clone()), Some(detail));

    // Who does not say it has not said it.
    let uuid = raw.running().await.uuid;
    let failed = raw.fail(&uuid).await;
    assert_eq!(failed.failure_code(), FailureCode::Unspecified);
    assert!(!failed.failure_retryable);
}

#[tokio::test]
async fn problems_are_told_while_it_runs_and_replace_those_before() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let mut tell = async |record_problems: Vec<v1::RecordProblems>, records| {
        let report = v1::UpdateProgressRequest {
            record_problems,
            ..request::reporting(&uuid, totals(records))
        };
        done(raw.transfers.update_progress(report)).await
    };
    let some = vec![problems(FailureCode::Data, 2, &["7"])];
    assert_eq!(tell(some.clone(), 5).await.record_problems, some);
    assert_eq!(
        tell(vec![], 6).await.record_problems,
        some,
        "none is no news"
    );
    let more = vec![problems(FailureCode::Data, 3, &["7", "8"])];
    assert_eq!(tell(more.clone(), 7).await.record_problems, more);
    let completed = raw.complete(&uuid, 7).await;
    assert_eq!(completed.record_problems, more);
    assert!(!completed.partial, "none of them was counted as failed");
}

#[tokio::test]
async fn problems_have_limits() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let data = |count, samples| problems(FailureCode::Data, count, &vec!["k"; samples]);
    let long = "k".repeat(255);
    let many = [FailureCode::Config, FailureCode::Source];
    for (record_problems, expected) in [
        (vec![data(10, 10)], &[][..]),
        (vec![data(11, 11)], &["record_problems[0].samples"]),
        (vec![data(1, 2)], &["record_problems[0].count"]),
        (vec![data(0, 0)], &["record_problems[0].count"]),
        (vec![data(1, 0), data(1, 0)], &["record_problems[1].code"]),
        (
            vec![problems(FailureCode::Unspecified, 1, &[])],
            &["record_problems[0].code"],
        ),
        (
            vec![problems(FailureCode::HeartbeatLost, 1, &[])],
            &["record_problems[0].code"],
        ),
        (
            vec![problems(FailureCode::Data, 1, &["a\nb"])],
            &["record_problems[0].samples[0].key"],
        ),
        (
            many.map(|code| problems(code, 9, &[long.as_str(); 9]))
                .to_vec(),
            &["record_problems"],
        ),
        (vec![data(1, 0); 17], &["record_problems"]),
    ] {
        let report = v1::UpdateProgressRequest {
            record_problems,
            ..request::reporting(&uuid, v1::Progress::default())
        };
        if expected.is_empty() {
            told(raw.transfers.update_progress(report)).await;
        } else {
            let named = bad_fields(raw.transfers.update_progress(report)).await;
            assert_eq!(named, expected);
        }
    }
    let fail = v1::FailTransferRequest {
        code: FailureCode::HeartbeatLost.into(),
        ..request::failure(&uuid)
    };
    let named = bad_fields(raw.transfers.fail_transfer(fail)).await;
    assert_eq!(named, ["code"]);
    let phase = v1::Progress {
        phase: 99,
        ..v1::Progress::default()
    };
    let named = bad_fields(
        raw.transfers
            .update_progress(request::reporting(&uuid, phase)),
    );
    assert_eq!(named.await, ["progress.phase"]);
}
