//! Who is let in: tokens are looked up, callers are counted, and open streams end with the rights of their callers.
//!
//! Knows the store and the ledger, nothing of gRPC.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::FutureExt as _;
use sha2::{Digest as _, Sha256};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        access::AccessRefusal,
        caller::{Caller, Identity},
        command::{Command, Order},
        connection::Connection,
        credential::Credential,
        refusal::Refusal,
        time::Timestamp,
        token::{Pepper, Token, is_same},
    },
    error::Error,
    feed::RightsNews,
    ledger::{Ledger, time::Time},
    store::Store,
};

mod bucket;
mod cache;
mod limits;
mod vigil;

use cache::{Cache, Found, Key, Standing};
use limits::Limits;
use vigil::Vigils;

pub use vigil::Vigil;

/// Strange tokens that are looked up at the same time.
const TURNS: usize = 16;
/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the gate works with.
pub struct Means {
    /// Where tokens are looked up.
    pub store: Store,
    /// The time that they end by.
    pub time: Time,
    /// Where use and refusals are noted.
    pub ledger: Ledger,
    /// The key of the digests.
    pub pepper: Pepper,
    /// Calls that each credential may make in a minute; 0 is any number.
    pub requests_per_minute: u32,
}

/// Lets callers in; cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    means: Means,
    limits: Limits,
    cache: Arc<Cache>,
    turns: Semaphore,
    vigils: Vigils,
}

/// A token as it was shown, without its secret.
#[derive(Debug)]
struct Shown {
    key: Key,
    id: String,
    digest: Vec<u8>,
}

/// What is known of a good token.
#[derive(Debug)]
struct Known {
    shown: Arc<Shown>,
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
enum No {
    /// The id is a token's, the secret is not.
    WrongSecret,
    /// There is no such token, or it is no longer good.
    Unknown,
    /// It could not be found out.
    Failed(Error),
}

/// Somebody who was let in; cheap to clone.
#[derive(Clone)]
pub struct Admission {
    gate: Gate,
    known: Arc<Known>,
    address: Option<IpAddr>,
}

impl Gate {
    /// A gate with nobody at it.
    pub fn new(means: Means) -> Self {
        Self(Arc::new(Inner {
            limits: Limits::new(means.requests_per_minute),
            means,
            cache: Arc::default(),
            turns: Semaphore::new(TURNS),
            vigils: Vigils::default(),
        }))
    }

    /// Lets the owner of a token in. `None` shows nothing at all; a text that is no token is a bad one.
    ///
    /// A good token is believed for a second, so that a revocation on another replica takes so long to arrive. One that
    /// was good before is looked up however many bad ones its address has shown: a neighbour cannot lock anybody out.
    ///
    /// # Errors
    /// [`AccessRefusal::Unauthenticated`] whatever is wrong with it; [`Error::RateLimited`] after too many bad ones, and
    /// [`Error::QueueFull`] when too many are looked up; that the database is away.
    pub async fn admit(
        &self,
        text: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Admission, Error> {
        let text = text.ok_or_else(unauthenticated)?;
        let key: Key = Sha256::digest(text.as_bytes()).into();
        let known = match self.0.cache.standing(&key) {
            Standing::Good(known) => known,
            Standing::Familiar => self.examine(key, text, true, address).await?,
            Standing::Strange => self.examine(key, text, false, address).await?,
        };
        Ok(Admission {
            gate: self.clone(),
            known,
            address,
        })
    }

    async fn examine(
        &self,
        key: Key,
        text: &str,
        is_familiar: bool,
        address: Option<IpAddr>,
    ) -> Result<Arc<Known>, Error> {
        let limits = &self.0.limits;
        let token = Token::parse(text);
        let id = token.as_ref().map(Token::id);
        let mut turn = None;
        if !is_familiar {
            limits.may_try(id, address)?;
            if token.is_some() {
                let wait = tokio::time::timeout(PATIENCE, self.0.turns.acquire());
                turn = Some(wait.await.map_err(|_| Error::QueueFull)?);
                // Those before may have used up what was left.
                limits.may_try(id, address)?;
            }
        }
        let Some(token) = token else {
            limits.failed(None, address);
            return Err(unauthenticated());
        };
        let shown = Arc::new(Shown {
            key,
            id: token.id().to_owned(),
            digest: token.digest(&self.0.means.pepper),
        });
        let found = self.look_again(&shown).await;
        drop(turn);
        found.map_err(|no| {
            match no {
                No::WrongSecret => limits.failed(Some(token.id()), address),
                No::Unknown => limits.failed(None, address),
                No::Failed(error) => return error,
            }
            unauthenticated()
        })
    }

    /// What is known of a token, and no older than a moment.
    async fn look_again(&self, shown: &Arc<Shown>) -> Found {
        if let Standing::Good(known) = self.0.cache.standing(&shown.key) {
            return Ok(known);
        }
        let begin = || {
            let (gate, shown) = (self.clone(), Arc::clone(shown));
            async move { gate.look_up(shown).await }.boxed()
        };
        self.0.cache.check(shown.key, begin).await
    }

    async fn look_up(&self, shown: Arc<Shown>) -> Found {
        let Means { store, time, .. } = &self.0.means;
        let checked = Instant::now();
        let read = async {
            let found = store.credential_of_token(&shown.id).await?;
            // After the row: whatever has ended by now is over.
            Ok((found, time.now().await?))
        };
        let read = store.in_time(read).await;
        let (found, now) = read.map_err(|error| No::Failed(error.into()))?;
        judge(shown, found.as_ref(), now, checked)
    }

    /// As [`look_up`](Self::look_up) for many, in their order.
    async fn look_up_all(&self, shown: &[Arc<Shown>]) -> Vec<Found> {
        let Means { store, time, .. } = &self.0.means;
        let checked = Instant::now();
        let ids: Vec<&str> = shown.iter().map(|shown| shown.id.as_str()).collect();
        let read = async {
            let found = store.credentials_of_tokens(&ids).await?;
            Ok((found, time.now().await?))
        };
        match store.in_time(read).await {
            Ok((found, now)) => {
                let judge = |shown: &Arc<Shown>| {
                    judge(Arc::clone(shown), found.get(&shown.id), now, checked)
                };
                shown.iter().map(judge).collect()
            }
            Err(error) => {
                let error = Error::from(error);
                let failed = |_| Err(No::Failed(error.clone()));
                shown.iter().map(failed).collect()
            }
        }
    }

    /// Ends the streams of those whose rights have ended, until `stop` is cancelled.
    pub async fn follow(self, news: RightsNews, stop: CancellationToken) {
        let looking = vigil::keep_looking(&self, news);
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

impl Admission {
    /// Who it is, and from where.
    pub fn caller(&self) -> Caller {
        Caller::known(self.known.identity.clone(), self.address)
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.known.identity
    }

    /// Counts one call.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when there were too many by this credential, or by this connection.
    pub fn count(&self) -> Result<(), Error> {
        let known = &self.known;
        self.gate
            .0
            .limits
            .call(&known.identity, known.requests_per_minute)
    }

    /// Notes once a minute that the credential is used. Waits for nothing.
    pub fn note_use(&self) {
        let uuid = self.known.identity.credential_uuid;
        if self.gate.0.limits.notes_use(uuid) {
            let at = self.known.checked_at.after(self.known.checked.elapsed());
            self.note(Command::NoteUse { uuid, at });
        }
    }

    /// Notes in the log that the caller was refused a change. Waits for nothing, and is lost when the server dies or is
    /// too busy.
    pub fn note_refusal(&self, reason: String) {
        let uuid = self.known.identity.credential_uuid;
        if self.gate.0.limits.notes_refusal(uuid) {
            self.note(Command::NoteRefusal { reason });
        }
    }

    fn note(&self, command: Command) {
        self.gate.0.means.ledger.note(Order {
            command,
            caller: self.caller(),
            request: None,
        });
    }

    /// Watches over the caller's rights for as long as a stream is open.
    pub fn vigil(&self) -> Arc<Vigil> {
        self.gate.0.vigils.keep(&self.gate, &self.known)
    }

    /// Looks every token up again, after this caller has made a change that may have ended some.
    pub fn forget(&self) {
        self.gate.forget();
    }
}

/// What a token is worth at `now`, as `found` has it.
fn judge(
    shown: Arc<Shown>,
    found: Option<&(Credential, Option<Connection>)>,
    now: Timestamp,
    checked: Instant,
) -> Found {
    let record = found.and_then(|(credential, _)| {
        let mut tokens = credential.tokens.iter();
        tokens.find(|token| token.id == shown.id)
    });
    // An unknown id takes as long as a known one.
    let kept = record.map_or(&[0; 32][..], |record| &record.digest);
    let is_same = is_same(kept, &shown.digest);
    let is_known = record.is_some();
    let (credential, connection) = found.filter(|_| is_known).ok_or(No::Unknown)?;
    if !is_same {
        return Err(No::WrongSecret);
    }
    let status = connection.as_ref().map(|connection| connection.status);
    let end = credential.good_until(&shown.id, status, now);
    let left = end.ok_or(No::Unknown)?.as_micros() - now.as_micros();
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
    Ok(Arc::new(Known {
        identity: credential.identity(),
        requests_per_minute: connection
            .as_ref()
            .and_then(|connection| connection.policy().rate_limit_requests_per_minute),
        checked_at: now,
        checked,
        ends: checked + left,
        shown,
    }))
}

/// What everybody is told who is not let in.
pub fn unauthenticated() -> Error {
    Refusal::Access(AccessRefusal::Unauthenticated).into()
}
