//! What settings may be, and what is said of those that may not.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

use crate::telemetry;
use tidegate_domain::{event::RETENTION_MIN, stop::GRACE, validate::HEARTBEAT_TIMEOUT};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Larger numbers are mistakes: a process cannot have so many of anything.
const MOST: u32 = 1_000_000;

/// An address to listen on; a name is resolved, and the first of its addresses taken, of IPv4 if there is one.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let is_name = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains([':', ' ']) && port.parse::<u16>().is_ok()
    });
    if !is_name {
        return Err(
            "must be an IP address or a host name and a port, such as 127.0.0.1:9464".to_owned(),
        );
    }
    let found = text.to_socket_addrs();
    let found = found.map_err(|error| format!("the name cannot be resolved: {error}"))?;
    found
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(|| "the name has no address".to_owned())
}

/// An address that somebody listens on.
pub(super) fn peer(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    if address.port() == 0 {
        return Err("must have the port that the server listens on, not 0".to_owned());
    }
    Ok(address)
}

/// A number of things that there must be some of.
pub(super) fn some(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(0) => Err("must be at least 1: with 0 nobody is served".to_owned()),
        Ok(number) if number <= MOST => Ok(number as usize),
        _ => Err(format!("must be a number from 1 to {MOST}")),
    }
}

pub(super) fn rate(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number <= MOST);
    number.ok_or_else(|| format!("must be a number from 0, which is any number, to {MOST}"))
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    within(
        text,
        Duration::from_millis(10)..=DAY,
        "must be from 10ms to 1d",
    )
}

pub(super) fn age(text: &str) -> Result<Duration, String> {
    within(text, SECOND..=30 * DAY, "must be from 1s to 30d")
}

pub(super) fn answer_timeout(text: &str) -> Result<Duration, String> {
    within(text, SECOND..=HOUR, "must be from 1s to 1h")
}

pub(super) fn heartbeat(text: &str) -> Result<Duration, String> {
    const RANGE: &str = "must be from 1s to 1d, or 0 for no heartbeat";
    let (least, most) = HEARTBEAT_TIMEOUT;
    match text == "0" || duration(text, RANGE)?.is_zero() {
        true => Ok(Duration::ZERO),
        false => within(text, least..=most, RANGE),
    }
}

pub(super) fn stop_grace(text: &str) -> Result<Duration, String> {
    const RANGE: &str = "must be at most 1d, or 0 for none";
    match text {
        "0" => Ok(Duration::ZERO),
        text => within(text, GRACE.0..=GRACE.1, RANGE),
    }
}

pub(super) fn retention(text: &str) -> Result<Duration, String> {
    const RANGE: &str =
        "must be from 24h, since events remember the ids of requests for a day, to 100y";
    within(text, RETENTION_MIN..=36_525 * DAY, RANGE)
}

pub(super) fn drain_delay(text: &str) -> Result<Duration, String> {
    const RANGE: &str = "must be at most 2s, since the whole drain has 10s";
    within(text, Duration::ZERO..=2 * SECOND, RANGE)
}

/// A filter of log lines, as it was written.
pub(super) fn filter(text: &str) -> Result<String, String> {
    telemetry::filter(text)?;
    Ok(text.to_owned())
}

fn duration(text: &str, range: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text);
    parsed.map_err(|error| format!("{range}, such as 30s or 1h: {error}"))
}

fn within(
    text: &str,
    range: std::ops::RangeInclusive<Duration>,
    words: &str,
) -> Result<Duration, String> {
    let duration = duration(text, words)?;
    match range.contains(&duration) {
        true => Ok(duration),
        false => Err(words.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_resolved_and_ipv4_goes_first() {
        let found = address("localhost:50051").expect("every machine has it");
        assert_eq!(found.to_string(), "127.0.0.1:50051");
        assert_eq!(address("[::1]:0").map(|it| it.port()), Ok(0));
        for (text, word) in [
            ("no-such-host.invalid:1", "cannot be resolved"),
            ("localhost", "and a port"),
            ("localhost:70000", "and a port"),
            (":1", "and a port"),
            ("::1:1x", "and a port"),
            ("a b:1", "and a port"),
            ("", "and a port"),
        ] {
            let refused = address(text).expect_err(text);
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }

    #[test]
    fn nothing_is_refused_where_it_means_nothing() {
        assert!(some("0").is_err() && some("1").is_ok() && some("1000001").is_err());
        assert!(rate("0").is_ok() && rate("-1").is_err() && rate("1000001").is_err());
        assert!(peer("127.0.0.1:0").is_err() && peer("127.0.0.1:1").is_ok());
        assert!(interval("0s").is_err() && age("0s").is_err() && answer_timeout("0s").is_err());
        assert_eq!(heartbeat("0"), Ok(Duration::ZERO));
        assert_eq!(heartbeat("0s"), Ok(Duration::ZERO));
        assert_eq!(stop_grace("0"), Ok(Duration::ZERO));
        assert_eq!(stop_grace("0s"), Ok(Duration::ZERO));
        assert_eq!(drain_delay("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn times_have_bounds_that_are_told() {
        type Parser = fn(&str) -> Result<Duration, String>;
        let parsers: [(Parser, &str, &str, &str); 7] = [
            (interval, "10ms", "9ms", "10ms"),
            (age, "30d", "31d", "30d"),
            (answer_timeout, "1h", "61m", "1h"),
            (heartbeat, "1d", "25h", "1d"),
            (stop_grace, "1d", "25h", "1d"),
            (retention, "24h", "23h 59m", "24h"),
            (drain_delay, "2s", "3s", "2s"),
        ];
        for (parse, good, bad, bound) in parsers {
            assert!(parse(good).is_ok(), "{good}");
            let refused = parse(bad).expect_err(bad);
            assert!(refused.contains(bound), "{bad}: {refused}");
            let refused = parse("soon").expect_err("no time");
            assert!(refused.contains("such as 30s"), "{refused}");
            assert!(parse("999999999999y").is_err());
        }
    }
}
