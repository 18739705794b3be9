//! Places in the log: its end, the last so many events, and where a time is.

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use tidegate_client::{Client, Error, Event, Reason};

use super::About;

/// So many more events are read when those before were not enough.
const GROWTH: i64 = 8;

/// The sequence of the newest event; 0 when there is none. Whoever asks for what is beyond it is told.
pub(super) async fn newest(client: &Client) -> Result<i64, Error> {
    match client.events().list().after(i64::MAX).page_size(1).await {
        Ok(_) => Ok(i64::MAX),
        Err(error) if error.reason() == Some(Reason::CursorAhead) => {
            let newest = error.metadata().get("newest_sequence");
            newest.and_then(|newest| newest.parse().ok()).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// The last `count` events about something, oldest first. What is looked through grows until there are enough.
pub(super) async fn last(client: &Client, about: &About, count: u32) -> Result<Vec<Event>, Error> {
    let newest = newest(client).await?;
    let mut span = i64::from(count);
    loop {
        let after = newest.saturating_sub(span).max(0);
        let request = about.list(client).page_size(1_000);
        let read: Result<Vec<Event>, Error> = request.after(after).items().try_collect().await;
        let mut events = match read {
            // From the oldest that is kept.
            Err(error) if error.reason() == Some(Reason::CursorExpired) && after > 0 => {
                span = newest;
                continue;
            }
            read => read?,
        };
        let enough = usize::try_from(count).unwrap_or(usize::MAX);
        if events.len() >= enough || after == 0 {
            return Ok(events.split_off(events.len().saturating_sub(enough)));
        }
        span = span.saturating_mul(GROWTH);
    }
}

/// The place after which the events are of a time or later.
pub(super) async fn before(client: &Client, time: DateTime<Utc>) -> Result<i64, Error> {
    let at = async |after: i64| {
        let events = client.events().list().after(after).page_size(1).await?;
        Ok::<_, Error>(events.into_iter().next())
    };
    let Some(oldest) = at(0).await? else {
        return Ok(0);
    };
    // Everything up to `early` is before the time, and everything after `late` is not.
    let (mut early, mut late) = (oldest.sequence - 1, newest(client).await?);
    while early < late {
        let middle = early + (late - early) / 2;
        match at(middle).await? {
            Some(event) if event.occurred_at < time => early = event.sequence,
            _ => late = middle,
        }
    }
    // From the beginning there is no position that could have been deleted meanwhile.
    Ok(if early < oldest.sequence { 0 } else { early })
}
