//! A server inside the test's process, reached over a real socket.

use std::time::Duration;

use clap::Parser as _;
use tidegate_client::Client;
use tidegate_domain::time::Timestamp;
use tidegate_proto::v1::{
    connection_service_client::ConnectionServiceClient, event_service_client::EventServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_server::{
    bootstrap,
    clock::Clock,
    config::{Arguments, Auth, Config, Role, TokenRole},
    serve::{self, Listeners},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

use crate::{Database, soon};

/// How a world differs from the usual one.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// The server's clock.
    pub clock: Clock,
    /// How often the sweeper runs.
    pub sweep_interval: Duration,
    /// How long agents may be silent where nobody says so; zero is for ever.
    pub heartbeat_timeout: Duration,
    /// How long agents have to confirm that they have stopped; none by default.
    pub stop_grace: Duration,
    /// How long events are kept; for ever unless set.
    pub event_retention: Option<Duration>,
    /// Streams that may be open at once.
    pub max_streams: usize,
    /// Age at which connections are asked to end.
    pub max_connection_age: Duration,
    /// Whether callers must prove who they are.
    pub auth: Auth,
    /// Calls that one credential may make in a minute.
    pub requests_per_minute: u32,
    /// Whether it has a listener for metrics.
    pub metrics: bool,
    /// What else the command line says.
    pub arguments: &'static [&'static str],
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            clock: Clock::machine(),
            sweep_interval: Duration::from_millis(50),
            heartbeat_timeout: Duration::ZERO,
            stop_grace: Duration::ZERO,
            event_retention: None,
            max_streams: 10_000,
            max_connection_age: Duration::from_secs(30 * 60),
            auth: Auth::Off,
            requests_per_minute: 0,
            metrics: false,
            arguments: &[],
        }
    }
}

impl WorldOptions {
    /// Authentication, and no limit to the calls of those who are let in.
    pub fn guarded() -> Self {
        Self {
            auth: Auth::Required,
            ..Self::default()
        }
    }

    /// A clock that the test moves, and no sweeper to speak of: nothing happens unless the test asks for it.
    pub fn still() -> Self {
        Self {
            clock: Clock::manual(Timestamp::from_micros(1_800_000_000_000_000)),
            sweep_interval: Duration::from_secs(3_600),
            ..Self::default()
        }
    }
}

/// One server with a database of its own, or one that it shares with its [replicas](World::replica).
pub struct World {
    /// Where it listens, as `http://127.0.0.1:port`.
    pub address: String,
    /// Where its listener for metrics is, as `127.0.0.1:port`, if it has one.
    pub metrics: Option<String>,
    /// Its clock.
    pub clock: Clock,
    /// The token of the first admin, where callers must prove who they are.
    admin: Option<String>,
    options: WorldOptions,
    running: Option<Running>,
    // Last, so that the server is told to end before its database goes.
    database: Database,
}

struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// A server with the machine's clock and a sweeper every 50 ms.
    pub async fn start() -> Self {
        Self::start_with(WorldOptions::default()).await
    }

    /// A server as `options` say.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_with(options: WorldOptions) -> Self {
        Self::on(Database::fresh().await, options).await
    }

    /// A server on a database that is there already.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn on(database: Database, options: WorldOptions) -> Self {
        let admin = if options.auth == Auth::Required {
            Some(first_token(&database, &options.clock).await)
        } else {
            None
        };
        Self::with_admin(database, options, admin).await
    }

    async fn with_admin(database: Database, options: WorldOptions, admin: Option<String>) -> Self {
        let mut world = Self {
            address: String::new(),
            metrics: None,
            clock: options.clock.clone(),
            admin,
            options,
            running: None,
            database,
        };
        world.resume().await;
        world
    }

    /// One more server on the same database, with the same options and the same clock. It can be stopped and resumed by
    /// itself; the database goes with the last of them.
    ///
    /// # Panics
    /// When it does not come up, and on SQLite, whose files have one server each: such tests are for `postgres_only`.
    pub async fn replica(&self) -> Self {
        self.replica_with(self.options.clone()).await
    }

    /// One more server on the same database, as `options` say: with a clock that disagrees, for example.
    ///
    /// # Panics
    /// As [`World::replica`] does.
    pub async fn replica_with(&self, options: WorldOptions) -> Self {
        assert!(
            self.database.is_shared(),
            "an SQLite file has one server: a test of replicas belongs in a module postgres_only"
        );
        Self::with_admin(self.database.clone(), options, self.admin.clone()).await
    }

    /// The token of the first admin.
    ///
    /// # Panics
    /// Where nobody has to prove who they are.
    pub fn admin(&self) -> &str {
        self.admin.as_deref().expect("authentication is required")
    }

    /// Where it keeps its ledger.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Starts the server again on the same database, at another port.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        self.address = format!("http://127.0.0.1:{port}");
        let config = self.config();
        let clock = self.options.clock.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let metrics = match self.options.metrics {
            true => Some(TcpListener::bind("127.0.0.1:0").await.expect("a free port")),
            false => None,
        };
        self.metrics = metrics.as_ref().map(|metrics| {
            let address = metrics.local_addr();
            address.expect("a bound socket has an address").to_string()
        });
        let listeners = Listeners {
            calls: listener,
            metrics,
        };
        let served = tokio::spawn(async move {
            serve::serve(
                listeners,
                &config,
                None,
                clock,
                async move { _ = stopped.await },
            )
            .await
        });
        self.running = Some(Running { stop, served });
        let mut raw = self.raw().await;
        let first = raw.get_transfer(tidegate_proto::v1::GetTransferRequest::default());
        soon("the server's first answer", first)
            .await
            .expect_err("it asks for nothing");
    }

    fn config(&self) -> Box<Config> {
        let arguments = [
            "tidegate-server",
            "--database-url",
            self.database.url(),
            "--drain-delay",
            "0s",
        ];
        let arguments = arguments.iter().chain(self.options.arguments);
        let role = Arguments::try_parse_from(arguments)
            .expect("the arguments are valid")
            .into_role();
        let Role::Serve(mut config) = role else {
            panic!("a world serves");
        };
        config.sweep_interval = self.options.sweep_interval;
        config.heartbeat_timeout = self.options.heartbeat_timeout;
        config.stop_grace = self.options.stop_grace;
        config.event_retention = self.options.event_retention;
        config.limits.max_streams = self.options.max_streams;
        config.limits.max_connection_age = self.options.max_connection_age;
        config.transport.auth = Some(self.options.auth);
        config.limits.requests_per_minute = self.options.requests_per_minute;
        // All test clients share one address.
        config.limits.max_connections_per_address = 4_096;
        config
    }

    /// Stops the server and waits until it is gone.
    ///
    /// # Panics
    /// When it fails or hangs.
    pub async fn stop(&mut self) {
        let Some(Running { stop, served }) = self.running.take() else {
            return;
        };
        _ = stop.send(());
        soon("the drain", served)
            .await
            .expect("no panic")
            .expect("no failure");
    }

    /// The typed client, on a connection of its own.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn client(&self) -> Client {
        Client::connect(self.address.clone())
            .await
            .expect("the server listens")
    }

    /// A bare channel.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.address.clone()).expect("a valid address");
        endpoint.connect().await.expect("the server listens")
    }

    /// The generated client of `TransferService`, for requests that the typed one would not send.
    pub async fn raw(&self) -> TransferServiceClient<Channel> {
        TransferServiceClient::new(self.channel().await)
    }

    /// The generated client of `EventService`.
    pub async fn raw_events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel().await)
    }

    /// The generated client of `ConnectionService`.
    pub async fn raw_connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel().await)
    }
}

/// The token of an admin, made where no server is yet.
///
/// # Panics
/// When it cannot be made.
pub async fn first_token(database: &Database, clock: &Clock) -> String {
    let arguments = [
        "tidegate-server",
        "token",
        "create",
        "--role",
        "admin",
        "--name",
        "first",
        "--database-url",
        database.url(),
    ];
    let role = Arguments::try_parse_from(arguments).expect("the arguments are valid");
    let Role::Token(TokenRole::Create(wanted)) = role.into_role() else {
        panic!("a token is created");
    };
    let created = bootstrap::create_token(&wanted, clock.clone()).await;
    created.expect("a database without a server").1.reveal()
}
