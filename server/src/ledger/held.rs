//! Rows that somebody else has locked, and the commands that must wait for them.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{batch::BatchState, load::is_governed};
use tidegate_domain::command::{Command, Submission};

/// What exists and could not be locked.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) transfers: BTreeSet<Uuid>,
    pub(super) connections: BTreeSet<Uuid>,
    pub(super) credentials: BTreeSet<Uuid>,
    /// Sessions, by the digests of their codes.
    pub(super) sessions: BTreeSet<Vec<u8>>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.transfers.is_empty()
            && self.connections.is_empty()
            && self.credentials.is_empty()
            && self.sessions.is_empty()
    }
}

impl BatchState {
    /// Whether a command depends on a row that somebody else has locked.
    pub(super) fn is_held(&self, submission: &Submission) -> bool {
        let held = &self.held;
        if held.is_empty() {
            return false;
        }
        let has_connection =
            |uuid: Option<Uuid>| uuid.is_some_and(|uuid| held.connections.contains(&uuid));
        match &submission.command {
            Command::CreateTransfer(new) => {
                has_connection(new.connection_uuid)
                    || new
                        .retry_of_uuid
                        .is_some_and(|uuid| held.transfers.contains(&uuid))
            }
            Command::ChangeTransfer { uuid, verb } => {
                let of = |uuid| self.current(uuid).ok()?.declared.connection_uuid;
                held.transfers.contains(uuid) || is_governed(verb) && has_connection(of(*uuid))
            }
            Command::ChangeConnection { uuid, .. } => held.connections.contains(uuid),
            Command::CreateCredential { new, .. } => has_connection(new.connection_uuid),
            Command::ChangeCredential { uuid, .. } | Command::NoteUse { uuid, .. } => {
                held.credentials.contains(uuid)
            }
            // Which of the credentials are the connection's is known for those alone that could be read.
            Command::RotateAgent {
                connection_uuid, ..
            } => has_connection(Some(*connection_uuid)) || !held.credentials.is_empty(),
            Command::OpenSession(new) => {
                has_connection(Some(new.connection_uuid)) || held.sessions.contains(&new.digest)
            }
            // As above.
            Command::RedeemSession { digest, .. } => {
                held.sessions.contains(digest) || !held.connections.is_empty()
            }
            Command::CreateConnection { .. } | Command::NoteRefusal { .. } => false,
        }
    }
}

/// Those of `plan` that are not among `found`.
pub(super) fn missing<T: Ord + Clone>(plan: &[T], found: impl IntoIterator<Item = T>) -> Vec<T> {
    let found: BTreeSet<T> = found.into_iter().collect();
    let is_missing = |each: &&T| !found.contains(*each);
    plan.iter().filter(is_missing).cloned().collect()
}
