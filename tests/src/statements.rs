//! A way to PostgreSQL that counts the statements that pass.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::Database;

/// Passes on what a server and its database say to each other, and counts.
#[derive(Debug)]
pub struct Counter {
    statements: Arc<AtomicU64>,
    port: u16,
    _task: AbortOnDropHandle<()>,
}

impl Counter {
    /// A way to the PostgreSQL that `database` is on.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before(database: &Database) -> Self {
        let url = Url::parse(database.url()).expect("a URL");
        let host = url.host_str().expect("a host").to_owned();
        let target = (host, url.port().unwrap_or(5_432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let statements = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&statements);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, counted) = (target.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let server = TcpStream::connect(target).await?;
                    let (mut answers, to_server) = server.into_split();
                    let (from_client, mut to_client) = client.into_split();
                    tokio::select! {
                        asked = pass_on(from_client, to_server, &counted) => asked,
                        told = copy(&mut answers, &mut to_client) => told.map(drop),
                    }
                });
            }
        });
        Self {
            statements,
            port,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The database by this way.
    ///
    /// # Panics
    /// Never: its URL can have another port.
    pub fn way_to(&self, database: &Database) -> Database {
        let mut url = Url::parse(database.url()).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("it has a host");
        url.set_port(Some(self.port)).expect("it has a port");
        database.at(url.as_str())
    }

    /// Statements that have passed so far.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::SeqCst)
    }
}

/// Reads messages of the protocol's version 3: the first ones of a connection have no kind.
async fn pass_on(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    counted: &AtomicU64,
) -> std::io::Result<()> {
    const TO_ENCRYPT: [u8; 4] = 80_877_103_u32.to_be_bytes();
    let mut from = BufReader::new(from);
    let mut has_begun = false;
    let mut message = Vec::new();
    loop {
        message.clear();
        if has_begun {
            let kind = from.read_u8().await?;
            // A simple query, or the execution of a prepared one.
            if matches!(kind, b'Q' | b'E') {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            message.push(kind);
        }
        let length = from.read_u32().await?;
        message.extend_from_slice(&length.to_be_bytes());
        let body = message.len();
        message.resize(body + length as usize - 4, 0);
        from.read_exact(&mut message[body..]).await?;
        has_begun |= !message[body..].starts_with(&TO_ENCRYPT);
        to.write_all(&message).await?;
    }
}
