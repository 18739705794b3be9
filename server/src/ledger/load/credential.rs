//! Credentials and sessions of a batch. Locked after the transfers: credentials by uuid, then sessions by uuid.

use std::collections::BTreeSet;

use super::super::held::{Held, missing};
use tidegate_domain::{
    credential::{Credential, Session},
    id::{ConnectionId, CredentialId},
};
use tidegate_store::{Effect, PriorRequest, StoreError, WriteTransaction};

/// What the commands of a batch name of them, each once and sorted.
#[derive(Default)]
pub(super) struct WantedAccess {
    pub(super) credentials: BTreeSet<CredentialId>,
    /// Connections whose own agents are wanted.
    pub(super) agents_of: BTreeSet<ConnectionId>,
    /// Digests of codes that are to be redeemed.
    pub(super) redeemed: BTreeSet<Vec<u8>>,
    /// Digests of codes that must not be taken.
    pub(super) opened: BTreeSet<Vec<u8>>,
}

/// What was found.
pub(super) struct Access {
    pub(super) credentials: Vec<Credential>,
    pub(super) sessions: Vec<Session>,
}

impl WantedAccess {
    /// The connections of the sessions that are to be redeemed. A session never moves to another connection, so that
    /// this can be asked without a lock.
    pub(super) async fn connections(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<Vec<ConnectionId>, StoreError> {
        let digests: Vec<_> = self.redeemed.iter().cloned().collect();
        let sessions = transaction.sessions(&digests).await?.into_iter();
        Ok(sessions.map(|it| it.declared.connection_uuid).collect())
    }

    /// Loads and locks it all. The locks of the connections must be held.
    pub(super) async fn lock(
        &mut self,
        transaction: &WriteTransaction,
        held: &mut Held,
    ) -> Result<Access, StoreError> {
        let connections: Vec<_> = self.agents_of.iter().copied().collect();
        self.credentials
            .extend(transaction.own_agents(&connections).await?);
        let credentials: Vec<_> = self.credentials.iter().copied().collect();
        let digests: Vec<_> = self.redeemed.union(&self.opened).cloned().collect();
        let access = Access {
            credentials: transaction.lock_credentials(&credentials).await?,
            sessions: transaction.lock_sessions(&digests).await?,
        };
        let credentials = missing(&credentials, access.credentials.iter().map(|it| it.uuid));
        let credentials = transaction.existing_credentials(&credentials).await?;
        held.credentials = credentials.into_iter().map(|it| it.uuid).collect();
        let locked = access.sessions.iter();
        let digests = missing(&digests, locked.map(|it| it.declared.digest.clone()));
        let sessions = transaction.sessions(&digests).await?.into_iter();
        held.sessions = sessions.map(|it| it.declared.digest).collect();
        Ok(access)
    }

    /// What repetitions are answered with, as far as it was not locked.
    pub(super) async fn answers(
        &self,
        transaction: &WriteTransaction,
        prior_requests: &[PriorRequest],
    ) -> Result<Access, StoreError> {
        let (mut credentials, mut sessions) = (BTreeSet::new(), BTreeSet::new());
        for earlier in prior_requests {
            match &earlier.effect {
                Effect::Credential(uuid) => _ = credentials.insert(*uuid),
                Effect::Session(uuid) => _ = sessions.insert(*uuid),
                Effect::Transfer { .. }
                | Effect::Claim(_)
                | Effect::Connection { .. }
                | Effect::BulkOperation(_) => {}
            }
        }
        let credentials: Vec<_> = credentials.difference(&self.credentials).copied().collect();
        let sessions: Vec<_> = sessions.into_iter().collect();
        Ok(Access {
            credentials: transaction.existing_credentials(&credentials).await?,
            sessions: transaction.existing_sessions(&sessions).await?,
        })
    }
}

impl Access {
    /// Adds what was found later. A session that was locked stays as it is.
    pub(super) fn extend(&mut self, later: Self) {
        self.credentials.extend(later.credentials);
        for session in later.sessions {
            if self.sessions.iter().all(|it| it.uuid != session.uuid) {
                self.sessions.push(session);
            }
        }
    }
}
