//! A token goes along with every call and every stream, and is never shown.

use std::{
    collections::BTreeSet,
    error::Error as _,
    fs,
    future::{pending, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use tidegate_client::{Client, ClientBuilder, RetryPolicy, Totals};
use tidegate_proto::v1;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Reply, Said, Script, refusal};

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
    let mut one = client.transfers().watch(uuid);
    let mut many = client.transfers().watch_all().into_stream();
    let reporter = client.transfers().report_progress(uuid);
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
        .transfers()
        .list_recent()
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

fn builder(fake: &Fake) -> ClientBuilder {
    Client::builder(format!("http://{}", fake.address())).retry(RetryPolicy {
        base: Duration::from_millis(5),
        cap: Duration::from_millis(50),
        ..RetryPolicy::default()
    })
}

fn carried(fake: &Fake) -> Vec<String> {
    let heard = fake.heard();
    let all = heard.authorizations.iter().flatten();
    all.map(|value| value.replace("Bearer ", "")).collect()
}

#[tokio::test]
async fn a_file_that_changes_counts_from_the_next_call_on_and_on_the_same_connection() {
    let fake = Fake::play(script()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    fs::write(&file, "tdg_first\n").expect("it can be written");
    let client = builder(&fake).token_file(&file).connect_lazy();
    let client = client.expect("the file has a token");
    client
        .transfers()
        .list_recent()
        .await
        .expect("it is answered");

    // As long as the first one, and within the same tick of the file system's clock.
    let next = folder.path().join("next");
    fs::write(&next, "tdg_other\n").expect("it can be written");
    fs::rename(&next, &file).expect("it takes the place");
    client
        .transfers()
        .list_recent()
        .await
        .expect("it is answered");
    assert_eq!(carried(&fake), ["tdg_first", "tdg_other"]);
    let peers: BTreeSet<_> = fake.heard().peers.iter().copied().collect();
    assert_eq!(peers.len(), 1, "{peers:?}");

    fs::remove_file(&file).expect("it is there");
    let refusal = client
        .transfers()
        .list_recent()
        .await
        .expect_err("no token");
    assert!(refusal.is_unauthenticated(), "{refusal:?}");
    let name = file.display().to_string();
    assert!(refusal.message().contains(&name), "{refusal}");
    assert_eq!(fake.count("recent"), 2, "nothing is sent");
}

#[tokio::test]
async fn a_file_that_is_no_good_is_told_at_once() {
    let fake = Fake::play(script()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let refusal = builder(&fake).token_file(&file).connect_lazy();
    let refusal = refusal.expect_err("there is no file");
    assert!(refusal.is_invalid(), "{refusal:?}");
    fs::write(&file, "s3cret of two words").expect("it can be written");
    let refusal = builder(&fake).token_file(&file).connect_lazy();
    let refusal = refusal.expect_err("that is no token");
    assert!(
        refusal.message().contains(&file.display().to_string()),
        "{refusal}"
    );
    assert!(!format!("{refusal:?}").contains("s3cret"), "{refusal:?}");
}

#[tokio::test]
async fn a_provider_is_asked_for_each_try_and_each_stream_and_never_for_a_message() {
    let fake = Fake::play(Script {
        recent: Some(Box::new(|try_number, _| match try_number {
            0 => Err(Status::unavailable("later")),
            _ => Ok(v1::ListRecentTransfersResponse::default()),
        })),
        ..script()
    })
    .await;
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let provider = move || {
        let number = count.fetch_add(1, SeqCst);
        async move { Ok::<_, io::Error>(format!("tdg_{number}")) }
    };
    let client = builder(&fake).token_provider(provider).connect_lazy();
    let client = client.expect("a good address");
    client
        .transfers()
        .list_recent()
        .await
        .expect("the second try succeeds");
    assert_eq!(carried(&fake), ["tdg_0", "tdg_1"]);

    let reporter = client.transfers().report_progress(Uuid::new_v4());
    let _reporter = reporter.heartbeat(Duration::from_millis(300));
    fake.until("heartbeats", |heard| heard.reports.len() >= 3)
        .await;
    assert_eq!(asked.load(SeqCst), 3, "once for the stream");
}

#[tokio::test]
async fn a_provider_that_fails_is_named_and_the_call_is_not_tried_again() {
    let fake = Fake::play(script()).await;
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let provider = move || {
        count.fetch_add(1, SeqCst);
        ready(Err::<String, _>(io::Error::other("the vault is sealed")))
    };
    let client = builder(&fake).token_provider(provider).connect_lazy();
    let client = client.expect("a good address");
    let refusal = client
        .transfers()
        .list_recent()
        .await
        .expect_err("no token");
    assert!(refusal.is_unauthenticated(), "{refusal:?}");
    assert_eq!(
        refusal.to_string(),
        "UNAUTHENTICATED: there is no token to show: the vault is sealed"
    );
    let cause = refusal
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    assert!(cause.is_some(), "{refusal:?}");
    assert_eq!((asked.load(SeqCst), fake.count("recent")), (1, 0));

    let spaced = || ready(Ok::<_, io::Error>("s3cret of two words".to_owned()));
    let client = builder(&fake).token_provider(spaced).connect_lazy();
    let client = client.expect("a good address");
    let refusal = client
        .transfers()
        .list_recent()
        .await
        .expect_err("no token");
    assert!(refusal.is_unauthenticated(), "{refusal:?}");
    assert!(!format!("{refusal:?}").contains("s3cret"), "{refusal:?}");
}

#[tokio::test]
async fn a_provider_that_never_answers_is_waited_for_no_longer_than_a_server() {
    let fake = Fake::play(script()).await;
    let builder = builder(&fake).timeout(Duration::from_millis(50));
    let client = builder.token_provider(pending::<io::Result<String>>);
    let client = client.connect_lazy().expect("a good address");
    let refusal = client
        .transfers()
        .list_recent()
        .await
        .expect_err("no token");
    assert!(refusal.is_timeout(), "{refusal:?}");
    assert!(
        refusal.message().contains("the token did not come"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_watch_waits_for_a_provider_that_fails_for_a_while() {
    let fake = Fake::play(Script {
        watch_many: Some(Box::new(|_, _| {
            let caught_up = v1::WatchTransfersResponse {
                update: Some(v1::watch_transfers_response::Update::CaughtUp(true)),
                ..v1::WatchTransfersResponse::default()
            };
            Ok(Said {
                messages: vec![Ok(caught_up)],
                stays: true,
            })
        })),
        ..script()
    })
    .await;
    let sealed = Arc::new(AtomicBool::new(true));
    let seal = Arc::clone(&sealed);
    let provider = move || {
        ready(match seal.load(SeqCst) {
            true => Err(io::Error::other("the vault is sealed")),
            false => Ok("tdg_open".to_owned()),
        })
    };
    let client = builder(&fake).token_provider(provider).connect_lazy();
    let client = client.expect("a good address");
    let mut watch = client.transfers().watch_all().into_stream();
    let waited = tokio::time::timeout(Duration::from_millis(200), watch.try_next()).await;
    waited.expect_err("nothing is told, and nothing ends");
    let why = watch.interruption().expect("there is no connection");
    assert!(why.message().contains("the vault is sealed"), "{why}");
    assert_eq!(fake.count("watch_many"), 0);

    sealed.store(false, SeqCst);
    let told = tokio::time::timeout(PATIENCE, watch.try_next()).await;
    told.expect("it is told").expect("the watch goes on");
    assert_eq!(carried(&fake), ["tdg_open"]);
}

/// A watch and a reporter that are let in, and sent away once as their token ends.
fn tokens_end() -> Script {
    let sent_away = || refusal(Code::Unauthenticated, "UNAUTHENTICATED");
    Script {
        watch_many: Some(Box::new(move |number, _| {
            Ok(Said {
                messages: match number {
                    0 => vec![Err(sent_away())],
                    _ => Vec::new(),
                },
                stays: number > 0,
            })
        })),
        reports: Some(Box::new(move |stream, _, _| match stream {
            0 => Reply::End(sent_away()),
            _ => Reply::Stored,
        })),
        ..script()
    }
}

#[tokio::test]
async fn streams_go_on_with_another_token_when_theirs_ends() {
    let fake = Fake::play(tokens_end()).await;
    let asked = Arc::<AtomicUsize>::default();
    let provider = move || {
        ready(Ok::<_, io::Error>(format!(
            "tdg_{}",
            asked.fetch_add(1, SeqCst)
        )))
    };
    let client = builder(&fake).token_provider(provider).connect_lazy();
    let client = client.expect("a good address");
    let mut watch = client.transfers().watch_all().into_stream();
    let waited = tokio::time::timeout(Duration::from_millis(200), watch.try_next()).await;
    waited.expect_err("the second stream says nothing, and nothing ends");
    assert_eq!(carried(&fake), ["tdg_0", "tdg_1"]);

    let reporter = client.transfers().report_progress(Uuid::new_v4());
    let reporter = reporter.heartbeat(Duration::from_secs(60));
    reporter.report(Totals::default());
    let stored = tokio::time::timeout(PATIENCE, reporter.flush()).await;
    stored
        .expect("in time")
        .expect("the second stream stores it");
    assert_eq!(carried(&fake), ["tdg_0", "tdg_1", "tdg_2", "tdg_3"]);
}

#[tokio::test]
async fn streams_end_with_the_only_token_there_is() {
    let fake = Fake::play(tokens_end()).await;
    let client = builder(&fake).token("tdg_only").connect_lazy();
    let client = client.expect("a good address");
    let mut watch = client.transfers().watch_all().into_stream();
    let end = tokio::time::timeout(PATIENCE, watch.try_next()).await;
    let end = end.expect("in time").expect_err("it is sent away");
    assert!(end.is_unauthenticated(), "{end:?}");

    let reporter = client.transfers().report_progress(Uuid::new_v4());
    let reporter = reporter.heartbeat(Duration::from_secs(60));
    reporter.report(Totals::default());
    let end = tokio::time::timeout(PATIENCE, reporter.flush()).await;
    let end = end.expect("in time").expect_err("it is sent away");
    assert!(end.is_unauthenticated(), "{end:?}");
}
