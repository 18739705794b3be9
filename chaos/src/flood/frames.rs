//! Floods of HTTP/2 frames that cost their sender nothing.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use super::{GROWTH_KIB, Memory, Report, Target, Wire, resident_kib};

/// The first bytes of HTTP/2.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// Where requests go: one that is read once, and one that is read for as long as it lasts.
const UNARY: &str = "/tidegate.v1.TransferService/GetTransfer";
const STREAM: &str = "/tidegate.v1.TransferService/ReportProgress";

/// Connections that flood at the same time.
const OFFENDERS: u64 = 8;
/// Until when a flood has to be cut.
const CUT: Duration = Duration::from_secs(15);
/// Until when one has to be cut whose sender reads nothing: then the server is held up as much as it is, and only notices
/// that its own PING stays without an answer.
const CUT_UNREAD: Duration = Duration::from_secs(45);
/// Bytes that are written at a time.
const BATCH: usize = 16 * 1_024;

/// What a flood is made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Requests that are taken back at once.
    Reset,
    /// A request whose body comes a byte at a time and has no end.
    Crumbs,
    /// As many of these as there may be, on a method that reads on.
    ManyCrumbs,
    /// DATA without data.
    Empty,
    Ping,
    /// Answers to what was never asked.
    Pong,
    Settings,
    /// Frames of a type that nobody knows.
    Unknown,
}

const KINDS: [Kind; 8] = [
    Kind::Reset,
    Kind::Crumbs,
    Kind::ManyCrumbs,
    Kind::Empty,
    Kind::Ping,
    Kind::Pong,
    Kind::Settings,
    Kind::Unknown,
];

/// Floods the server with each kind in turn from those who read what they are told, and then with all kinds at once from
/// those who do not.
pub(super) async fn flood(target: &Target, report: &mut Report) {
    let before = resident_kib(target.server.pid());
    let memory = Memory::watch(target.server.pid());
    for kind in KINDS {
        let mut offenders = JoinSet::new();
        for number in 0..OFFENDERS {
            let wire = target.wire(number * 50).await;
            offenders.spawn(offend(wire, kind, true));
        }
        judge(offenders, CUT, report).await;
    }
    report.count(
        "KiB more memory at most",
        memory.peak_kib().saturating_sub(before),
    );
    let mut offenders = JoinSet::new();
    for (kind, number) in KINDS.into_iter().zip(0..) {
        let wire = target.wire(number * 50).await;
        offenders.spawn(offend(wire, kind, false));
    }
    judge(offenders, CUT_UNREAD, report).await;
    let grown = memory.peak_kib().saturating_sub(before);
    report.count("KiB with those who do not read", grown);
    if grown > GROWTH_KIB {
        report.fault(format!("the server's memory grew by {grown} KiB"));
    }
}

async fn judge(mut offenders: JoinSet<Offence>, cut: Duration, report: &mut Report) {
    let mut sent = 0;
    let mut slowest = Duration::ZERO;
    let mut what = String::new();
    while let Some(offence) = offenders.join_next().await {
        let offence = offence.expect("no offender panics");
        sent += offence.sent;
        slowest = slowest.max(offence.took);
        what = format!("{:?}", offence.kind);
        if offence.took > cut {
            report.fault(format!("{offence:?} is not cut within {cut:?}"));
        }
    }
    eprintln!("  {what}: cut after {slowest:?} and {} KiB", sent / 1_024);
}

/// What somebody did, and how long they could.
#[derive(Debug)]
struct Offence {
    kind: Kind,
    #[allow(dead_code, reason = "shown when it is not cut")]
    reads: bool,
    took: Duration,
    sent: usize,
}

/// Floods until the server closes the connection or twice the time is over.
async fn offend(wire: Box<dyn Wire>, kind: Kind, reads: bool) -> Offence {
    let began = Instant::now();
    let (mut from, mut to) = tokio::io::split(wire);
    let mut sent = 0;
    let write = async {
        let mut flood = Flood { kind, next: 1 };
        let mut batch = flood.beginning();
        while to.write_all(&batch).await.is_ok() {
            sent += batch.len();
            batch = flood.batch();
        }
    };
    let read = async {
        let mut heard = vec![0; BATCH];
        while reads && from.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {}
        if !reads {
            std::future::pending::<()>().await;
        }
    };
    let cut = async {
        tokio::select! {
            () = write => {}
            () = read => {}
        }
    };
    _ = tokio::time::timeout(CUT_UNREAD + CUT, cut).await;
    Offence {
        kind,
        reads,
        took: began.elapsed(),
        sent,
    }
}

struct Flood {
    kind: Kind,
    /// The next stream.
    next: u32,
}

impl Flood {
    fn beginning(&mut self) -> Vec<u8> {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        let (streams, path) = match self.kind {
            Kind::Crumbs | Kind::Empty => (1, UNARY),
            Kind::ManyCrumbs => (100, STREAM),
            Kind::Reset | Kind::Ping | Kind::Pong | Kind::Settings | Kind::Unknown => (0, UNARY),
        };
        for _ in 0..streams {
            bytes.extend(frame(HEADERS, END_HEADERS, self.next, &head(path)));
            // The head of a message of 65,000 bytes, which is within the limit.
            bytes.extend(frame(DATA, 0, self.next, &[0, 0, 0, 0xFD, 0xE8]));
            self.next += 2;
        }
        bytes
    }

    fn batch(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * BATCH);
        while bytes.len() < BATCH {
            match self.kind {
                Kind::Reset => {
                    let flags = END_HEADERS | END_STREAM;
                    bytes.extend(frame(HEADERS, flags, self.next, &head(UNARY)));
                    bytes.extend(frame(RST_STREAM, 0, self.next, &8_u32.to_be_bytes()));
                    self.next += 2;
                }
                Kind::Crumbs => bytes.extend(frame(DATA, 0, 1, &[0])),
                Kind::ManyCrumbs => {
                    for stream in (1..self.next).step_by(2) {
                        bytes.extend(frame(DATA, 0, stream, &[0]));
                    }
                }
                Kind::Empty => bytes.extend(frame(DATA, 0, 1, &[])),
                Kind::Ping => bytes.extend(frame(PING, 0, 0, &[7; 8])),
                Kind::Pong => bytes.extend(frame(PING, 1, 0, &[7; 8])),
                Kind::Settings => bytes.extend(frame(SETTINGS, 0, 0, &[])),
                Kind::Unknown => bytes.extend(frame(0xEE, 0, 0, &[])),
            }
        }
        bytes
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a call, in the plainest form that HPACK has.
fn head(path: &str) -> Vec<u8> {
    // POST and http, which have numbers; then :path, :authority and content-type, whose names have; then te.
    let mut head = vec![0x83, 0x86];
    for (name, value) in [
        (&[0x04][..], path),
        (&[0x01], "localhost"),
        (&[0x0F, 0x10], "application/grpc"),
        (b"\0\x02te", "trailers"),
    ] {
        head.extend(name);
        head.push(u8::try_from(value.len()).expect("a short value"));
        head.extend(value.bytes());
    }
    head
}
