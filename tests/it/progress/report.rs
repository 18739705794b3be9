//! The stream of reports while it is open.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, future::join_all, stream};
use sea_orm::{DatabaseConnection, EntityTrait as _};
use tidegate_entity::{stored::StoredId, transfer};
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, told, totals},
    relay::Relay,
    request, soon,
};
use tonic::{Code, transport::Endpoint};
use uuid::Uuid;

use super::{Reports, report};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// What is stored, read past the server.
async fn on_disk(database: &DatabaseConnection, uuid: &str) -> (i64, i64, String) {
    let uuid = Uuid::try_parse(uuid).expect("a uuid");
    let row = transfer::Entity::find_by_id(StoredId(uuid.into()))
        .one(database)
        .await;
    let row = row.expect("it can be read").expect("the row");
    (
        row.revision,
        row.records_transferred,
        row.status.0.to_string(),
    )
}

#[tokio::test]
async fn an_acknowledged_report_is_on_disk() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    let mut elsewhere = world.services().await;
    let database = world.database().connect().await;
    for records in 1..=20 {
        let revision = reports.acknowledged(&uuid, records).await;
        assert_eq!(
            on_disk(&database, &uuid).await,
            (revision, records, "IN_PROGRESS".to_owned())
        );
        let read = elsewhere.now(&uuid).await;
        assert_eq!(
            (read.revision, read.progress),
            (revision, Some(totals(records)))
        );
    }
    assert_eq!(reports.finish().await.expect("it ends well"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transfers_share_one_stream() {
    let (_world, mut raw) = world().await;
    let running = join_all((0..300).map(|_| {
        let mut raw = raw.clone();
        async move { raw.running().await.uuid }
    }));
    let running = running.await;
    let all: Vec<_> = (1..=3)
        .flat_map(|records| running.iter().map(move |uuid| report(uuid, records)))
        .collect();
    let answer = told(raw.transfers.report_progress(stream::iter(all))).await;
    let answers: Vec<_> = soon("the answers", answer.collect::<Vec<_>>()).await;
    let mut last = HashMap::new();
    for answer in answers {
        let answer = answer.expect("no refusal");
        assert_eq!(answer.error, None);
        last.insert(answer.uuid.clone(), answer.revision);
    }
    for uuid in &running {
        let now = raw.now(uuid).await;
        assert_eq!(now.progress, Some(totals(3)));
        assert_eq!(
            last.get(uuid),
            Some(&now.revision),
            "the last ack is the last state"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_reports_in_a_burst_are_joined_and_none_is_lost() {
    const REPORTS: i64 = 10_000;
    let (world, mut home) = world().await;
    let relay = Relay::to(&world.address).await;
    let endpoint = Endpoint::from_shared(relay.address.clone()).expect("a valid address");
    let mut raw = Raw::on(endpoint.connect().await.expect("the relay listens"));
    let running = [home.running().await.uuid, home.running().await.uuid];
    let burst: Vec<_> = (1..=REPORTS)
        .map(|number| v1::ReportProgressRequest {
            checkpoint: Some(number.to_be_bytes().to_vec()),
            ..report(&running[usize::from(number % 10 == 0)], number)
        })
        .collect();
    let answer = told(raw.transfers.report_progress(stream::iter(burst))).await;
    let answers: Vec<_> = soon("the answers", answer.collect::<Vec<_>>()).await;
    let count = answers.len();
    assert!(
        count < 5_000,
        "{count} answers: reports that wait together are written together"
    );
    let mut revisions = [0, 0];
    for answer in answers {
        let answer = answer.expect("the stream ends well");
        assert_eq!(answer.error, None);
        let which = usize::from(answer.uuid == running[1]);
        assert!(answer.revision > revisions[which], "acks ascend");
        revisions[which] = answer.revision;
    }
    for (which, last) in [(0, REPORTS - 1), (1, REPORTS)] {
        let now = home.now(&running[which]).await;
        assert_eq!(
            now.progress,
            Some(totals(last)),
            "the final totals are exact"
        );
        assert_eq!(now.checkpoint, last.to_be_bytes());
        assert_eq!(
            now.revision, revisions[which],
            "acknowledged up to the last"
        );
    }
    raw.now(&running[0]).await;
    assert_eq!(relay.opened(), 1, "the connection was never taken away");
}

#[tokio::test]
async fn a_bad_report_is_answered_and_the_stream_lives_on() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let pending = raw.declared().await.uuid;
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    let mut revision = reports.acknowledged(&uuid, 5).await;
    let oversized = v1::ReportProgressRequest {
        checkpoint: Some(vec![0; 5_000]),
        ..report(&uuid, 6)
    };
    let cases = [
        (
            report(&uuid, -1),
            Code::InvalidArgument,
            "INVALID_FIELDS",
            0,
        ),
        (oversized, Code::InvalidArgument, "INVALID_FIELDS", 0),
        (
            report("garbage", 1),
            Code::InvalidArgument,
            "INVALID_FIELDS",
            0,
        ),
        (report("", 1), Code::InvalidArgument, "INVALID_FIELDS", 0),
        (report(NOBODY, 1), Code::NotFound, "TRANSFER_NOT_FOUND", 0),
        (
            report(&uuid, 4),
            Code::FailedPrecondition,
            "PROGRESS_REGRESSED",
            0,
        ),
        (
            report(&pending, 1),
            Code::FailedPrecondition,
            "ILLEGAL_TRANSITION",
            i32::from(TransferStatus::Pending),
        ),
    ];
    for (number, (bad, code, reason, status)) in cases.into_iter().enumerate() {
        let named = bad.uuid.clone();
        reports.say(bad).await;
        let answer = reports.hear().await;
        let error = answer.error.expect("it is refused");
        assert_eq!((error.code, error.reason.as_str()), (code as i32, reason));
        assert_eq!(
            (answer.uuid, answer.revision, answer.status),
            (named, 0, status),
            "{reason}"
        );
        assert!(!error.message.is_empty() && !error.metadata.is_empty());
        let records = 6 + i64::try_from(number).expect("few");
        let next = reports.acknowledged(&uuid, records).await;
        assert_eq!(next, revision + 1, "nothing of the bad one was written");
        revision = next;
    }
    assert_eq!(reports.finish().await.expect("it ends well"), []);
    assert_eq!(raw.now(&pending).await.revision, 1);
}

#[tokio::test]
async fn an_agent_is_told_unasked_that_its_transfer_left() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let other = raw.running().await.uuid;
    let unreported = raw.running().await.uuid;
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    reports.acknowledged(&uuid, 1).await;
    reports.acknowledged(&other, 1).await;
    let mut operator = world.services().await;
    operator.cancel(&unreported).await;
    let cancelled = operator.cancel(&uuid).await;
    let told = reports.hear().await;
    let expected = v1::ReportProgressResponse {
        uuid: uuid.clone(),
        revision: cancelled.revision,
        status: TransferStatus::Cancelled.into(),
        error: None,
        stop: None,
        unsolicited: true,
    };
    assert_eq!(told, expected, "and nothing of what was not reported here");
    // Another one goes on, and a report for the one that left is refused.
    reports.acknowledged(&other, 2).await;
    reports.say_records(&uuid, 2).await;
    let answer = reports.hear().await;
    assert_eq!(answer.status(), TransferStatus::Cancelled);
    assert_eq!(
        answer.error.expect("it is refused").reason,
        "ILLEGAL_TRANSITION"
    );
    let completed = operator.complete(&other, 2).await;
    let told = reports.hear().await;
    assert_eq!((told.uuid, told.revision), (other, completed.revision));
    assert_eq!(told.status, i32::from(TransferStatus::Completed));
    assert_eq!(reports.finish().await.expect("it ends well"), []);
    assert_eq!(raw.now(&uuid).await, cancelled);
}

/// Cancels and deletes in one breath, so that most often both are written together.
async fn wipe(raw: &Raw, uuid: &str) {
    let (mut first, mut second, mut third) = (raw.clone(), raw.clone(), raw.clone());
    let deletion = second.transfers.delete_transfer(request::deletion(uuid));
    let (_, deleted) = tokio::join!(first.cancel(uuid), deletion);
    if deleted.is_err() {
        third.delete(uuid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_even_when_its_transfer_is_deleted_at_once() {
    let (world, mut raw) = world().await;
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    let operator = world.services().await;
    for _ in 0..5 {
        let mut running = HashSet::new();
        for _ in 0..50 {
            let uuid = raw.running().await.uuid;
            reports.acknowledged(&uuid, 1).await;
            running.insert(uuid);
        }
        join_all(running.iter().map(|uuid| wipe(&operator, uuid))).await;
        while !running.is_empty() {
            let told = reports.hear().await;
            let reason = told.error.as_ref().map(|error| error.reason.as_str());
            let expected = match told.status() {
                TransferStatus::Cancelled => None,
                _ => Some("TRANSFER_NOT_FOUND"),
            };
            assert_eq!(reason, expected);
            assert!(running.remove(&told.uuid), "each is told once");
        }
    }
    assert_eq!(reports.finish().await.expect("it ends well"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_transfers_fit_on_a_stream_and_no_more() {
    let (_world, mut raw) = world().await;
    let running = join_all((0..1_001).map(|_| {
        let mut raw = raw.clone();
        async move { raw.running().await.uuid }
    }));
    let running = running.await;
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    for records in 1..=2 {
        let mut missing: HashSet<_> = running[..1_000].iter().cloned().collect();
        for uuid in &running[..1_000] {
            reports.say_records(uuid, records).await;
        }
        while !missing.is_empty() {
            let answer = reports.hear().await;
            assert_eq!(answer.error, None);
            missing.remove(&answer.uuid);
        }
    }
    // One that has left makes room for another.
    raw.cancel(&running[0]).await;
    assert_eq!(reports.hear().await.uuid, running[0]);
    reports.acknowledged(&running[1_000], 1).await;

    let one_more = raw.running().await.uuid;
    reports.say_records(&one_more, 1).await;
    let refusal = loop {
        match soon("the refusal", reports.answers.message()).await {
            Ok(answer) => assert_eq!(answer.expect("a word at the end").error, None),
            Err(refusal) => break refusal,
        }
    };
    let refused = assert_refused(&refusal, Code::ResourceExhausted, "TOO_MANY_TRANSFERS");
    assert_eq!(
        refused.metadata.get("limit").map(String::as_str),
        Some("1000")
    );
    assert_eq!(raw.now(&running[7]).await.progress, Some(totals(2)));
}
