//! What a connection has sent so far, as far as limits care: whether its first request has arrived, and how much of the
//! rest is frames that carry nothing. Knows the shape of HTTP/2 frames and of an HTTP/1 head, and nothing inside them.
//!
//! h2 limits resets and headers, but not these frames. Four connections that flood for 5 s cost a debug build 6.1 s of CPU
//! by PING, 5.0 s by SETTINGS, 5.6 s by PRIORITY, and 13.1 s and 84 MB of log by answers to PINGs that were never sent;
//! counted and ended here 0.3, 0.2, 0.1 and 0.04 s, and no line.

use tokio::time::Instant;

/// The first bytes of HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
/// Types of frames that cost their receiver work and their sender next to nothing, beside those that nobody knows.
const PRIORITY: u8 = 0x2;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
/// Types that make up the head of a request, and the flag that says it is whole.
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;

/// The price of such a frame, in bytes that were sent to the peer: several times as much as the answer to it takes, so
/// that answers to a flood never pay for the flood.
const PRICE: u64 = 64;
/// The price of an answer to a PING. The server seldom asks, and HTTP/2 logs each answer that it did not ask for.
const ANSWER_PRICE: u64 = 100 * PRICE;
const BURST: u64 = 10_000 * PRICE;
const PER_SECOND: u64 = 1_000 * PRICE;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not said which protocol it speaks, or is in the middle of its first HTTP/1 head.
    Silent,
    /// It speaks HTTP/2 and has asked for nothing yet.
    Greeted,
    /// The head of its first request is there.
    Asked,
}

/// Too many frames that carry nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

/// One connection's traffic.
#[derive(Debug)]
pub(super) struct Traffic {
    protocol: Protocol,
    allowance: Allowance,
}

#[derive(Debug)]
enum Protocol {
    /// So many bytes of the preface of HTTP/2 have come, and nothing else.
    Unknown(usize),
    Http1(Head),
    Http2(Frames),
}

impl Traffic {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            protocol: Protocol::Unknown(0),
            allowance: Allowance {
                left: BURST,
                at: now,
            },
        }
    }

    pub(super) const fn stage(&self) -> Stage {
        match &self.protocol {
            Protocol::Unknown(_) => Stage::Silent,
            Protocol::Http1(head) if !head.whole => Stage::Silent,
            Protocol::Http2(frames) if !frames.asked => Stage::Greeted,
            Protocol::Http1(_) | Protocol::Http2(_) => Stage::Asked,
        }
    }

    /// Takes in what was received.
    ///
    /// # Errors
    /// When frames that carry nothing come faster than anybody needs them.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Flood> {
        let rest = match &mut self.protocol {
            Protocol::Unknown(seen) => {
                let expected = &PREFACE[*seen..];
                let same = bytes.iter().zip(expected).take_while(|(a, b)| a == b);
                let same = same.count();
                *seen += same;
                if *seen == PREFACE.len() {
                    self.protocol = Protocol::Http2(Frames::default());
                } else if same < bytes.len() {
                    let mut head = Head::default();
                    head.receive(&PREFACE[..*seen]);
                    self.protocol = Protocol::Http1(head);
                }
                &bytes[same..]
            }
            Protocol::Http1(_) | Protocol::Http2(_) => bytes,
        };
        match &mut self.protocol {
            Protocol::Unknown(_) => Ok(()),
            Protocol::Http1(head) => {
                head.receive(rest);
                Ok(())
            }
            Protocol::Http2(frames) => frames.receive(rest, &mut self.allowance),
        }
    }

    /// Takes in how much was sent: who is told much may ask much, such as how long the way is.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(BURST);
        self.allowance.left = self.allowance.left.saturating_add(bytes).min(BURST);
    }
}

/// The head of the first HTTP/1 request, which ends with an empty line. Later ones are the transport's business.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    line_is_empty: bool,
    whole: bool,
}

impl Head {
    fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.whole => return,
                b'\r' => {}
                b'\n' => {
                    self.whole = self.begun && self.line_is_empty;
                    self.line_is_empty = true;
                }
                _ => (self.begun, self.line_is_empty) = (true, false),
            }
        }
    }
}

/// Where in the frames of HTTP/2 the stream of bytes is.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; FRAME_HEADER],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
    /// Whether this frame completes the head of a request.
    completes: bool,
    asked: bool,
}

impl Frames {
    fn receive(&mut self, mut bytes: &[u8], allowance: &mut Allowance) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
            } else {
                let taken = (FRAME_HEADER - self.have).min(bytes.len());
                self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                self.have += taken;
                bytes = &bytes[taken..];
                if self.have < FRAME_HEADER {
                    return Ok(());
                }
                self.begin(allowance)?;
            }
            if self.left == 0 && self.completes {
                self.asked = true;
            }
        }
        Ok(())
    }

    /// Begins a frame whose header is there.
    fn begin(&mut self, allowance: &mut Allowance) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.header;
        self.have = 0;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.completes = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
        match kind {
            PING if flags & ACK != 0 => allowance.spend(ANSWER_PRICE),
            PRIORITY | SETTINGS | PING => allowance.spend(PRICE),
            _ if kind > CONTINUATION => allowance.spend(PRICE),
            _ => Ok(()),
        }
    }
}

/// What a peer may still spend on frames that carry nothing. It grows with time and with what the peer is sent: a client
/// that measures the delay of a busy stream sends a PING for every few messages.
#[derive(Debug)]
struct Allowance {
    left: u64,
    at: Instant,
}

impl Allowance {
    fn spend(&mut self, price: u64) -> Result<(), Flood> {
        let now = Instant::now();
        let grown = now.duration_since(self.at).as_micros() * u128::from(PER_SECOND);
        let grown = u64::try_from(grown / 1_000_000).unwrap_or(BURST);
        // Time too short for anything to grow is not lost.
        if grown > 0 {
            self.left = self.left.saturating_add(grown).min(BURST);
            self.at = now;
        }
        self.left = self.left.checked_sub(price).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a short payload");
        let [_, a, b, c] = length.to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 0];
        frame.resize(FRAME_HEADER + payload, 0);
        frame
    }

    fn greeted() -> Traffic {
        let mut traffic = Traffic::new(Instant::now());
        traffic.receive(PREFACE).expect("no flood");
        assert_eq!(traffic.stage(), Stage::Greeted);
        traffic
    }

    /// The number of bytes after which each stage is reached, in pieces of so many.
    fn stages(bytes: &[u8], piece: usize) -> Vec<(usize, Stage)> {
        let mut traffic = Traffic::new(Instant::now());
        let mut stages = vec![(0, traffic.stage())];
        let mut seen = 0;
        for piece in bytes.chunks(piece) {
            traffic.receive(piece).expect("no flood");
            seen += piece.len();
            if stages
                .last()
                .is_some_and(|(_, last)| *last != traffic.stage())
            {
                stages.push((seen, traffic.stage()));
            }
        }
        stages
    }

    #[test]
    fn http_2_has_asked_when_its_first_head_is_whole() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 18));
        bytes.extend(frame(0x8, 0, 4));
        bytes.extend(frame(HEADERS, 0, 20));
        bytes.extend(frame(CONTINUATION, END_HEADERS, 7));
        let whole = bytes.len();
        bytes.extend(frame(0x0, 1, 5));
        let expected = [
            (0, Stage::Silent),
            (PREFACE.len(), Stage::Greeted),
            (whole, Stage::Asked),
        ];
        assert_eq!(stages(&bytes, 1), expected);
        assert_eq!(stages(&bytes, bytes.len()).len(), 2, "at one go");
        for piece in 2..40 {
            let reached = stages(&bytes, piece);
            assert_eq!(reached.last().map(|(_, stage)| *stage), Some(Stage::Asked));
        }
    }

    #[test]
    fn http_1_has_asked_after_its_empty_line() {
        // One shares its first bytes with HTTP/2, and one begins with lines that do not count.
        for head in [
            "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            "PRI /x HTTP/1.1\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
        ] {
            let body = [head.as_bytes(), b"body"].concat();
            let expected = [(0, Stage::Silent), (head.len(), Stage::Asked)];
            assert_eq!(stages(&body, 1), expected, "{head:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_noticed_whatever_is_answered() {
        for (kind, payload, answer) in [
            (PING, 8, 17),
            (SETTINGS, 0, 9),
            (PRIORITY, 5, 0),
            (0xEE, 0, 0),
        ] {
            let mut traffic = greeted();
            let frame = frame(kind, 0, payload);
            let taken = (0..100_000).take_while(|_| {
                traffic.sent(answer);
                traffic.receive(&frame).is_ok()
            });
            let taken = taken.count();
            assert!((10_000..15_000).contains(&taken), "{kind}: {taken}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_asked_for_are_noticed_sooner() {
        let mut traffic = greeted();
        let answer = frame(PING, ACK, 8);
        let taken = (0..1_000).take_while(|_| traffic.receive(&answer).is_ok());
        assert_eq!(taken.count(), 100);
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(20)).await;
            assert_eq!(traffic.receive(&answer), Ok(()), "the server asked");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_stream_pays_for_its_pings() {
        let mut traffic = greeted();
        for _ in 0..100_000 {
            traffic.sent(17 + 9 + 60);
            assert_eq!(traffic.receive(&frame(PING, 0, 8)), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_in_a_second_are_no_flood_and_the_burst_comes_back() {
        let mut traffic = greeted();
        let burst = |traffic: &mut Traffic| {
            (0..100_000)
                .take_while(|_| traffic.receive(&frame(PING, 0, 8)).is_ok())
                .count()
        };
        assert_eq!(burst(&mut traffic), 10_000);
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(100)).await;
            for _ in 0..100 {
                assert_eq!(traffic.receive(&frame(PING, 0, 8)), Ok(()));
            }
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(burst(&mut traffic), 10_000, "and no more than that");
    }

    #[test]
    fn frames_that_carry_something_are_free() {
        let mut traffic = greeted();
        for kind in [0x0, HEADERS, 0x3, 0x8, CONTINUATION] {
            let frame = frame(kind, 0, 1);
            for _ in 0..20_000 {
                assert_eq!(traffic.receive(&frame), Ok(()), "{kind}");
            }
        }
    }
}
