//! Commits whose outcome does not arrive.

mod postgres_only {
    use std::{
        sync::{Arc, Mutex, PoisonError},
        time::{Duration, Instant},
    };

    use tidegate_proto::v1::{self, watch_events_response::Update};
    use tidegate_tests::{
        Database, ServerProcess, assert_refused,
        raw::{Raw, plain, told},
        soon,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{
            TcpListener, TcpStream,
            tcp::{OwnedReadHalf, OwnedWriteHalf},
        },
        task::JoinHandle,
    };
    use tokio_util::sync::CancellationToken;
    use tonic::Code;
    use url::Url;

    use super::super::ANSWERED;

    /// What becomes of the connection that the word is said on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Fate {
        /// The word arrives, and the connection is reset before the answer.
        Reset,
        /// The word arrives, and nothing comes back any more.
        Silence,
        /// The connection is reset before the word arrives.
        Dead,
    }

    type Fault = Arc<Mutex<Option<(&'static str, Fate)>>>;

    /// Passes bytes on between the server and PostgreSQL, until the fault occurs at the word that it is set for.
    struct Proxy {
        database: Database,
        fault: Fault,
        task: JoinHandle<()>,
    }

    impl Proxy {
        async fn on(database: &Database) -> Self {
            let mut url = Url::parse(database.url()).expect("a URL");
            let target = format!(
                "{}:{}",
                url.host_str().expect("a host"),
                url.port().unwrap_or(5432)
            );
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("an address").port();
            url.set_host(Some("127.0.0.1")).expect("a host");
            url.set_port(Some(port)).expect("a port");
            let fault = Fault::default();
            let shared = Arc::clone(&fault);
            let task = tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let server = TcpStream::connect(&target).await.expect("PostgreSQL");
                    tokio::spawn(pass(client, server, Arc::clone(&shared)));
                }
            });
            Self {
                database: database.at(url.as_str()),
                fault,
                task,
            }
        }

        fn arm(&self, word: &'static str, fate: Fate) {
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some((word, fate));
        }

        fn has_occurred(&self) -> bool {
            let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            fault.is_none()
        }
    }

    impl Drop for Proxy {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    async fn pass(client: TcpStream, server: TcpStream, fault: Fault) {
        let ((mut from_client, to_client), (from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let silence = CancellationToken::new();
        let back = tokio::spawn(answers(from_server, to_client, silence.clone()));
        match requests(&mut from_client, &mut to_server, &fault, &silence).await {
            // The sockets stay open for as long as the test runs.
            Some(Fate::Silence) => std::future::pending().await,
            Some(_) => back.abort(),
            None => _ = back.await,
        }
    }

    /// Passes on what the server asks for until it is done, or the fault occurs.
    async fn requests(
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        fault: &Fault,
        silence: &CancellationToken,
    ) -> Option<Fate> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let size = from.read(&mut bytes).await.ok().filter(|size| *size > 0)?;
            let fate = {
                let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
                let is_said = |(word, _): &mut (&str, Fate)| {
                    let word = word.as_bytes();
                    bytes[..size].windows(word.len()).any(|part| part == word)
                };
                fault.take_if(is_said).map(|(_, fate)| fate)
            };
            if fate == Some(Fate::Dead) {
                return fate;
            }
            if fate.is_some() {
                silence.cancel();
            }
            to.write_all(&bytes[..size]).await.ok()?;
            if fate == Some(Fate::Reset) {
                // PostgreSQL does what it was told before it notices the end.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if fate.is_some() {
                return fate;
            }
        }
    }

    async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silence: CancellationToken) {
        let copy = tokio::io::copy(&mut from, &mut to);
        if silence.run_until_cancelled(copy).await.is_none() {
            std::future::pending().await
        }
    }

    fn with_id(request_id: &str) -> v1::CreateTransferRequest {
        v1::CreateTransferRequest {
            request_id: request_id.to_owned(),
            ..plain()
        }
    }

    async fn count(raw: &mut Raw) -> i64 {
        let request = v1::CountTransfersRequest::default();
        told(raw.transfers.count_transfers(request)).await.count
    }

    /// The position of the next event.
    async fn next(watch: &mut tonic::Streaming<v1::WatchEventsResponse>) -> i64 {
        loop {
            let answer = soon("the event", watch.message()).await.expect("no end");
            if let Some(Update::Event(event)) = answer.expect("no end").update {
                return event.sequence;
            }
        }
    }

    /// A change is refused because of `fate` at `word`; its repetition is done. How often it was done in between.
    async fn interrupted(word: &'static str, fate: Fate) -> i64 {
        let database = Database::fresh().await;
        let proxy = Proxy::on(&database).await;
        let server = ServerProcess::start(&proxy.database, 0, &[]).await;
        let mut raw = Raw::on(server.channel().await);
        let watch = raw.events.watch_events(v1::WatchEventsRequest::default());
        let mut watch = told(watch).await;
        proxy.arm(word, fate);
        let began = Instant::now();
        let refusal = soon("an answer", raw.transfers.create_transfer(with_id("one"))).await;
        let refusal = refusal.expect_err("the answer was lost");
        assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
        assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
        assert!(proxy.has_occurred());
        let between = count(&mut raw).await;
        let calls = (2..=12).map(|number| {
            let mut raw = raw.clone();
            // The first of them is the repetition.
            let id = if number == 2 {
                "one".to_owned()
            } else {
                format!("{number}")
            };
            async move { told(raw.transfers.create_transfer(with_id(&id))).await }
        });
        soon("the changes", futures::future::join_all(calls)).await;
        assert_eq!(count(&mut raw).await, 11);
        // Watchers were told of each once, that of the lost answer included.
        for sequence in 1..=11 {
            assert_eq!(next(&mut watch).await, sequence);
        }
        assert!(server.terminate().await.0.success());
        between
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_commit_whose_answer_is_reset_stands_and_is_told() {
        assert_eq!(interrupted("COMMIT", Fate::Reset).await, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_commit_whose_answer_never_comes_stands_and_is_told() {
        assert_eq!(interrupted("COMMIT", Fate::Silence).await, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_commit_that_does_not_arrive_leaves_nothing() {
        assert_eq!(interrupted("COMMIT", Fate::Dead).await, 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_connection_that_dies_between_statements_leaves_nothing() {
        assert_eq!(interrupted("INSERT INTO \"event\"", Fate::Dead).await, 0);
    }
}

mod both {
    use tidegate_domain::transfer::Transfer;
    use tidegate_store::{Options, Store};
    use tidegate_tests::{World, raw::plain};
    use uuid::Uuid;

    /// PostgreSQL answers the COMMIT of a transaction with a failed statement by a ROLLBACK, and that is no error to the
    /// driver.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_transaction_with_a_failed_step_is_not_taken_for_committed() {
        let mut world = World::start().await;
        let mut raw = world.services().await;
        let created = raw
            .transfers
            .create_transfer(plain())
            .await
            .expect("created");
        let uuid = created.into_inner().transfer.expect("it is carried").uuid;
        let database = world.database().clone();
        world.stop().await;
        let store = Store::open(database.url(), &Options::default()).await;
        let store = store.expect("it opens");
        let uuid = uuid.parse::<Uuid>().expect("a uuid").into();
        let transfer = store
            .transfer(uuid)
            .await
            .expect("a read")
            .expect("it is there");
        let other = std::sync::Arc::new(Transfer {
            uuid: Uuid::from_u128(7).into(),
            ..Transfer::clone(&transfer)
        });
        let one = std::slice::from_ref(&other);
        let batch = store.begin().await.expect("a batch");
        batch.insert_transfers(one).await.expect("a new one");
        batch
            .insert_transfers(&[transfer])
            .await
            .expect_err("it is there already");
        batch.commit().await.expect_err("a step has failed");
        assert!(store.transfer(other.uuid).await.expect("a read").is_none());
        // The next one goes on as if nothing had happened.
        let batch = store.begin().await.expect("a batch");
        batch.insert_transfers(one).await.expect("a new one");
        batch.commit().await.expect("committed");
        assert!(store.transfer(other.uuid).await.expect("a read").is_some());
        store.close().await;
    }
}
