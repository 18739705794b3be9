//! Sockets that take their time: silent ones, and ones that say a byte a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{Report, Target, frames::PREFACE, resident_kib};

/// Until when a socket has to be closed by the server.
const CLOSED: Duration = Duration::from_secs(15);
/// How long one is waited for, so that one that is late can be told from one that stays.
const GIVEN_UP: Duration = Duration::from_secs(40);
/// The beginning of a TLS handshake: a record of 512 bytes.
const HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

/// What a socket says.
#[derive(Clone, Copy)]
struct SocketBehavior {
    at_once: &'static [u8],
    /// A byte a second; zeros when that is not enough.
    slowly: &'static [u8],
    talks: bool,
}

const SILENT: SocketBehavior = SocketBehavior {
    at_once: b"",
    slowly: b"",
    talks: false,
};
const CLEAR: [SocketBehavior; 4] = [
    SILENT,
    SocketBehavior {
        slowly: PREFACE,
        talks: true,
        ..SILENT
    },
    SocketBehavior {
        at_once: PREFACE,
        ..SILENT
    },
    SocketBehavior {
        at_once: PREFACE,
        // SETTINGS, and a HEADERS frame of 200 bytes.
        slowly: b"\0\0\0\x04\0\0\0\0\0\0\0\xc8\x01\x04\0\0\0\x01",
        talks: true,
    },
];
const SECRET: [SocketBehavior; 3] = [
    SILENT,
    SocketBehavior {
        slowly: HELLO,
        talks: true,
        ..SILENT
    },
    SocketBehavior {
        at_once: HELLO,
        talks: true,
        ..SILENT
    },
];

/// Opens so many of them and waits until the server has closed them all; what a call of others takes meanwhile.
pub(super) async fn flood(
    target: &Target,
    sockets: u64,
    seed: u64,
    report: &mut Report,
) -> Duration {
    let before = resident_kib(target.server.pid());
    let mut random = StdRng::seed_from_u64(seed);
    let behaviors: &[SocketBehavior] = if target.authority.is_some() {
        &SECRET
    } else {
        &CLEAR
    };
    let open = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..sockets {
        match target.socket(number).await {
            Ok(socket) => {
                let behavior = behaviors[random.random_range(0..behaviors.len())];
                tasks.spawn(hold(socket, behavior, Arc::clone(&open)));
            }
            Err(error) => report.fault(format!("socket {number} is not let in: {error}")),
        }
    }
    let at_once = open.load(Ordering::Relaxed);
    report.require("sockets open at once", at_once, sockets * 9 / 10);
    let during = target.call().await;
    report.require(
        "of them while calls were measured",
        open.load(Ordering::Relaxed),
        sockets / 2,
    );
    let grown = resident_kib(target.server.pid()).saturating_sub(before);
    report.count("KiB for them", grown);
    let mut slowest = Duration::ZERO;
    while let Some(ended) = tasks.join_next().await {
        slowest = slowest.max(ended.expect("no socket panics"));
    }
    report.count("ms until the last was closed", slowest.as_millis());
    if slowest > CLOSED {
        report.fault(format!("a socket was open for {slowest:?}"));
    }
    during
}

/// Holds a socket until the server closes the socket; how long that was.
async fn hold(socket: TcpStream, behavior: SocketBehavior, open: Arc<AtomicU64>) -> Duration {
    let began = Instant::now();
    open.fetch_add(1, Ordering::Relaxed);
    let (mut from, mut to) = socket.into_split();
    let talk = async {
        if to.write_all(behavior.at_once).await.is_err() {
            return;
        }
        let bytes = behavior.slowly.iter().copied().chain(std::iter::repeat(0));
        for byte in bytes.take_while(|_| behavior.talks) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if to.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        std::future::pending().await
    };
    let listen = async {
        let mut heard = [0; 512];
        while from.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {}
    };
    let closed = async {
        tokio::select! {
            () = talk => {}
            () = listen => {}
        }
    };
    _ = tokio::time::timeout(GIVEN_UP, closed).await;
    open.fetch_sub(1, Ordering::Relaxed);
    began.elapsed()
}
