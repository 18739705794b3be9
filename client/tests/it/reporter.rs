//! The progress reporter: it conflates, resends, stays alive, and tells when to stop.

use std::time::Duration;

use tidegate_client::{
    Error, Failure, FailureCode, ProgressReporter, Reason, ReporterStop, Totals, TransferStatus,
};
use tidegate_proto::v1::{self, TransferStatus as Wire};
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Reply, Script, answer, refusal, transfer};

const ORDERS: Uuid = Uuid::from_u128(7);

/// A transfer in progress with a heartbeat timeout, if any.
fn started(heartbeat: Option<Duration>) -> Script {
    Script {
        get: Some(Box::new(move |_, _| {
            let mut transfer = transfer(ORDERS, 2, Wire::InProgress, 1);
            transfer.heartbeat_timeout = heartbeat.map(|timeout| prost_types::Duration {
                seconds: 0,
                nanos: i32::try_from(timeout.as_nanos()).expect("below 2 s"),
            });
            Ok(v1::GetTransferResponse {
                transfer: Some(transfer),
            })
        })),
        ..Script::default()
    }
}

fn rows(count: i64) -> Totals {
    Totals {
        records_transferred: count,
        records_created: count,
        ..Totals::default()
    }
}

fn transferred(report: &v1::ReportProgressRequest) -> Option<i64> {
    report.progress.as_ref()?.records_transferred
}

async fn flushed(reporter: &ProgressReporter) -> Result<(), Error> {
    timeout(PATIENCE, reporter.flush())
        .await
        .expect("the flush ends")
}

async fn stopped(reporter: &ProgressReporter) -> ReporterStop {
    timeout(PATIENCE, reporter.stopped())
        .await
        .expect("there is a reason to stop")
}

#[tokio::test]
async fn a_burst_becomes_a_few_messages_and_the_last_one_wins() {
    let fake = Fake::play(started(None)).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    assert_eq!(reporter.acknowledged(), None);

    for count in 1..=1_000 {
        reporter.report(rows(count));
    }
    flushed(&reporter).await.unwrap();

    assert_eq!(reporter.acknowledged(), Some(rows(1_000)));
    let heard = fake.heard();
    assert_eq!(heard.reports.last().and_then(transferred), Some(1_000));
    assert!(heard.reports.len() <= 3, "{} messages", heard.reports.len());
    let sent: Vec<_> = heard.reports.iter().filter_map(transferred).collect();
    assert!(sent.is_sorted(), "{sent:?}");
}

#[tokio::test]
async fn reports_are_a_tenth_of_a_second_apart() {
    let fake = Fake::play(started(None)).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    let begun = std::time::Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_millis(550) {
        count += 1;
        reporter.report(rows(count));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    flushed(&reporter).await.unwrap();

    let allowed = 2 + usize::try_from(begun.elapsed().as_millis() / 100).unwrap();
    let messages = fake.heard().reports.len();
    assert!((4..=allowed).contains(&messages), "{messages} messages");
}

#[tokio::test]
async fn it_reconnects_and_resends_what_is_not_stored() {
    let mut script = started(None);
    script.reports = Some(Box::new(|stream, _, report| {
        match (stream, transferred(report)) {
            (0, Some(_)) => Reply::End(refusal(Code::Unavailable, "SHUTTING_DOWN")),
            (1, Some(_)) => Reply::End(Status::cancelled("reset")),
            (_, _) => Reply::Stored,
        }
    }));
    let fake = Fake::play(script).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);

    reporter.report_with_checkpoint(rows(5), *b"page 5");
    flushed(&reporter).await.unwrap();
    reporter.report(rows(6));
    flushed(&reporter).await.unwrap();

    assert_eq!(fake.count("report"), 3);
    let heard = fake.heard();
    let with_rows = heard
        .reports
        .iter()
        .filter(|report| transferred(report).is_some());
    let sent: Vec<_> = with_rows
        .map(|report| (transferred(report).unwrap(), report.checkpoint.clone()))
        .collect();
    let checkpoint = Some(b"page 5".to_vec());
    assert_eq!(
        sent,
        [
            (5, checkpoint.clone()),
            (5, checkpoint.clone()),
            (5, checkpoint),
            (6, None),
        ],
        "a checkpoint is sent until it is stored, and not after"
    );
}

#[tokio::test]
async fn it_outlives_the_server() {
    let fake = Fake::play(started(None)).await;
    let address = fake.address();
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(1));
    flushed(&reporter).await.unwrap();

    drop(fake);
    reporter.report(rows(2));
    assert!(
        timeout(Duration::from_millis(300), reporter.flush())
            .await
            .is_err()
    );
    assert!(reporter.status().is_none());
    let listener = loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let fake = Fake::play_on(listener, started(None));

    flushed(&reporter).await.unwrap();
    assert_eq!(fake.heard().reports.first().and_then(transferred), Some(2));
}

#[tokio::test]
async fn a_request_to_stop_is_told_while_the_reports_go_on() {
    let mut script = started(None);
    // What is reported after the first is not stored yet.
    script.reports = Some(Box::new(|_, number, _| match number {
        0 => Reply::Stored,
        _ => Reply::Silence,
    }));
    let fake = Fake::play(script).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    fake.until("the first message", |heard| !heard.reports.is_empty())
        .await;
    reporter.report(rows(1));
    fake.until("two messages", |heard| heard.reports.len() == 2)
        .await;

    let mut asked = answer(&ORDERS.to_string(), Wire::InProgress);
    asked.unsolicited = true;
    asked.stop = Some(v1::Stop {
        kind: v1::StopKind::Pause.into(),
        cause: v1::StopCause::Request.into(),
        reason: "maintenance".to_owned(),
        requested_at: transfer(ORDERS, 1, Wire::Pending, 0).inserted_at,
        ..v1::Stop::default()
    });
    fake.say(asked).await;
    let stop = stopped(&reporter).await;
    assert_eq!(stop.to_string(), "asked to pause: maintenance");
    assert!(matches!(
        reporter.status(),
        Some(ReporterStop::Requested(_))
    ));
    assert_eq!(reporter.acknowledged(), None, "it answers no report");

    // Who asked has thought better of it, and the report is stored.
    fake.say(answer(&ORDERS.to_string(), Wire::InProgress))
        .await;
    flushed(&reporter).await.unwrap();
    assert_eq!(reporter.acknowledged(), Some(rows(1)));
    assert!(reporter.status().is_none());
}

#[tokio::test]
async fn a_cancellation_is_told_even_before_the_first_report() {
    let fake = Fake::play(started(None)).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    fake.until("the first message", |heard| !heard.reports.is_empty())
        .await;
    assert!(reporter.status().is_none());

    fake.say(answer(&Uuid::nil().to_string(), Wire::Failed))
        .await;
    fake.say(answer(&ORDERS.to_string(), Wire::Cancelled)).await;

    let stop = stopped(&reporter).await;
    assert!(
        matches!(stop, ReporterStop::Left(TransferStatus::Cancelled)),
        "{stop}"
    );
    assert!(reporter.status().is_some());
    reporter.report(rows(1));
    let error = flushed(&reporter).await.unwrap_err();
    assert!(error.is_illegal_transition(), "{error}");
}

fn refused(code: i32, reason: &str, status: Wire) -> Reply {
    Reply::Say(Box::new(v1::ReportProgressResponse {
        uuid: ORDERS.to_string(),
        revision: 0,
        status: status.into(),
        error: Some(v1::ReportProgressError {
            code,
            reason: reason.to_owned(),
            message: "no".to_owned(),
            metadata: [("field".to_owned(), "records_created".to_owned())].into(),
            retry_delay: Some(prost_types::Duration {
                seconds: 0,
                nanos: 7_000_000,
            }),
        }),
        ..v1::ReportProgressResponse::default()
    }))
}

#[tokio::test]
async fn a_refused_report_tells_why() {
    let mut script = started(None);
    script.reports = Some(Box::new(|_, _, report| match transferred(report) {
        Some(_) => refused(9, "PROGRESS_REGRESSED", Wire::Unspecified),
        None => Reply::Stored,
    }));
    let fake = Fake::play(script).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(1));

    let ReporterStop::Refused(error) = stopped(&reporter).await else {
        panic!("it was refused");
    };
    assert_eq!(error.reason(), Some(Reason::ProgressRegressed));
    assert!(error.is_precondition());
    assert_eq!(error.metadata()["field"], "records_created");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(7)));
    let error = flushed(&reporter).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ProgressRegressed));
}

#[tokio::test]
async fn an_illegal_report_tells_where_the_transfer_stands() {
    for (status, left) in [(Wire::Failed, true), (Wire::Pending, false)] {
        let mut script = started(None);
        script.reports = Some(Box::new(move |_, _, _| {
            refused(9, "ILLEGAL_TRANSITION", status)
        }));
        let fake = Fake::play(script).await;
        let reporter = fake.client().transfers().report_progress(ORDERS);
        match stopped(&reporter).await {
            ReporterStop::Left(TransferStatus::Failed) => assert!(left),
            ReporterStop::Refused(error) => assert!(!left && error.is_illegal_transition()),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_stored_now_is_sent_again() {
    let mut script = started(None);
    script.reports = Some(Box::new(|stream, _, _| {
        if stream < 2 {
            refused(14, "DATABASE_UNAVAILABLE", Wire::Unspecified)
        } else {
            Reply::Stored
        }
    }));
    let fake = Fake::play(script).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(1));
    flushed(&reporter).await.unwrap();
    assert!(reporter.status().is_none());
}

#[tokio::test]
async fn silence_is_filled_with_heartbeats() {
    // A third of the timeout, 200 ms, may pass in silence.
    let fake = Fake::play(started(Some(Duration::from_millis(600)))).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(4));
    flushed(&reporter).await.unwrap();

    let before = fake.heard().reports.len();
    let begun = std::time::Instant::now();
    fake.until("three heartbeats", |heard| {
        heard.reports.len() >= before + 3
    })
    .await;
    let taken = begun.elapsed();
    let expected = Duration::from_millis(350)..Duration::from_millis(1_500);
    assert!(expected.contains(&taken), "{taken:?}");
    assert_eq!(fake.heard().reports.last().and_then(transferred), Some(4));
}

#[tokio::test]
async fn without_a_timeout_there_are_no_heartbeats() {
    let fake = Fake::play(started(None)).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(4));
    flushed(&reporter).await.unwrap();
    let before = fake.heard().reports.len();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(fake.heard().reports.len(), before);

    let _reporter = reporter.heartbeat(Duration::from_millis(300));
    fake.until("a heartbeat", |heard| heard.reports.len() > before)
        .await;
}

#[tokio::test]
async fn finishing_completes_with_the_final_totals_and_one_request_id() {
    let ids = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let noted = std::sync::Arc::clone(&ids);
    let mut script = started(None);
    // Reports are never answered: completing must not wait for them.
    script.reports = Some(Box::new(|_, _, _| Reply::Silence));
    script.complete = Some(Box::new(move |number, request| {
        noted.lock().unwrap().push(request.request_id);
        if number == 0 {
            return Err(refusal(Code::Unavailable, "DATABASE_UNAVAILABLE"));
        }
        let mut transfer = transfer(ORDERS, 9, Wire::Completed, 2);
        transfer.progress = request.progress;
        Ok(v1::CompleteTransferResponse {
            transfer: Some(transfer),
        })
    }));
    let fake = Fake::play(script).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(1));
    fake.until("the stream", |heard| !heard.reports.is_empty())
        .await;

    let done = timeout(Duration::from_secs(3), reporter.finish(rows(10)))
        .await
        .unwrap()
        .unwrap();

    assert_eq!(
        (done.status, done.progress),
        (TransferStatus::Completed, rows(10))
    );
    let ids = ids.lock().unwrap().clone();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    fake.until("the end of the stream", |heard| heard.reporters_gone == 1)
        .await;
}

#[tokio::test]
async fn failing_stores_the_checkpoint_first() {
    let mut script = started(None);
    script.fail = Some(Box::new(|_, request| {
        let mut transfer = transfer(ORDERS, 9, Wire::Failed, 2);
        transfer.error_message = request.error_message;
        transfer.failure_code = request.code;
        transfer.failure_retryable = request.retryable;
        Ok(v1::FailTransferResponse {
            transfer: Some(transfer),
        })
    }));
    let fake = Fake::play(script).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report_with_checkpoint(rows(3), *b"page 3");

    let full = Failure::new("disk full").code(FailureCode::Target);
    let failed = reporter.fail(full.retryable(true), rows(3)).await.unwrap();

    assert_eq!(failed.error_message.as_deref(), Some("disk full"));
    assert_eq!(failed.failure_code, Some(FailureCode::Target));
    assert!(failed.failure_retryable);
    let stored = fake
        .heard()
        .reports
        .iter()
        .any(|report| report.checkpoint.as_deref() == Some(b"page 3"));
    assert!(stored);
}

#[tokio::test]
async fn dropping_it_completes_nothing() {
    let fake = Fake::play(started(None)).await;
    let reporter = fake.client().transfers().report_progress(ORDERS);
    reporter.report(rows(1));
    flushed(&reporter).await.unwrap();

    drop(reporter);

    fake.until("the end of the stream", |heard| heard.reporters_gone == 1)
        .await;
    assert_eq!((fake.count("complete"), fake.count("fail")), (0, 0));
}
