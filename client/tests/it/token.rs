//! A token goes along with every call and every stream, and is never shown.

use futures::StreamExt as _;
use tidegate_client::{Client, Totals};
use tidegate_proto::v1;
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Reply, Said, Script};

fn script() -> Script {
    Script {
        recent: Some(Box::new(|_, _| {
            Ok(v1::ListRecentTransfersResponse::default())
        })),
        watch: Some(Box::new(|_, _| {
            Ok(Said {
                messages: Vec::new(),
                stays: true,
            })
        })),
        watch_many: Some(Box::new(|_, _| {
            Ok(Said {
                messages: Vec::new(),
                stays: true,
            })
        })),
        reports: Some(Box::new(|_, _, _| Reply::Stored)),
        ..Script::default()
    }
}

#[tokio::test]
async fn every_call_and_every_stream_carries_it() {
    let fake = Fake::play(script()).await;
    let builder = Client::builder(format!("http://{}", fake.address())).token("tg_s3cret");
    assert!(!format!("{builder:?}").contains("s3cret"), "{builder:?}");
    let client = builder.connect().await.expect("it is there");
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");

    let uuid = Uuid::new_v4();
    let mut one = client.watch(uuid);
    let mut many = client.watch_transfers().into_stream();
    let reporter = client.report_progress(uuid);
    reporter.report(Totals::default());
    let listen = async {
        tokio::select! {
            _ = one.next() => {}
            _ = many.next() => {}
            () = fake.until("all of them", |heard| heard.authorizations.len() >= 4) => {}
        }
    };
    tokio::time::timeout(PATIENCE, listen)
        .await
        .expect("they are made");
    client
        .list_recent_transfers()
        .await
        .expect("it is answered");

    let heard = fake.heard();
    assert!(
        heard.authorizations.len() >= 5,
        "{:?}",
        heard.authorizations
    );
    for carried in &heard.authorizations {
        assert_eq!(carried.as_deref(), Some("Bearer tg_s3cret"));
    }
}

#[tokio::test]
async fn without_one_nothing_is_carried() {
    let fake = Fake::play(script()).await;
    let address = format!("http://{}", fake.address());
    Client::connect(address).await.expect("it is there");
    assert_eq!(fake.heard().authorizations, [None]);
}
