//! The chain of hashes through the log: each event's hash covers the event and the hash before it, so a change of any
//! event shows in every later one.

use std::{fmt, str::FromStr};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    event::{About, Event, EventBody, EventDetail, EventLease},
    outcome::FailureCode,
    status::{Direction, TransferStatus},
};

mod audit;
mod receipt;
#[cfg(test)]
mod tests;

pub use audit::{Audit, Books, Fault, Found, Summary};

/// SHA-256.
pub type Hash = [u8; 32];

/// What the first event of a chain continues from.
pub const GENESIS: Hash = [0; 32];

/// How events are put into bytes; a later encoding would have another number.
const VERSION: u8 = 1;

/// The hash of `event`, whose own field is not looked at, after an event with the hash `previous`.
///
/// Covers everything that is stored: each value with its length before it, and a byte before each that may be absent, so
/// that no two events have the same encoding.
pub fn link(previous: &Hash, event: &Event) -> Hash {
    // In full, so that a new field cannot be forgotten here.
    let Event {
        sequence,
        transfer_uuid,
        connection_uuid,
        subject_uuid,
        about,
        body,
        actor,
        request,
        revision,
        occurred_at,
        address,
        hash: _,
    } = event;
    let EventBody {
        event_type,
        from_status,
        to_status,
        actor_uuid,
        detail,
    } = body;
    let mut encoder = Encoder(Sha256::new_with_prefix([VERSION]));
    encoder.0.update(previous);
    encoder.number(*sequence);
    encoder.optional(transfer_uuid.map(|id| id.0.into_bytes()));
    encoder.optional(connection_uuid.map(|id| id.0.into_bytes()));
    encoder.optional(subject_uuid.map(Uuid::into_bytes));
    encoder.about(about);
    encoder.value(event_type.name());
    encoder.optional(from_status.map(TransferStatus::name));
    encoder.optional(to_status.map(TransferStatus::name));
    encoder.optional(actor_uuid.map(Uuid::into_bytes));
    encoder.value(actor);
    encoder.detail(detail.as_ref());
    encoder.optional(request.as_ref().map(|mark| &mark.request_id));
    encoder.optional(request.as_ref().map(|mark| &mark.digest));
    encoder.number(*revision);
    encoder.number(occurred_at.as_micros());
    encoder.optional(address.map(|address| address.to_string()));
    encoder.0.finalize().into()
}

/// The end of the log, which stands for everything before it: written as `950:` and the hash in lower-case hex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Position of the newest event; 0 when nothing happened yet.
    pub sequence: i64,
    /// Its hash; [`GENESIS`] where no event is chained yet.
    pub hash: Hash,
}

impl Head {
    /// The hash in lower-case hex.
    pub fn digits(&self) -> String {
        HEXLOWER.encode(&self.hash)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.sequence, self.digits())
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(
            "must be SEQUENCE:HASH, as `audit verify` or an event prints it: 64 digits, or base64",
        )
    }
}

fn parse(text: &str) -> Option<Head> {
    let (sequence, digits) = text.split_once(':')?;
    let hash = HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
    let hash = hash.or_else(|_| BASE64.decode(digits.as_bytes())).ok()?;
    Some(Head {
        sequence: sequence.parse().ok().filter(|number| *number >= 0)?,
        hash: hash.try_into().ok()?,
    })
}

struct Encoder(Sha256);

impl Encoder {
    fn value(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn about(&mut self, about: &About) {
        let About {
            table_name,
            direction,
            connection_name,
            lease,
            self_approval,
            overridden,
        } = about;
        self.optional(table_name.as_ref());
        self.optional(direction.map(Direction::name));
        self.optional(connection_name.as_ref());
        self.number(lease.is_some().into());
        if let Some(EventLease {
            epoch,
            owner_uuid,
            agent_instance,
        }) = lease
        {
            self.number(*epoch);
            self.optional(owner_uuid.map(|id| id.0.into_bytes()));
            self.value(agent_instance);
        }
        self.number((*self_approval).into());
        self.number((*overridden).into());
    }

    /// Each kind by its name, then its values.
    fn detail(&mut self, detail: Option<&EventDetail>) {
        match detail {
            None => self.value(""),
            Some(EventDetail::Comment { text }) => {
                self.value("comment");
                self.value(text);
            }
            Some(EventDetail::Failure {
                error_message,
                code,
                retryable,
            }) => {
                self.value("failure");
                self.value(error_message);
                self.optional(code.map(FailureCode::name));
                self.number((*retryable).into());
            }
            Some(EventDetail::Expiry { reason }) => {
                self.value("expiry");
                self.value(reason.name());
            }
            Some(EventDetail::Claim { claimed_with }) => {
                self.value("claim");
                self.value((claimed_with.len() as u64).to_be_bytes());
                claimed_with.iter().for_each(|it| self.value(it.0));
            }
            Some(EventDetail::Stop {
                cause,
                reason,
                expires_at,
                forced,
            }) => {
                self.value("stop");
                self.value(cause.name());
                self.value(reason);
                self.optional(expires_at.map(|time| time.as_micros().to_be_bytes()));
                self.number((*forced).into());
            }
            Some(EventDetail::Receipt(receipt)) => {
                self.value("receipt");
                self.receipt(receipt);
            }
            Some(EventDetail::ConnectionUpdate { fields }) => {
                self.value("connection_update");
                self.value((fields.len() as u64).to_be_bytes());
                fields.iter().for_each(|field| self.value(field));
            }
            Some(EventDetail::Credential { role, name }) => {
                self.value("credential");
                self.value(role.name());
                self.value(name);
            }
            Some(EventDetail::Redemption { agent_uuid }) => {
                self.value("redemption");
                self.value(agent_uuid.0.as_bytes());
            }
            Some(EventDetail::Retry { retried_by_uuid }) => {
                self.value("retry");
                self.value(retried_by_uuid.0.as_bytes());
            }
            Some(EventDetail::BulkOperation {
                verb,
                state,
                matched,
                succeeded,
                refused,
            }) => {
                self.value("bulk_operation");
                self.value(verb.name());
                self.value(state.name());
                self.number(*matched);
                self.number(*succeeded);
                self.number(*refused);
            }
            Some(EventDetail::Agent {
                agent_instance,
                version,
                host,
            }) => {
                self.value("agent");
                self.value(agent_instance);
                self.value(version);
                self.value(host);
            }
            Some(EventDetail::Refusal {
                reason,
                method,
                uuid,
                dropped,
            }) => {
                self.value("refusal");
                self.value(reason);
                self.value(method);
                self.optional(uuid.map(Uuid::into_bytes));
                self.number(*dropped);
            }
        }
    }

    fn number(&mut self, number: i64) {
        self.value(number.to_be_bytes());
    }

    fn optional(&mut self, bytes: Option<impl AsRef<[u8]>>) {
        match bytes {
            Some(bytes) => {
                self.0.update([1]);
                self.value(bytes);
            }
            None => self.0.update([0]),
        }
    }
}
