//! What happens through one replica is seen through another: soon by the hints, and without them a little later.

mod postgres_only {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::{Duration, Instant},
    };

    use futures::{StreamExt as _, future::join_all};
    use sea_orm::{ConnectionTrait as _, Statement};
    use tidegate_client::Client;
    use tidegate_proto::v1::{
        self, TransferStatus, watch_events_response::Update as Step,
        watch_transfers_response::Update,
    };
    use tidegate_tests::{
        World,
        raw::{Raw, plain, told, totals},
        soon,
    };
    use tokio::task::JoinHandle;
    use tonic::Streaming;

    /// How soon a transition is seen through another replica.
    const BY_HINT: Duration = Duration::from_millis(100);
    /// Time between two looks of a replica at the log when no hint arrives, or twice that.
    const LOOK: Duration = Duration::from_millis(500);
    /// How soon a transition is seen when no hint arrives.
    const BY_POLL: Duration = Duration::from_millis(1_500);

    /// Two replicas, and the services of each.
    async fn two() -> (World, World, Raw, Raw) {
        let a = World::start().await;
        let b = a.replica().await;
        let (on_a, on_b) = (a.services().await, b.services().await);
        (a, b, on_a, on_b)
    }

    /// Ends whatever listens for hints, over and over.
    struct Deafened {
        ended: Arc<AtomicUsize>,
        task: JoinHandle<()>,
    }

    impl Deafened {
        async fn begin(world: &World) -> Self {
            let ended = Arc::<AtomicUsize>::default();
            let counter = Arc::clone(&ended);
            let database = sea_orm::Database::connect(world.database().url())
                .await
                .expect("the database listens");
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE application_name = 'tidegate feed' AND datname = current_database()";
            let task = tokio::spawn(async move {
                loop {
                    let statement = Statement::from_string(sea_orm::DbBackend::Postgres, sql);
                    let row = database.query_one_raw(statement).await.expect("an answer");
                    let count: i64 = row.expect("a row").try_get_by_index(0).expect("a count");
                    counter.fetch_add(usize::try_from(count).unwrap_or(0), Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
            let deafened = Self { ended, task };
            soon("the end of both listeners", async {
                while deafened.ended.load(Ordering::SeqCst) < 2 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
            deafened
        }
    }

    impl Drop for Deafened {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    async fn one(raw: &mut Raw, uuid: &str) -> Streaming<v1::WatchTransferResponse> {
        let request = v1::WatchTransferRequest {
            uuid: uuid.to_owned(),
        };
        let answer = raw.transfers.watch_transfer(request).await;
        let mut watch = answer.expect("it exists").into_inner();
        state(&mut watch).await;
        watch
    }

    async fn state(watch: &mut Streaming<v1::WatchTransferResponse>) -> v1::Transfer {
        let message = soon("a state", watch.message()).await.expect("no refusal");
        let message = message.expect("it goes on");
        message.transfer.expect("the transfer")
    }

    async fn all(
        raw: &mut Raw,
        filter: v1::TransferFilter,
    ) -> Streaming<v1::WatchTransfersResponse> {
        let request = v1::WatchTransfersRequest {
            filter: Some(filter),
            ..v1::WatchTransfersRequest::default()
        };
        let answer = raw.transfers.watch_transfers(request).await;
        let mut watch = answer.expect("it is accepted").into_inner();
        assert_eq!(update(&mut watch).await, Update::CaughtUp(true));
        watch
    }

    async fn update(watch: &mut Streaming<v1::WatchTransfersResponse>) -> Update {
        let message = soon("an update", watch.message())
            .await
            .expect("no refusal");
        message.expect("it goes on").update.expect("an update")
    }

    /// Whether transitions can only have been seen that soon because of hints.
    ///
    /// Without hints the delays are spread evenly over the time between two looks at the log, so half of them are longer
    /// than half of it: both the median and the 90th percentile would be far too long. With hints it is a few milliseconds
    /// of work and a pause of 20 ms at most, and what a busy machine adds: one transition in ten may take as long as it
    /// likes.
    fn is_by_hint(delays: &[Duration]) -> bool {
        let mut delays = delays.to_vec();
        delays.sort();
        let (median, ninth) = (delays[delays.len() / 2], delays[delays.len() * 9 / 10]);
        let within = delays.partition_point(|delay| *delay < BY_HINT);
        eprintln!(
            "{within} of {} within {BY_HINT:?}, median {median:?}, 90th percentile {ninth:?}",
            delays.len()
        );
        median < BY_HINT && ninth < LOOK / 2
    }

    /// How long after its answer each of some transitions through `on_a` has been seen by a watcher of the transfer, one of
    /// all transfers and one of the log through `on_b`.
    async fn delays(on_a: &mut Raw, on_b: &mut Raw, rounds: usize) -> Vec<Duration> {
        let mut delays = Vec::new();
        let mut log = on_b
            .events
            .watch_events(v1::WatchEventsRequest::default())
            .await
            .expect("accepted")
            .into_inner();
        for _ in 0..rounds {
            let uuid = on_a.declared().await.uuid;
            let mut watch = one(on_b, &uuid).await;
            let mut many = all(on_b, v1::TransferFilter::default()).await;
            let started = on_a.start(&uuid).await;
            let since = Instant::now();
            let of_one = async {
                assert_eq!(state(&mut watch).await, started);
                since.elapsed()
            };
            let of_many = async {
                loop {
                    match update(&mut many).await {
                        Update::Transfer(transfer) if transfer == started => break since.elapsed(),
                        // It was declared a moment ago, which may be news here, as may be the start before this one.
                        Update::Transfer(transfer) => {
                            assert!(transfer.uuid != uuid || transfer.revision == 1);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            };
            let of_log = async {
                loop {
                    let step = soon("a step", log.message()).await.expect("no refusal");
                    match step.expect("it goes on").update.expect("a step") {
                        Step::Event(event)
                            if event.transfer_uuid == uuid && event.revision == 2 =>
                        {
                            break since.elapsed();
                        }
                        _ => {}
                    }
                }
            };
            let (of_one, of_many, of_log) = tokio::join!(of_one, of_many, of_log);
            delays.push(of_one.max(of_many).max(of_log));
        }
        delays
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_retry_is_seen_elsewhere_on_the_transfer_that_it_tries_again() {
        let (_a, _b, mut on_a, mut on_b) = two().await;
        let uuid = on_a.declared().await.uuid;
        let ended = on_a.cancel(&uuid).await;
        let mut many = all(&mut on_b, v1::TransferFilter::default()).await;
        let again = v1::RetryTransferRequest {
            uuid: uuid.clone(),
            ..v1::RetryTransferRequest::default()
        };
        let tried = told(on_a.transfers.retry_transfer(again)).await.transfer;
        let tried = tried.expect("the answer carries it");
        let seen = soon("the news of it", async {
            loop {
                match update(&mut many).await {
                    Update::Transfer(it) if !it.retried_by_uuid.is_empty() => return it,
                    _ => {}
                }
            }
        });
        let seen = seen.await;
        assert_eq!((&seen.uuid, seen.revision), (&uuid, ended.revision + 1));
        assert_eq!(seen.retried_by_uuid, tried.uuid);
    }

    /// A machine that has more to do than this test may spoil a measurement or two, but it makes none better than it is.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_transition_is_seen_elsewhere_within_a_tenth_of_a_second() {
        let (_a, _b, mut on_a, mut on_b) = two().await;
        for _ in 0..3 {
            let delays = delays(&mut on_a, &mut on_b, 60).await;
            if is_by_hint(&delays) {
                return;
            }
        }
        panic!("hints make no difference");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn without_hints_it_is_seen_nevertheless() {
        let (a, _b, mut on_a, mut on_b) = two().await;
        let deafened = Deafened::begin(&a).await;
        let slow = delays(&mut on_a, &mut on_b, 8).await;
        assert!(slow.iter().all(|delay| *delay < BY_POLL), "{slow:?}");
        assert!(!is_by_hint(&slow), "it would not be noticed: {slow:?}");
        drop(deafened);
        // And when the connection stands again, which it does after a pause of 5 s at most, it is fast again.
        soon("hints that arrive again", async {
            while !is_by_hint(&delays(&mut on_a, &mut on_b, 5).await) {}
        })
        .await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn progress_is_seen_elsewhere_within_about_a_second() {
        let (_a, _b, mut on_a, mut on_b) = two().await;
        let uuid = on_a.running().await.uuid;
        let mut watch = one(&mut on_b, &uuid).await;
        let mut many = all(&mut on_b, v1::TransferFilter::default()).await;
        for records in 1..=5 {
            let report = v1::UpdateProgressRequest {
                uuid: uuid.clone(),
                progress: Some(totals(records)),
                ..v1::UpdateProgressRequest::default()
            };
            let answer = on_a.transfers.update_progress(report).await;
            let reported = answer.expect("accepted").into_inner().transfer;
            let since = Instant::now();
            while Some(state(&mut watch).await) != reported {}
            while Some(update(&mut many).await) != reported.clone().map(Update::Transfer) {}
            let delay = since.elapsed();
            assert!(delay < BY_POLL, "{delay:?}");
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn leaving_a_filter_and_deletion_are_seen_elsewhere() {
        let (_a, _b, mut on_a, mut on_b) = two().await;
        let connection_uuid = on_a.connection("mirror").await;
        let other = on_a.connection("other").await;
        let of = |connection: &str, status: &[TransferStatus]| v1::TransferFilter {
            connection_uuid: connection.to_owned(),
            status: status.iter().map(|status| (*status).into()).collect(),
            ..v1::TransferFilter::default()
        };
        let linked = v1::CreateTransferRequest {
            connection_uuid: connection_uuid.clone(),
            ..plain()
        };
        let uuid = on_a.create(linked).await.uuid;
        let mut pending = all(&mut on_b, of(&connection_uuid, &[TransferStatus::Pending])).await;
        let mut ours = all(&mut on_b, of(&connection_uuid, &[])).await;
        let mut theirs = all(&mut on_b, of(&other, &[])).await;
        let cancelled = on_a.cancel(&uuid).await;
        let newer = async |watch: &mut Streaming<v1::WatchTransfersResponse>| loop {
            match update(watch).await {
                Update::Transfer(transfer) if transfer.revision < 2 => {}
                other => break other,
            }
        };
        assert_eq!(
            newer(&mut pending).await,
            Update::Transfer(cancelled.clone())
        );
        let told = Update::Transfer(cancelled);
        assert_eq!(newer(&mut ours).await, told);
        on_a.delete(&uuid).await;
        // Creation and cancellation may have been met one after the other, and each is told as the row is now.
        let deleted = loop {
            match update(&mut ours).await {
                again if again == told => {}
                other => break other,
            }
        };
        assert_eq!(deleted, Update::DeletedUuid(uuid));
        let of_other = v1::CreateTransferRequest {
            connection_uuid: other,
            ..plain()
        };
        let next = on_a.create(of_other).await;
        assert_eq!(
            update(&mut theirs).await,
            Update::Transfer(next),
            "and nothing of the others"
        );
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn the_log_has_one_order_on_every_replica_and_is_resumed_on_any() {
        const EACH: usize = 30;
        let (a, b, on_a, on_b) = two().await;
        let writers = [&on_a, &on_b, &on_a, &on_b].map(|raw| {
            let mut raw = raw.clone();
            async move {
                for _ in 0..EACH {
                    let uuid = raw.declared().await.uuid;
                    raw.start(&uuid).await;
                    raw.complete(&uuid, 1).await;
                }
            }
        });
        let last = i64::try_from(4 * EACH * 3).expect("small");
        let clients = [a.client().await, b.client().await];
        let follow = async {
            let mut seen = 0;
            let mut turn = 0;
            // A few events from one replica, a few from the other.
            while seen < last {
                turn += 1;
                let client: &Client = &clients[turn % 2];
                let mut watch = client.events().watch().after(seen).into_stream();
                for _ in 0..5 {
                    let event = soon("an event", watch.next()).await.expect("no end");
                    assert_eq!(event.expect("no refusal").sequence, seen + 1);
                    seen += 1;
                    if seen == last {
                        break;
                    }
                }
            }
        };
        tokio::join!(follow, join_all(writers));
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn no_watcher_goes_back_when_two_replicas_change_the_same_transfer() {
        let (_a, _b, mut on_a, mut on_b) = two().await;
        let uuid = on_a.running().await.uuid;
        let mut watch = one(&mut on_b, &uuid).await;
        let mut many = all(&mut on_b, v1::TransferFilter::default()).await;
        let reports = [on_a.clone(), on_b.clone()].map(|mut raw| {
            let uuid = uuid.clone();
            async move {
                for _ in 0..150 {
                    let report = v1::UpdateProgressRequest {
                        uuid: uuid.clone(),
                        progress: Some(totals(1)),
                        ..v1::UpdateProgressRequest::default()
                    };
                    let answer = raw.transfers.update_progress(report).await;
                    answer.expect("equal totals are accepted");
                }
            }
        });
        let write = async {
            join_all(reports).await;
            on_a.complete(&uuid, 2).await.revision
        };
        let of_one = async {
            let mut revision = 0;
            loop {
                let transfer = state(&mut watch).await;
                assert!(transfer.revision > revision);
                revision = transfer.revision;
                if transfer.status() == TransferStatus::Completed {
                    return revision;
                }
            }
        };
        let of_many = async {
            let mut revision = 0;
            loop {
                let Update::Transfer(transfer) = update(&mut many).await else {
                    panic!("there is only this transfer");
                };
                assert!(transfer.revision >= revision);
                revision = transfer.revision;
                if transfer.status() == TransferStatus::Completed {
                    return revision;
                }
            }
        };
        let (last, of_one, of_many) = tokio::join!(write, of_one, of_many);
        assert_eq!((of_one, of_many), (last, last));
    }
}
