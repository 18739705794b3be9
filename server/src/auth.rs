//! Who is let in: tokens are looked up, callers are counted, and open streams end with the rights of their callers.
//!
//! Knows the store and the ledger, nothing of gRPC.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::FutureExt as _;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{config, error::Error, feed::RightsNews, ledger::Ledger, metrics::Metrics, time::Time};
use tidegate_domain::{
    caller::{Caller, Identity},
    command::{Note, Submission},
    connection::Connection,
    credential::Credential,
    refusal::Refusal,
    time::Timestamp,
    token::{Pepper, Token, is_same},
};
use tidegate_store::Store;

mod bucket;
mod cache;
mod dropped;
mod limits;
mod revocation;

use cache::{Cache, CacheHit, Found, Key};
use dropped::DroppedRefusals;
use limits::Limits;
use revocation::RevocationWatches;

pub use revocation::RevocationWatch;

/// Strange tokens that are looked up at the same time.
const TURNS: usize = 16;
/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// What authentication works with.
pub struct AuthDeps {
    /// Where tokens are looked up.
    pub store: Store,
    /// The time that they end by.
    pub time: Time,
    /// Where use and refusals are noted.
    pub ledger: Ledger,
    /// The key of the digests.
    pub pepper: Pepper,
    /// How many calls each credential may make in a minute.
    pub limits: watch::Receiver<config::Limits>,
    /// Where those who are not let in are counted.
    pub metrics: Arc<Metrics>,
}

/// Lets callers in; cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    deps: AuthDeps,
    limits: Limits,
    dropped: Arc<DroppedRefusals>,
    cache: Arc<Cache>,
    turns: Semaphore,
    watches: RevocationWatches,
}

/// A token as it was shown, without its secret.
#[derive(Debug)]
struct PresentedToken {
    key: Key,
    id: String,
    digest: Vec<u8>,
}

/// What is known of a good token.
#[derive(Debug)]
struct VerifiedToken {
    presented: Arc<PresentedToken>,
    identity: Identity,
    /// What the policy of an agent's connection says.
    requests_per_minute: Option<u32>,
    /// When it was found, by the ledger's time and by the machine's.
    checked_at: Timestamp,
    checked: Instant,
    /// When it ends unless something else ends it before.
    ends: Instant,
}

/// Why there is nobody to let in. No caller is told which.
#[derive(Clone, Debug)]
enum AuthFailure {
    /// The id is a token's, the secret is not.
    WrongSecret,
    /// There is no such token, or it is no longer good.
    Unknown,
    /// It could not be found out.
    Failed(Error),
}

/// Somebody who was let in; cheap to clone.
#[derive(Clone)]
pub struct Authenticated {
    authenticator: Authenticator,
    verified: Arc<VerifiedToken>,
    address: Option<IpAddr>,
}

impl Authenticator {
    /// One that nobody has shown a token to yet.
    pub fn new(deps: AuthDeps) -> Self {
        Self(Arc::new(Inner {
            limits: Limits::default(),
            dropped: Arc::default(),
            deps,
            cache: Arc::default(),
            turns: Semaphore::new(TURNS),
            watches: RevocationWatches::default(),
        }))
    }

    /// Lets the owner of a token in. `None` shows nothing at all; a text that is no token is a bad one.
    ///
    /// A good token is believed for a second, so that a revocation on another replica takes so long to arrive. One that
    /// was good before is looked up however many bad ones its address has shown: a neighbour cannot lock anybody out.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] whatever is wrong with it; [`Error::RateLimited`] after too many bad ones, and
    /// [`Error::QueueFull`] when too many are looked up; that the database is away.
    pub async fn admit(
        &self,
        text: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Authenticated, Error> {
        let text = text.ok_or_else(|| self.rejected("missing"))?;
        let key: Key = Sha256::digest(text.as_bytes()).into();
        let verified = match self.0.cache.hit(&key) {
            CacheHit::Fresh(verified) => verified,
            CacheHit::Stale => self.examine(key, text, true, address).await?,
            CacheHit::Miss => self.examine(key, text, false, address).await?,
        };
        Ok(Authenticated {
            authenticator: self.clone(),
            verified,
            address,
        })
    }

    async fn examine(
        &self,
        key: Key,
        text: &str,
        is_familiar: bool,
        address: Option<IpAddr>,
    ) -> Result<Arc<VerifiedToken>, Error> {
        let limits = &self.0.limits;
        let token = Token::parse(text);
        let id = token.as_ref().map(Token::id);
        let mut turn = None;
        if !is_familiar {
            self.may_try(id, address)?;
            if token.is_some() {
                let wait = tokio::time::timeout(PATIENCE, self.0.turns.acquire());
                turn = Some(wait.await.map_err(|_| Error::QueueFull)?);
                // Those before may have used up what was left.
                self.may_try(id, address)?;
            }
        }
        let Some(token) = token else {
            limits.failed(None, address);
            return Err(self.rejected("malformed"));
        };
        let presented = Arc::new(PresentedToken {
            key,
            id: token.id().to_owned(),
            digest: token.digest(&self.0.deps.pepper),
        });
        let found = self.look_again(&presented).await;
        drop(turn);
        found.map_err(|no| match no {
            AuthFailure::WrongSecret => {
                limits.failed(Some(token.id()), address);
                self.rejected("wrong_secret")
            }
            AuthFailure::Unknown => {
                limits.failed(None, address);
                self.rejected("unknown")
            }
            AuthFailure::Failed(error) => error,
        })
    }

    /// Whether somebody at `address` may try a token that was not good before.
    fn may_try(&self, token_id: Option<&str>, address: Option<IpAddr>) -> Result<(), Error> {
        let may = self.0.limits.may_try(token_id, address);
        may.inspect_err(|_| self.0.deps.metrics.tokens_rejected.inc("too_many"))
    }

    /// What somebody is told whose token is no good; why is counted, and nobody's to know.
    fn rejected(&self, cause: &str) -> Error {
        self.0.deps.metrics.tokens_rejected.inc(cause);
        unauthenticated()
    }

    /// What is known of a token, and no older than a moment.
    async fn look_again(&self, presented: &Arc<PresentedToken>) -> Found {
        if let CacheHit::Fresh(verified) = self.0.cache.hit(&presented.key) {
            return Ok(verified);
        }
        let begin = || {
            let (authenticator, presented) = (self.clone(), Arc::clone(presented));
            async move { authenticator.look_up(presented).await }.boxed()
        };
        self.0.cache.check(presented.key, begin).await
    }

    async fn look_up(&self, presented: Arc<PresentedToken>) -> Found {
        let AuthDeps { store, time, .. } = &self.0.deps;
        let checked = Instant::now();
        let read = async {
            let found = store.credential_of_token(&presented.id).await?;
            // After the row: whatever has ended by now is over.
            Ok((found, time.now().await?))
        };
        let read = store.within_limit(read).await;
        let (found, now) = read.map_err(|error| AuthFailure::Failed(error.into()))?;
        judge(presented, found.as_ref(), now, checked)
    }

    /// As [`look_up`](Self::look_up) for many, in their order.
    async fn look_up_all(&self, presented: &[Arc<PresentedToken>]) -> Vec<Found> {
        let AuthDeps { store, time, .. } = &self.0.deps;
        let checked = Instant::now();
        let ids: Vec<&str> = presented
            .iter()
            .map(|presented| presented.id.as_str())
            .collect();
        let read = async {
            let found = store.credentials_of_tokens(&ids).await?;
            Ok((found, time.now().await?))
        };
        match store.within_limit(read).await {
            Ok((found, now)) => {
                let judge = |presented: &Arc<PresentedToken>| {
                    judge(
                        Arc::clone(presented),
                        found.get(&presented.id),
                        now,
                        checked,
                    )
                };
                presented.iter().map(judge).collect()
            }
            Err(error) => {
                let error = Error::from(error);
                let failed = |_| Err(AuthFailure::Failed(error.clone()));
                presented.iter().map(failed).collect()
            }
        }
    }

    /// Ends the streams of those whose rights have ended, until `stop` is cancelled.
    pub async fn follow(self, news: RightsNews, stop: CancellationToken) {
        let looking = revocation::keep_looking(&self, news);
        _ = stop.run_until_cancelled(looking).await;
    }

    /// Whether somebody at `address` may try one more session code.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when they have tried too many.
    pub fn guess(&self, address: Option<IpAddr>) -> Result<(), Error> {
        self.0.limits.guess(address)
    }

    /// Looks every token up again: a change through this server may have ended some.
    pub fn forget(&self) {
        self.0.cache.forget();
    }
}

impl Authenticated {
    /// Who it is, and from where.
    pub fn caller(&self) -> Caller {
        Caller::known(self.verified.identity.clone(), self.address)
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.verified.identity
    }

    /// Counts one call.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when there were too many by this credential, or by this connection.
    pub fn count(&self) -> Result<(), Error> {
        let (inner, verified) = (&self.authenticator.0, &self.verified);
        let own = inner.deps.limits.borrow().requests_per_minute;
        let of_connection = verified.requests_per_minute;
        inner.limits.call(&verified.identity, own, of_connection)
    }

    /// Notes once a minute that the credential is used. Waits for nothing.
    pub fn note_use(&self) {
        let uuid = self.verified.identity.credential_uuid;
        if self.authenticator.0.limits.notes_use(uuid) {
            let at = self
                .verified
                .checked_at
                .after(self.verified.checked.elapsed());
            let used = self.submission(Note::Use { uuid, at });
            if !self.authenticator.0.deps.ledger.note(used) {
                tracing::debug!("a note was lost: the ledger is busy or ends");
            }
        }
    }

    /// Notes in the log that the caller was refused a change. Waits for nothing, and is lost when the server dies. What is
    /// too much for the log is counted, and told with what comes next.
    pub fn note_refusal(&self, refusal: Note) {
        let (inner, uuid) = (
            &self.authenticator.0,
            self.verified.identity.credential_uuid,
        );
        let fits = inner.limits.notes_refusal(uuid);
        let mut note = self.submission(refusal);
        if let Note::Refusal { target, .. } = &mut note.command {
            target.connection_uuid = target.connection_uuid.or(note.caller.own_connection());
        }
        let ledger = inner.deps.ledger.clone();
        let told = fits
            && inner
                .dropped
                .tell(uuid, note.clone(), |note| ledger.note(note));
        if !told {
            inner.deps.metrics.refusals_dropped.inc();
            inner
                .dropped
                .keep(uuid, note, move |note| ledger.note(note));
        }
    }

    fn submission(&self, note: Note) -> Submission<Note> {
        Submission {
            command: note,
            caller: self.caller(),
            request: None,
        }
    }

    /// Watches over the caller's rights for as long as a stream is open.
    pub fn watch(&self) -> Arc<RevocationWatch> {
        self.authenticator
            .0
            .watches
            .keep(&self.authenticator, &self.verified)
    }

    /// Looks every token up again, after this caller has made a change that may have ended some.
    pub fn forget(&self) {
        self.authenticator.forget();
    }
}

/// What a token is worth at `now`, as `found` has it.
fn judge(
    presented: Arc<PresentedToken>,
    found: Option<&(Credential, Option<Connection>)>,
    now: Timestamp,
    checked: Instant,
) -> Found {
    let record = found.and_then(|(credential, _)| {
        let mut tokens = credential.tokens.iter();
        tokens.find(|token| token.id == presented.id)
    });
    // An unknown id takes as long as a known one.
    let kept = record.map_or(&[0; 32][..], |record| &record.digest);
    let is_same = is_same(kept, &presented.digest);
    let is_known = record.is_some();
    let (credential, connection) = found.filter(|_| is_known).ok_or(AuthFailure::Unknown)?;
    if !is_same {
        return Err(AuthFailure::WrongSecret);
    }
    let status = connection.as_ref().map(|connection| connection.status);
    let end = credential.good_until(&presented.id, status, now);
    let left = end.ok_or(AuthFailure::Unknown)?.as_micros() - now.as_micros();
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
    Ok(Arc::new(VerifiedToken {
        identity: credential.identity(),
        requests_per_minute: connection
            .as_ref()
            .and_then(|connection| connection.policy().rate_limit_requests_per_minute),
        checked_at: now,
        checked,
        ends: checked + left,
        presented,
    }))
}

/// What everybody is told who is not let in.
pub fn unauthenticated() -> Error {
    Refusal::Unauthenticated.into()
}
