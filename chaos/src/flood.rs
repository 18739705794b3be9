//! Floods: thousands of sockets that say nothing or a byte a second, and frames that mean nothing, as fast as they come.
//!
//! Who floods has to be cut, the server's memory has to stay small, and others must hardly notice.

mod frames;
mod sockets;

use std::{
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_client::{Client, Direction};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use uuid::Uuid;

use super::Report;
use tidegate_tests::{
    Database, ServerProcess,
    certificates::{Authority, Folder, NAMES, shake},
};

/// Calls that are measured at a time; enough for a median that a few slow ones do not move.
const CALLS: usize = 100;
/// How often they are. The calmest time counts, as other programs have their moments on the same machine; what a flood
/// costs, it costs all the time.
const TIMES: usize = 8;
/// What others' calls may take during a flood, in percent of what they take without.
const SLOWER: u128 = 200;
/// How alike two measures without a flood must be, in percent, for one during it to mean anything.
const ALIKE: u64 = 60;
/// What the server's memory may grow by while frames flood in.
const GROWTH_KIB: u64 = 64 * 1_024;
/// Descriptors that processes need beside those of the sockets.
const SPARE: u64 = 1_000;

/// Connections that bytes are sent on.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The server that is flooded, and who calls it meanwhile.
struct Target {
    server: ServerProcess,
    client: Client,
    transfer: Uuid,
    /// With TLS: the authority that its certificate is from.
    authority: Option<String>,
    // Last: the server reads it.
    _folder: Option<Folder>,
}

/// So many slow sockets, and then floods of frames; with TLS or without.
pub async fn run(sockets: u64, tls: bool, seed: u64) -> Report {
    let mut report = Report::new(if tls { "flood with TLS" } else { "flood" }, seed);
    // Both ends of each socket are ours, one in this process and one in the server's.
    report.require("descriptors for a process", descriptors(), sockets + SPARE);
    let target = Target::open(tls).await;
    target.call().await;
    // First, while the server has no memory to spare that sockets have left.
    frames::flood(&target, &mut report).await;
    let before = target.call().await;
    let during = sockets::flood(&target, sockets, seed, &mut report).await;
    let after = target.call().await;
    let (quick, slow) = (before.min(after), before.max(after));
    report.count("µs for a call before", before.as_micros());
    report.count("µs among silent sockets", during.as_micros());
    report.count("µs after", after.as_micros());
    let alike = quick.as_micros() * 100 / slow.as_micros().max(1);
    report.require("% that calls without a flood are alike", alike, ALIKE);
    let ratio = during.as_micros() * 100 / slow.as_micros().max(1);
    report.count("% of the time without a flood", ratio);
    if ratio > SLOWER {
        report.fault(format!(
            "calls take {ratio} % of their time among silent sockets"
        ));
    }
    let answer = target.client.transfers().get(target.transfer).await;
    if let Err(error) = answer {
        report.fault(format!("it serves no longer: {error}"));
    }
    report
}

impl Target {
    async fn open(tls: bool) -> Self {
        let (authority, folder) = if tls {
            let authority = Authority::default();
            let folder = Folder::of(&authority, &authority.server(&NAMES));
            (Some(authority.pem()), Some(folder))
        } else {
            (None, None)
        };
        let mut arguments = folder.as_ref().map(Folder::arguments).unwrap_or_default();
        // The usual limit for an address: it is the many addresses that the flood comes from.
        for argument in [
            "--max-connections",
            "20000",
            "--max-connections-per-address",
            "64",
        ] {
            arguments.push(argument.to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let server = ServerProcess::start(&Database::new_file(), 0, &arguments).await;
        let scheme = if tls { "https" } else { "http" };
        let mut builder = Client::builder(format!("{scheme}://{}", server.authority()));
        if let Some(authority) = &authority {
            builder = builder.ca_certificate(authority.as_str());
        }
        let client = builder.connect().await.expect("it is let in");
        let created = client.transfers().create(Direction::Send, "orders").await;
        Self {
            server,
            client,
            transfer: created.expect("it is created").uuid,
            authority,
            _folder: folder,
        }
    }

    /// What a call takes.
    async fn call(&self) -> Duration {
        let mut calmest = Duration::MAX;
        for _ in 0..TIMES {
            calmest = calmest.min(self.median().await);
        }
        calmest
    }

    async fn median(&self) -> Duration {
        let mut took = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let began = Instant::now();
            let answer = self.client.transfers().get(self.transfer).await;
            answer.expect("it is answered");
            took.push(began.elapsed());
        }
        took.sort_unstable();
        took[took.len() / 2]
    }

    /// A socket from the `number`th of many addresses of this machine.
    async fn socket(&self, number: u64) -> std::io::Result<TcpStream> {
        let bytes = u32::try_from(number / 50 + 1)
            .expect("not that many")
            .to_be_bytes();
        let source = Ipv4Addr::new(127, 1 + bytes[1], bytes[2], bytes[3]);
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket
            .connect((Ipv4Addr::LOCALHOST, self.server.port()).into())
            .await
    }

    /// A connection whose handshake, if there is one, is done.
    async fn wire(&self, number: u64) -> Box<dyn Wire> {
        let socket = self.socket(number).await.expect("the server listens");
        match &self.authority {
            Some(authority) => {
                let shaken = shake(socket, authority, &["h2"]).await;
                Box::new(shaken.expect("a handshake"))
            }
            None => Box::new(socket),
        }
    }
}

/// Raises what this process and its children may open to what is allowed; what that is.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it may not be raised the limit stays as it is, and is told.
    _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Watches how much memory a process has.
struct Memory {
    peak: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let peak = Arc::new(AtomicU64::new(resident_kib(pid)));
        let seen = Arc::clone(&peak);
        let task = tokio::spawn(async move {
            loop {
                seen.fetch_max(resident_kib(pid), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { peak, task }
    }

    /// The most that it had.
    fn peak_kib(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a process has in memory.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("it has memory")
}
