//! When a call is tried again, and how long to wait before: full jitter under a ceiling that doubles.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::{Error, Reason};

/// A server that asks for a longer pause gets no second try: the caller decides.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often and how soon a call is tried again when the server is unavailable.
///
/// Tried again are calls that end in `UNAVAILABLE`, which includes a connection that is refused or breaks, and in
/// `RESOURCE_EXHAUSTED` (`QUEUE_FULL`, `VERIFICATION_BUSY`, `RATE_LIMITED`) when the server says how long to wait. Nothing else is. A change
/// carries the same request id in every try, so it is made once.
///
/// The wait before try *n* + 1 is drawn evenly from zero to `base` · 2ⁿ⁻¹, at most `cap`, and is never shorter than what
/// the server asks for; when it asks for more than a minute, the error is handed out instead.
///
/// Watches and progress reporters take `base` and `cap` from here, but reconnect for as long as they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; 0 counts as 1. Default: 6.
    pub max_tries: u32,
    /// Ceiling of the first wait. Default: 100 ms.
    pub base: Duration,
    /// Ceiling of every wait. Default: 5 s.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 6,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// One try and no more.
    #[must_use]
    pub fn none() -> Self {
        Self {
            max_tries: 1,
            ..Self::default()
        }
    }

    /// The waits between the tries of one call.
    pub(crate) fn waits(&self) -> Waits {
        let retries = usize::try_from(self.max_tries.saturating_sub(1)).unwrap_or(usize::MAX);
        Waits(self.ceilings().with_max_times(retries).build())
    }

    /// The waits of what goes on for ever.
    pub(crate) fn endless(&self) -> Endless {
        Endless {
            policy: *self,
            waits: Waits(self.ceilings().without_max_times().build()),
        }
    }

    fn ceilings(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.base.min(self.cap))
            .with_max_delay(self.cap)
    }
}

/// Full jitter: each wait is drawn evenly from zero to its ceiling.
#[derive(Debug)]
pub(crate) struct Waits(ExponentialBackoff);

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let ceiling = self.0.next()?;
        Some(ceiling.mul_f64(fastrand::f64()))
    }
}

/// Waits between reconnections; starts over once a connection has proven good.
#[derive(Debug)]
pub(crate) struct Endless {
    policy: RetryPolicy,
    waits: Waits,
}

impl Endless {
    pub(crate) fn start_over(&mut self) {
        self.waits = self.policy.endless().waits;
    }

    pub(crate) async fn wait(&mut self, error: Option<&Error>) {
        let asked = error.and_then(Error::retry_after).unwrap_or_default();
        let drawn = self.waits.next().unwrap_or(self.policy.cap);
        tokio::time::sleep(drawn.max(asked.min(LONGEST_PAUSE))).await;
    }
}

/// Whether a call that failed so may be tried again.
pub(crate) fn is_worth_a_retry(error: &Error) -> bool {
    error.is_unavailable()
        || error.is_broken()
        || (matches!(
            error.reason(),
            Some(
                Reason::QueueFull
                    | Reason::VerificationBusy
                    | Reason::RateLimited
                    | Reason::AnswersUnread
            )
        ) && error.retry_after().is_some())
}

/// The wait before the next try: what was drawn, but no less than the server asks for.
pub(crate) fn adjusted(error: &Error, drawn: Option<Duration>) -> Option<Duration> {
    let asked = error.retry_after().unwrap_or_default();
    drawn
        .filter(|_| asked <= LONGEST_PAUSE)
        .map(|drawn| drawn.max(asked))
}

/// Whether a stream that ended so is to be opened again. Beyond what a call is retried for: a server that sheds load,
/// one that did not answer in time, and a token that could not be had, for nobody else could try the stream again.
pub(crate) fn is_worth_reconnecting(error: &Error) -> bool {
    is_worth_a_retry(error)
        || error.is_timeout()
        || error.is_exhausted()
        || error.is_without_token()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_stay_below_a_ceiling_that_doubles() {
        let policy = RetryPolicy {
            max_tries: 8,
            base: 100 * MS,
            cap: 1_000 * MS,
        };
        let ceilings = [100, 200, 400, 800, 1_000, 1_000, 1_000].map(|ms| ms * MS);
        let mut longest = [Duration::ZERO; 7];
        for _ in 0..200 {
            let waits: Vec<_> = policy.waits().collect();
            assert_eq!(waits.len(), 7, "one less than tries");
            for (index, wait) in waits.into_iter().enumerate() {
                assert!(wait <= ceilings[index], "{index}: {wait:?}");
                longest[index] = longest[index].max(wait);
            }
        }
        // Full jitter reaches into every part of the range; missing a half 200 times is next to impossible.
        for (longest, ceiling) in longest.into_iter().zip(ceilings) {
            assert!(longest > ceiling / 2, "{longest:?} of {ceiling:?}");
        }
    }

    #[test]
    fn one_try_has_no_waits() {
        assert_eq!(RetryPolicy::none().waits().count(), 0);
        let zero = RetryPolicy {
            max_tries: 0,
            ..RetryPolicy::default()
        };
        assert_eq!(zero.waits().count(), 0);
    }

    #[test]
    fn a_base_above_the_cap_is_capped() {
        let policy = RetryPolicy {
            max_tries: 3,
            base: 900 * MS,
            cap: 10 * MS,
        };
        assert!(policy.waits().all(|wait| wait <= 10 * MS));
    }

    #[test]
    fn the_server_sets_the_least_pause_and_a_long_one_ends_the_tries() {
        let asking = |asked| Error::local(Code::Unavailable, "busy").asking_for(asked);
        let drawn = Some(200 * MS);
        assert_eq!(adjusted(&asking(50 * MS), drawn), drawn);
        assert_eq!(adjusted(&asking(900 * MS), drawn), Some(900 * MS));
        assert_eq!(adjusted(&asking(Duration::from_secs(61)), drawn), None);
        assert_eq!(
            adjusted(&asking(50 * MS), None),
            None,
            "the tries are used up"
        );
    }

    #[test]
    fn what_is_tried_again() {
        let error = |code| Error::local(code, "");
        assert!(is_worth_a_retry(&error(Code::Unavailable)));
        for code in [
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Internal,
            Code::NotFound,
            Code::Cancelled,
        ] {
            assert!(!is_worth_a_retry(&error(code)), "{code:?}");
        }
        assert!(is_worth_reconnecting(&error(Code::ResourceExhausted)));
        assert!(is_worth_reconnecting(&error(Code::DeadlineExceeded)));
        assert!(!is_worth_reconnecting(&error(Code::NotFound)));
    }
}
