//! The client without async, in plain tests: what goes on between the calls goes on by itself.

use std::time::{Duration, Instant};

use tidegate_client::{Totals, blocking::Client};
use tidegate_proto::v1::{self, TransferStatus as Wire};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Reply, Said, Script, transfer};

const ORDERS: Uuid = Uuid::from_u128(7);

fn play(script: Script) -> Fake {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(Fake::play(Script {
        recent: Some(Box::new(|_, _| {
            Ok(v1::ListRecentTransfersResponse::default())
        })),
        ..script
    }))
}

fn connect(fake: &Fake) -> Client {
    Client::connect(format!("http://{}", fake.address())).expect("it is there")
}

#[test]
fn calls_are_waited_for_and_streams_are_iterated_over() {
    let state = |revision, status| v1::WatchTransferResponse {
        transfer: Some(transfer(ORDERS, revision, status, 1)),
    };
    let fake = play(Script {
        get: Some(Box::new(|_, _| {
            Ok(v1::GetTransferResponse {
                transfer: Some(transfer(ORDERS, 2, Wire::InProgress, 1)),
            })
        })),
        watch: Some(Box::new(move |_, _| {
            Ok(Said {
                messages: vec![
                    Ok(state(2, Wire::InProgress)),
                    Ok(state(3, Wire::Completed)),
                ],
                stays: false,
            })
        })),
        ..Script::default()
    });
    let client = connect(&fake);
    let transfer = client.wait(client.transfers().get(ORDERS));
    assert_eq!(transfer.expect("it is answered").revision, 2);
    let told = client.iter(client.transfers().watch(ORDERS));
    let revisions = told.map(|state| state.expect("it is told").revision);
    assert_eq!(revisions.collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_reporter_reports_while_the_program_does_something_else() {
    let fake = play(Script {
        // It may be asked for how long the agent may be silent before that is said.
        get: Some(Box::new(|_, _| {
            Ok(v1::GetTransferResponse {
                transfer: Some(transfer(ORDERS, 2, Wire::InProgress, 1)),
            })
        })),
        reports: Some(Box::new(|_, _, _| Reply::Stored)),
        ..Script::default()
    });
    let client = connect(&fake);
    let reporter = client.transfers().report_progress(ORDERS);
    let reporter = reporter.heartbeat(Duration::from_millis(300));
    reporter.report(Totals::default());
    // Nothing of the client is called here.
    let begun = Instant::now();
    while fake.heard().reports.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "nothing is reported");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn it_may_be_dropped_in_async_code() {
    let fake = play(Script::default());
    let client = connect(&fake);
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async move { drop(client) });
}

#[test]
fn a_server_that_is_not_there_is_told_as_to_any_client() {
    let refusal = Client::connect("http://127.0.0.1:1").expect_err("nobody listens");
    assert!(refusal.is_unavailable(), "{refusal:?}");
}
