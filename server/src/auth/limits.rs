//! How much callers may do, and how often they may be wrong.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tokio::time::Instant;

use super::bucket::{Buckets, Quota};
use crate::error::Error;
use tidegate_domain::{
    caller::Identity,
    id::{ConnectionId, CredentialId},
};

/// Bad tokens from one address: 40 at once, then 20 a minute.
const FAILURES: Quota = Quota::new(40, Duration::from_secs(3));
/// Wrong secrets for one token id from one address: 5 in a quarter of an hour.
const SECRETS: Quota = Quota::new(5, Duration::from_secs(15 * 60 / 5));
/// Session codes from one address: 10 a minute.
const CODES: Quota = Quota::new(10, Duration::from_secs(6));
/// Refusals of one credential that are worth a place in the log: 60 a minute.
const REFUSALS: Quota = Quota::new(60, Duration::from_secs(1));
/// How often the use of one credential is noted: once a minute.
const USES: Quota = Quota::new(1, Duration::from_secs(60));

/// What was done so far, by whom. What it holds is bounded.
#[derive(Default)]
pub(super) struct Limits {
    failures: Buckets<IpAddr>,
    secrets: Buckets<(String, IpAddr)>,
    codes: Buckets<IpAddr>,
    calls: Buckets<CredentialId>,
    connections: Buckets<ConnectionId>,
    refusals: Buckets<CredentialId>,
    uses: Buckets<CredentialId>,
}

impl Limits {
    /// Whether somebody at `address` may try a token; `token_id` if what they show is one.
    pub(super) fn may_try(
        &self,
        token_id: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<(), Error> {
        let (address, now) = (network(address), Instant::now());
        let asked = self.failures.ask(&address, FAILURES, now);
        let asked = asked.and_then(|()| {
            token_id.map_or(Ok(()), |id| {
                self.secrets.ask(&(id.to_owned(), address), SECRETS, now)
            })
        });
        asked.map_err(limited)
    }

    /// Somebody at `address` has shown a bad token; `token_id` where its secret was wrong.
    pub(super) fn failed(&self, token_id: Option<&str>, address: Option<IpAddr>) {
        let (address, now) = (network(address), Instant::now());
        // What no longer fits was counted enough.
        _ = self.failures.take(address, FAILURES, now);
        if let Some(id) = token_id {
            _ = self.secrets.take((id.to_owned(), address), SECRETS, now);
        }
    }

    /// Whether somebody at `address` may try one more session code.
    pub(super) fn guess(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let taken = self.codes.take(network(address), CODES, Instant::now());
        taken.map_err(limited)
    }

    /// Whether `identity` may make one more call, of so many a minute; 0 is any number. `of_connection` is what the policy
    /// of its connection says.
    pub(super) fn call(
        &self,
        identity: &Identity,
        own: u32,
        of_connection: Option<u32>,
    ) -> Result<(), Error> {
        let now = Instant::now();
        if let (Some(connection), Some(count)) = (identity.connection_uuid, of_connection) {
            let quota = Quota::per_minute(count);
            let taken = self.connections.take(connection, quota, now);
            taken.map_err(limited)?;
        }
        if own == 0 {
            return Ok(());
        }
        let quota = Quota::per_minute(own);
        let taken = self.calls.take(identity.credential_uuid, quota, now);
        taken.map_err(limited)
    }

    /// Whether one more refusal of the credential is worth a place in the log.
    pub(super) fn notes_refusal(&self, credential: CredentialId) -> bool {
        let taken = self.refusals.take(credential, REFUSALS, Instant::now());
        taken.is_ok()
    }

    /// Whether it is time to note again that the credential is used.
    pub(super) fn notes_use(&self, credential: CredentialId) -> bool {
        self.uses.take(credential, USES, Instant::now()).is_ok()
    }
}

const fn limited(retry_after: Duration) -> Error {
    Error::RateLimited(retry_after)
}

/// Whose address it is: a site has as many of IPv6 as it likes.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address {
        Some(IpAddr::V6(address)) => {
            let site = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(site))
        }
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_domain::fixtures::id;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[tokio::test(start_paused = true)]
    async fn forty_bad_tokens_and_then_one_every_three_seconds() {
        let limits = Limits::default();
        let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..40 {
            limits.may_try(None, bad).expect("not yet");
            limits.failed(None, bad);
        }
        let refused = limits.may_try(None, bad).expect_err("enough");
        assert_eq!(refused.reason(), "RATE_LIMITED");
        limits.may_try(None, good).expect("somebody else");
        tokio::time::advance(Duration::from_secs(3)).await;
        limits.may_try(None, bad).expect("one more");
        limits.failed(None, bad);
        limits.may_try(None, bad).expect_err("and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn five_wrong_secrets_lock_the_id_for_that_address_alone() {
        let limits = Limits::default();
        let (bad, own) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..5 {
            limits.may_try(Some("a"), bad).expect("not yet");
            limits.failed(Some("a"), bad);
        }
        limits.may_try(Some("a"), bad).expect_err("enough");
        limits.may_try(Some("a"), own).expect("its owner");
        limits.may_try(Some("b"), bad).expect("another token");
        tokio::time::advance(Duration::from_secs(180)).await;
        limits.may_try(Some("a"), bad).expect("one more");
    }

    #[tokio::test(start_paused = true)]
    async fn codes_are_guessed_ten_times_a_minute() {
        let limits = Limits::default();
        for _ in 0..10 {
            limits.guess(address("2001:db8::1")).expect("not yet");
        }
        limits
            .guess(address("2001:db8::2"))
            .expect_err("the same site");
        limits.guess(address("2001:db8:0:1::1")).expect("another");
        limits.guess(None).expect("no address is one too");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_limited_by_credential_and_by_connection() {
        let limits = Limits::default();
        let agent = |credential, connection| Identity {
            credential_uuid: id(credential),
            role: tidegate_domain::caller::Role::Agent,
            connection_uuid: Some(id(connection)),
            acts_for_others: false,
            session_code: String::new(),
        };
        for _ in 0..3 {
            limits.call(&agent(1, 10), 3, None).expect("not yet");
        }
        limits.call(&agent(1, 10), 3, None).expect_err("enough");
        limits.call(&agent(2, 10), 3, Some(1)).expect("not yet");
        limits
            .call(&agent(3, 10), 3, Some(1))
            .expect_err("the connection's");
        limits
            .call(&agent(3, 11), 3, Some(1))
            .expect("another connection");
        for _ in 0..60 {
            assert!(limits.notes_refusal(id(1)));
        }
        assert!(!limits.notes_refusal(id(1)));
        assert!(limits.notes_use(id(1)));
        assert!(!limits.notes_use(id(1)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(limits.notes_use(id(1)));
    }
}
