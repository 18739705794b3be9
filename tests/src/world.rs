//! A server inside the test's process, reached over a real socket.

use std::{path::PathBuf, time::Duration};

use clap::Parser as _;
use tempfile::TempDir;
use tidegate_client::Client;
use tidegate_proto::v1::{
    connection_service_client::ConnectionServiceClient, event_service_client::EventServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_server::{
    clock::Clock,
    config::{Arguments, Config},
    domain::time::Timestamp,
    serve,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

use crate::soon;

/// How a world differs from the usual one.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// The server's clock.
    pub clock: Clock,
    /// How often the sweeper runs.
    pub sweep_interval: Duration,
    /// Streams that may be open at once.
    pub max_streams: usize,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            clock: Clock::machine(),
            sweep_interval: Duration::from_millis(50),
            max_streams: 10_000,
        }
    }
}

impl WorldOptions {
    /// A clock that the test moves, and no sweeper to speak of: nothing happens unless the test asks for it.
    pub fn still() -> Self {
        Self {
            clock: Clock::hand(Timestamp::from_micros(1_800_000_000_000_000)),
            sweep_interval: Duration::from_secs(3_600),
            ..Self::default()
        }
    }
}

/// One server with a database of its own.
pub struct World {
    /// Where it listens, as `http://127.0.0.1:port`.
    pub address: String,
    /// Its clock.
    pub clock: Clock,
    options: WorldOptions,
    folder: TempDir,
    running: Option<Running>,
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
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut world = Self {
            address: String::new(),
            clock: options.clock.clone(),
            options,
            folder,
            running: None,
        };
        world.resume().await;
        world
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("tidegate.db")
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
        let served = tokio::spawn(async move {
            serve::serve(listener, &config, clock, async move { _ = stopped.await }).await
        });
        self.running = Some(Running { stop, served });
        let mut raw = self.raw().await;
        let first = raw.get_transfer(tidegate_proto::v1::GetTransferRequest::default());
        soon("the server's first answer", first)
            .await
            .expect_err("it asks for nothing");
    }

    fn config(&self) -> Config {
        let url = format!("sqlite://{}?mode=rwc", self.database().display());
        let arguments = [
            "tidegate-server",
            "--database-url",
            &url,
            "--drain-delay",
            "0s",
        ];
        let mut config = Arguments::try_parse_from(arguments)
            .expect("the arguments are valid")
            .into_config();
        config.sweep_interval = self.options.sweep_interval;
        config.max_streams = self.options.max_streams;
        // All test clients share one address.
        config.max_connections_per_address = 4_096;
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
