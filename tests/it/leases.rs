//! One owner for each run: who may speak for it, how it is handed on, and that nobody loses it who could not report.

mod deaths;
mod outages;
mod ownership;
mod races;

use std::time::Duration;

use tidegate_client::{AttemptEnd, Client, Direction, Transfer};
use tidegate_tests::soon;

/// A new transfer that may be started so often.
async fn declared(client: &Client, max_attempts: u32) -> Transfer {
    let create = client.transfers().create(Direction::Send, "characters");
    let created = create.max_attempts(max_attempts).await;
    created.expect("it is declared")
}

/// Waits until the transfer stands as `is_so` says.
async fn until(
    client: &Client,
    transfer: &Transfer,
    is_so: impl Fn(&Transfer) -> bool,
) -> Transfer {
    soon("the change of the transfer", async {
        loop {
            if let Ok(now) = client.transfers().get(transfer.uuid).await
                && is_so(&now)
            {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// The attempts at a transfer, which follow each other without an overlap and without a gap in their numbers.
async fn story(client: &Client, transfer: &Transfer) -> Vec<AttemptEnd> {
    let attempts = client
        .transfers()
        .list_attempts(transfer.uuid)
        .await
        .expect("a list");
    for (number, attempt) in (1..).zip(&attempts) {
        assert_eq!(attempt.lease_epoch, number, "{attempts:?}");
    }
    for pair in attempts.windows(2) {
        let ended = pair[0].ended_at.expect("another one followed");
        assert!(ended <= pair[1].started_at, "two at a time: {attempts:?}");
    }
    attempts.into_iter().map(|attempt| attempt.end).collect()
}
