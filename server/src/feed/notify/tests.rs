//! Connections that go deaf, under a clock that stands still while anybody has something to do.

use std::{
    cell::Cell,
    future::{pending, ready},
};

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A connection on which nothing arrives, though it stands.
fn deaf() -> Listener {
    Listener::of(stream::pending())
}

/// A connection that hears what is sent.
fn hearing() -> (mpsc::UnboundedSender<()>, Listener) {
    let (sender, notifications) = mpsc::unbounded_channel();
    let notifications = UnboundedReceiverStream::new(notifications).map(Ok);
    (sender, Listener::of(notifications))
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_hear_its_own_probes_is_given_up_after_half_a_minute() {
    let (began, probes) = (Instant::now(), Cell::new(0));
    let probe = || {
        probes.set(probes.get() + 1);
        ready(Ok(()))
    };
    let end = hear(deaf(), probe, &Notify::new()).await;
    assert!(matches!(end, Deaf::Silent), "{end:?}");
    assert_eq!((began.elapsed(), probes.get()), (30 * SECOND, 3));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_takes_no_probe_delays_that_by_no_more_than_one() {
    let began = Instant::now();
    let end = hear(deaf(), pending, &Notify::new()).await;
    assert!(matches!(end, Deaf::Silent), "{end:?}");
    assert!(began.elapsed() < DEAF + PROBE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_hears_its_own_probes_is_kept_for_ever() {
    let (sender, listener) = hearing();
    let probe = || {
        _ = sender.send(());
        ready(Ok(()))
    };
    let heard = Notify::new();
    let day = timeout(24 * 3_600 * SECOND, hear(listener, probe, &heard)).await;
    day.expect_err("it is never given up");
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_the_last_hint() {
    let (sender, listener) = hearing();
    let (heard, began) = (Notify::new(), Instant::now());
    let notification = async {
        sleep(25 * SECOND).await;
        _ = sender.send(());
        // Until the end, or the connection would be lost.
        pending::<()>().await;
    };
    let end = tokio::select! {
        end = hear(listener, || ready(Ok(())), &heard) => end,
        () = notification => unreachable!("it waits for ever"),
    };
    assert!(matches!(end, Deaf::Silent), "{end:?}");
    // The first probe after 25 s and half a minute.
    assert_eq!(began.elapsed(), 60 * SECOND);
    heard.notified().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_deaf_connection_another_one_is_made_and_the_log_is_read() {
    let (connections, probes) = (Cell::new(0), Cell::new(0));
    let (sender, listener) = hearing();
    let second = Cell::new(Some(listener));
    let connect = || {
        connections.set(connections.get() + 1);
        ready(Ok(match connections.get() {
            1 => Some(deaf()),
            2 => second.take(),
            _ => None,
        }))
    };
    let probe = || {
        probes.set(probes.get() + 1);
        if connections.get() == 2 {
            _ = sender.send(());
        }
        ready(Ok(()))
    };
    let heard = Notify::new();
    let began = Instant::now();
    let followed = async {
        // What was missed before the first connection, then what was missed while it was deaf.
        heard.notified().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        heard.notified().await;
        assert_eq!(connections.get(), 2);
        assert!(began.elapsed() >= DEAF && began.elapsed() < DEAF + SECOND);
        sleep(3_600 * SECOND).await;
    };
    tokio::select! {
        () = keep_listening(connect, probe, &heard) => panic!("the second connection hears"),
        () = followed => {}
    }
    assert_eq!(connections.get(), 2);
    assert!(probes.get() > 300, "{}", probes.get());
}
