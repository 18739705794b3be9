//! Calls: what is tried again, with which request id, and what errors become.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use tidegate_client::{Client, Direction, Reason, RetryPolicy};
use tidegate_proto::v1;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use crate::fake::{Fake, Script, client, refusal, transfer};

const ORDERS: Uuid = Uuid::from_u128(7);

fn created() -> v1::CreateTransferResponse {
    v1::CreateTransferResponse {
        transfer: Some(transfer(ORDERS, 1, v1::TransferStatus::Pending, 0)),
    }
}

/// Refuses the first `failures` creations with `status`, and notes every request id.
fn creation(failures: usize, status: Status) -> (Script, Arc<Mutex<Vec<String>>>) {
    let ids = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&ids);
    let script = Script {
        create: Some(Box::new(move |number, request| {
            noted
                .lock()
                .expect("no test panics while it notes")
                .push(request.request_id);
            if number < failures {
                Err(Status::with_details(
                    status.code(),
                    status.message(),
                    status.details().to_vec().into(),
                ))
            } else {
                Ok(created())
            }
        })),
        ..Script::default()
    };
    (script, ids)
}

#[tokio::test]
async fn a_change_is_retried_with_the_same_request_id() {
    let (script, ids) = creation(2, refusal(Code::Unavailable, "DATABASE_UNAVAILABLE"));
    let fake = Fake::play(script).await;
    let client = fake.client();

    let transfer = client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap();
    client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap();

    assert_eq!(transfer.uuid, ORDERS);
    let ids = ids.lock().unwrap();
    assert_eq!(ids.len(), 4);
    assert!(Uuid::parse_str(&ids[0]).is_ok(), "{ids:?}");
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[2], ids[3], "another call has another id");
}

#[tokio::test]
async fn a_request_id_that_was_given_is_kept() {
    let (script, ids) = creation(1, refusal(Code::Unavailable, "SHUTTING_DOWN"));
    let fake = Fake::play(script).await;

    let request = fake.client().transfers().create(Direction::Send, "orders");
    request.request_id("mine").await.unwrap();

    assert_eq!(*ids.lock().unwrap(), ["mine", "mine"]);
}

#[tokio::test]
async fn tries_are_limited() {
    let (script, ids) = creation(usize::MAX, refusal(Code::Unavailable, "SHUTTING_DOWN"));
    let fake = Fake::play(script).await;

    let error = fake
        .client()
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap_err();

    assert!(error.is_unavailable());
    assert_eq!(error.reason(), Some(Reason::ShuttingDown));
    assert_eq!(ids.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn refusals_are_not_retried() {
    for (code, reason) in [
        (Code::FailedPrecondition, "ILLEGAL_TRANSITION"),
        (Code::ResourceExhausted, "RATE_LIMITED"),
        (Code::Internal, "INTERNAL"),
        (Code::Unknown, "INTERNAL"),
    ] {
        let (script, ids) = creation(usize::MAX, refusal(code, reason));
        let fake = Fake::play(script).await;
        let error = fake
            .client()
            .transfers()
            .create(Direction::Send, "orders")
            .await
            .unwrap_err();
        assert_eq!(error.reason_name(), Some(reason));
        assert_eq!(ids.lock().unwrap().len(), 1, "{reason}");
    }
}

#[tokio::test]
async fn the_pause_that_the_server_asks_for_is_kept() {
    let pause = Duration::from_millis(300);
    for reason in ["QUEUE_FULL", "VERIFICATION_BUSY", "RATE_LIMITED"] {
        let mut details = ErrorDetails::with_error_info(reason, "tidegate", []);
        details.set_retry_info(Some(pause));
        let full = Status::with_error_details(Code::ResourceExhausted, "full", details);
        let (script, ids) = creation(1, full);
        let fake = Fake::play(script).await;

        let begun = Instant::now();
        let request = fake.client().transfers().create(Direction::Send, "orders");
        request.await.unwrap();

        assert!(begun.elapsed() >= pause, "{:?}", begun.elapsed());
        assert_eq!(ids.lock().unwrap().len(), 2, "{reason}");
    }
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::builder(format!("http://{address}"))
        .retry(RetryPolicy {
            max_tries: 100,
            base: Duration::from_millis(20),
            cap: Duration::from_millis(100),
        })
        .connect_lazy()
        .unwrap();

    let creation_under_way = tokio::spawn(
        client
            .transfers()
            .create(Direction::Send, "orders")
            .into_future(),
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let (script, _) = creation(0, Status::ok(""));
    let _fake = Fake::play_on(listener, script);

    assert_eq!(creation_under_way.await.unwrap().unwrap().uuid, ORDERS);
}

#[tokio::test]
async fn a_call_is_retried_when_the_connection_breaks_under_it() {
    let (script, _) = creation(0, Status::ok(""));
    let fake = Fake::play(script).await;
    let address = fake.address();
    let client = client(address);
    client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap();

    drop(fake);
    let (script, ids) = creation(0, Status::ok(""));
    // The dead server's connections linger, so the port needs another try or two.
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let _fake = Fake::play_on(listener, script);

    client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap();
    assert_eq!(ids.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let script = Script {
        create: Some(Box::new(|_, _| {
            // The fake's only thread is held up, as a hung server would be.
            std::thread::park_timeout(Duration::from_millis(1_500));
            Ok(created())
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let client = Client::builder(format!("http://{}", fake.address()))
        .timeout(Duration::from_millis(200))
        .connect_lazy()
        .unwrap();

    let error = client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap_err();

    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.code(), tidegate_client::Code::DeadlineExceeded);
    assert_eq!(fake.count("create"), 1, "a timeout is not tried again");
}

#[tokio::test]
async fn a_servers_own_timeout_is_a_timeout() {
    let (script, _) = creation(usize::MAX, Status::cancelled("Timeout expired"));
    let fake = Fake::play(script).await;
    let error = fake
        .client()
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_its_transfer_is_an_error() {
    let script = Script {
        create: Some(Box::new(|_, _| Ok(v1::CreateTransferResponse::default()))),
        get: Some(Box::new(|_, _| {
            let mut transfer = transfer(ORDERS, 1, v1::TransferStatus::Pending, 0);
            transfer.connection_uuid = "nonsense".to_owned();
            Ok(v1::GetTransferResponse {
                transfer: Some(transfer),
            })
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let client = fake.client();

    let error = client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .unwrap_err();
    assert_eq!(error.code().as_str(), "INTERNAL");
    let error = client.transfers().get(ORDERS).await.unwrap_err();
    assert_eq!(error.code().as_str(), "INTERNAL");
    assert!(error.message().contains("connection_uuid"), "{error}");
}

#[tokio::test]
async fn all_pages_are_followed_and_skipping_is_done_once() {
    let script = Script {
        list: Some(Box::new(|number, request| {
            let expected = [(5, ""), (0, "second"), (0, "third")][number];
            assert_eq!((request.skip, request.page_token.as_str()), expected);
            let one = transfer(ORDERS, 1, v1::TransferStatus::Pending, 0);
            Ok(match number {
                0 => v1::ListTransfersResponse {
                    transfers: vec![one.clone(), one],
                    next_page_token: "second".to_owned(),
                },
                // A page may be empty and not the last.
                1 => v1::ListTransfersResponse {
                    transfers: vec![],
                    next_page_token: "third".to_owned(),
                },
                _ => v1::ListTransfersResponse {
                    transfers: vec![one],
                    next_page_token: String::new(),
                },
            })
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let items = fake
        .client()
        .transfers()
        .list()
        .skip(5)
        .page_size(2)
        .items();
    let transfers: Vec<_> = items.try_collect().await.unwrap();
    assert_eq!(transfers.len(), 3);
}
