//! Totals that cannot be true are refused, whichever way they come, and change nothing.

use tidegate_proto::v1::{self, ConnectionPolicy, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, told},
    request,
    site::of,
};
use tonic::{Code, Status};

use super::Reports;

/// Records transferred, and what became of them: created, updated, skipped and failed.
fn counted(transferred: i64, outcomes: [i64; 4]) -> v1::Progress {
    let [created, updated, skipped, failed] = outcomes.map(Some);
    v1::Progress {
        records_transferred: Some(transferred),
        records_created: created,
        records_updated: updated,
        records_skipped: skipped,
        records_failed: failed,
        bytes_transferred: None,
        phase: 0,
    }
}

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

#[track_caller]
fn inconsistent(status: &Status, rule: &str, sum: i64, limit: i64) {
    let refused = assert_refused(status, Code::InvalidArgument, "TOTALS_INCONSISTENT");
    let told = |name: &str| refused.metadata.get(name).cloned();
    assert_eq!(told("rule").as_deref(), Some(rule));
    assert_eq!(told("sum"), Some(sum.to_string()));
    assert_eq!(told("limit"), Some(limit.to_string()));
}

#[tokio::test]
async fn no_record_has_two_outcomes() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let good = request::reporting(&uuid, counted(10, [4, 3, 2, 1]));
    let before = done(raw.transfers.update_progress(good)).await;
    assert!(before.partial);
    let rule = "OUTCOMES_WITHIN_TRANSFERRED";
    let more = counted(10, [4, 3, 2, 2]);
    let update = raw
        .transfers
        .update_progress(request::reporting(&uuid, more));
    inconsistent(&update.await.expect_err("11 of 10"), rule, 11, 10);
    // What is not said again still counts.
    let alone = v1::Progress {
        records_skipped: Some(3),
        ..v1::Progress::default()
    };
    let update = raw
        .transfers
        .update_progress(request::reporting(&uuid, alone));
    inconsistent(&update.await.expect_err("11 of 10"), rule, 11, 10);
    let fail = v1::FailTransferRequest {
        progress: Some(more),
        ..request::failure(&uuid)
    };
    let fail = raw.transfers.fail_transfer(fail).await;
    inconsistent(&fail.expect_err("11 of 10"), rule, 11, 10);
    let complete = v1::CompleteTransferRequest {
        progress: Some(more),
        ..request::completion(&uuid)
    };
    let complete = raw.transfers.complete_transfer(complete).await;
    inconsistent(&complete.expect_err("11 of 10"), rule, 11, 10);

    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    let report = v1::ReportProgressRequest {
        uuid: uuid.clone(),
        progress: Some(more),
        ..v1::ReportProgressRequest::default()
    };
    reports.say(report).await;
    let error = reports.hear().await.error.expect("a refusal");
    assert_eq!(error.reason, "TOTALS_INCONSISTENT");
    assert_eq!(error.code, i32::from(Code::InvalidArgument));
    assert_eq!(raw.now(&uuid).await, before, "nothing of it was kept");
}

#[tokio::test]
async fn at_completion_every_record_has_an_outcome_where_any_is_counted() {
    let (_world, mut raw) = world().await;
    let mut complete = async |progress| {
        let uuid = raw.running().await.uuid;
        let request = v1::CompleteTransferRequest {
            progress: Some(progress),
            ..request::completion(&uuid)
        };
        let answer = raw.transfers.complete_transfer(request).await;
        answer.map(|it| it.into_inner().transfer.expect("the transfer"))
    };
    let short = complete(counted(10, [4, 3, 2, 0])).await;
    let rule = "OUTCOMES_MAKE_TRANSFERRED";
    inconsistent(&short.expect_err("9 of 10"), rule, 9, 10);
    for (outcomes, partial) in [
        ([4, 3, 2, 1], true),
        ([10, 0, 0, 0], false),
        // A sender knows of none.
        ([0, 0, 0, 0], false),
    ] {
        let done = complete(counted(10, outcomes)).await.expect("it is whole");
        assert_eq!(
            (done.status(), done.partial),
            (TransferStatus::Completed, partial)
        );
    }
}

#[tokio::test]
async fn a_policy_holds_a_transfer_to_what_it_asked_for() {
    let (_world, mut raw) = world().await;
    for (limit_to_requested, requested, is_refused) in
        [(true, 10, true), (true, 0, false), (false, 10, false)]
    {
        let policy = ConnectionPolicy {
            limit_to_requested,
            ..ConnectionPolicy::default()
        };
        let site = raw.site(policy).await;
        let request = v1::CreateTransferRequest {
            records_requested: requested,
            ..of(&site)
        };
        let uuid = raw.create(request).await.uuid;
        raw.start(&uuid).await;
        raw.report(&uuid, 10).await;
        let update = request::reporting(&uuid, counted(11, [0; 4]));
        let update = v1::UpdateProgressRequest {
            progress: update.progress.map(|it| v1::Progress {
                records_created: Some(11),
                ..it
            }),
            ..update
        };
        let answer = raw.transfers.update_progress(update).await;
        if is_refused {
            let refusal = answer.map(drop).expect_err("11 of 10");
            inconsistent(&refusal, "TRANSFERRED_WITHIN_REQUESTED", 11, 10);
        } else {
            told(async { answer }).await;
        }
    }
}
