//! Who asks, and what their role lets them see.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{refusal::Refusal, status::named};
use crate::id::{ConnectionId, CredentialId};

named! {
    /// What a credential may do.
    Role {
        /// Reads everything.
        Viewer = "VIEWER",
        /// Runs the transfers of its own connection and sees nothing else.
        Agent = "AGENT",
        /// Reads everything and decides.
        Approver = "APPROVER",
        /// May do everything.
        Admin = "ADMIN",
    }
}

/// Whose transfers and events are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionScope {
    /// Everybody's, and those without a connection.
    #[default]
    All,
    /// This connection's.
    Only(ConnectionId),
    /// Nobody's.
    Nothing,
}

impl From<Option<ConnectionId>> for ConnectionScope {
    fn from(only: Option<ConnectionId>) -> Self {
        only.map_or(Self::All, Self::Only)
    }
}

impl ConnectionScope {
    /// Whether something of this connection is meant.
    pub fn contains(self, connection_uuid: Option<ConnectionId>) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => connection_uuid == Some(only),
            Self::Nothing => false,
        }
    }

    /// What both mean.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, scope) | (scope, Self::All) => scope,
            (Self::Only(one), Self::Only(other)) if one == other => self,
            _ => Self::Nothing,
        }
    }

    /// Text that is equal for equal scopes; `None` for all.
    pub fn fingerprint(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Only(only) => Some(only.to_string()),
            Self::Nothing => Some("nothing".to_owned()),
        }
    }
}

/// A caller who has shown a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The credential.
    pub credential_uuid: CredentialId,
    /// What it may do.
    pub role: Role,
    /// The connection that an agent belongs to.
    pub connection_uuid: Option<ConnectionId>,
    /// Whether it may name other people as initiators and deciders.
    pub acts_for_others: bool,
    /// The code that it was redeemed with; empty for one that was not.
    pub session_code: String,
}

/// The actor of what the server does by itself.
pub const SERVER: &str = "sweeper";

/// The other end of a call, or the server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// In what role it acts: for the log, and for telling the request ids of callers apart.
    pub actor: String,
    /// Who it is; `None` where authentication is off and for the server itself: then it may do everything.
    pub identity: Option<Identity>,
    /// Where the call came from.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// Somebody without a credential, where none is asked for.
    pub fn anonymous(address: Option<IpAddr>) -> Self {
        Self {
            actor: "anonymous".to_owned(),
            identity: None,
            address,
        }
    }

    /// What the server does by itself.
    pub fn server() -> Self {
        Self {
            actor: SERVER.to_owned(),
            identity: None,
            address: None,
        }
    }

    /// Somebody who has shown a credential. The actor keeps its name over rotations of the token.
    pub fn known(identity: Identity, address: Option<IpAddr>) -> Self {
        let role = identity.role.name().to_ascii_lowercase();
        Self {
            actor: format!("{role}:{}", identity.credential_uuid),
            identity: Some(identity),
            address,
        }
    }

    /// The credential, where there is one.
    pub fn credential(&self) -> Option<CredentialId> {
        Some(self.identity.as_ref()?.credential_uuid)
    }

    /// Whose transfers and events the caller may see: an agent its own connection's.
    pub fn scope(&self) -> ConnectionScope {
        let agent = self.identity.as_ref().filter(|it| it.role == Role::Agent);
        match agent.map(|agent| agent.connection_uuid) {
            None => ConnectionScope::All,
            Some(Some(own)) => ConnectionScope::Only(own),
            Some(None) => ConnectionScope::Nothing,
        }
    }

    /// The one connection that the caller is confined to, if it is.
    pub fn own_connection(&self) -> Option<ConnectionId> {
        match self.scope() {
            ConnectionScope::Only(own) => Some(own),
            ConnectionScope::All | ConnectionScope::Nothing => None,
        }
    }

    /// Whether what belongs to `connection_uuid` exists for the caller.
    pub fn sees(&self, connection_uuid: Option<ConnectionId>) -> bool {
        self.scope().contains(connection_uuid)
    }

    /// The person that a request is for: whom it names, or the caller.
    ///
    /// # Errors
    /// [`Refusal::ActorMismatch`] when it names somebody else and the credential may not do that.
    pub fn person(
        &self,
        field: &'static str,
        named: Option<Uuid>,
    ) -> Result<Option<Uuid>, Refusal> {
        let Some(identity) = &self.identity else {
            return Ok(named);
        };
        let own = identity.credential_uuid.0;
        match named {
            Some(named) if named != own && !identity.acts_for_others => {
                Err(Refusal::ActorMismatch { field, named })
            }
            named => Ok(named.or(Some(own))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixtures::caller as known;
    use crate::fixtures::id;

    #[test]
    fn an_agent_alone_has_an_own_connection() {
        let own = |role, connection| known(role, connection).own_connection();
        assert_eq!(own(Role::Agent, Some(id(1))), Some(id(1)));
        assert_eq!(own(Role::Agent, None), None);
        assert_eq!(own(Role::Admin, None), None);
        assert_eq!(Caller::anonymous(None).own_connection(), None);
    }

    #[test]
    fn each_scope_has_its_own_fingerprint() {
        let scopes = [
            ConnectionScope::All,
            ConnectionScope::Nothing,
            ConnectionScope::Only(id(1)),
            ConnectionScope::Only(id(2)),
        ];
        let fingerprints: BTreeSet<_> = scopes.iter().map(|it| it.fingerprint()).collect();
        assert_eq!(fingerprints.len(), scopes.len(), "{fingerprints:?}");
    }

    #[test]
    fn an_agent_sees_its_own_connection_alone() {
        let (own, other) = (Some(id(1)), Some(id(2)));
        let agent = known(Role::Agent, own);
        assert_eq!(
            [own, other, None].map(|it| agent.sees(it)),
            [true, false, false]
        );
        let viewer = known(Role::Viewer, None);
        assert_eq!([own, other, None].map(|it| viewer.sees(it)), [true; 3]);
        let nobody = known(Role::Agent, None);
        assert_eq!([own, other, None].map(|it| nobody.sees(it)), [false; 3]);
        assert!(Caller::anonymous(None).sees(own));
    }

    #[test]
    fn an_agent_searches_its_own_connection_alone() {
        let (own, other) = (Some(id(1)), Some(id(2)));
        let agent = known(Role::Agent, own);
        assert_eq!(
            [None, own, other].map(|it| agent.scope().and(it.into())),
            [own.into(), own.into(), ConnectionScope::Nothing]
        );
        let viewer = known(Role::Viewer, None);
        assert_eq!(
            [None, own].map(|it| viewer.scope().and(it.into())),
            [None, own].map(ConnectionScope::from)
        );
        assert_eq!(
            ConnectionScope::Nothing.and(own.into()),
            ConnectionScope::Nothing
        );
    }

    #[test]
    fn a_caller_speaks_for_himself_unless_told_otherwise() {
        let someone = Some(id(5));
        let mut caller = known(Role::Approver, None);
        let own = caller.credential().map(Uuid::from);
        assert_eq!(caller.person("admin_user_uuid", None), Ok(own));
        assert_eq!(caller.person("admin_user_uuid", own), Ok(own));
        assert!(caller.person("admin_user_uuid", someone).is_err());
        if let Some(identity) = &mut caller.identity {
            identity.acts_for_others = true;
        }
        assert_eq!(caller.person("admin_user_uuid", someone), Ok(someone));
        assert_eq!(Caller::anonymous(None).person("x", someone), Ok(someone));
        assert_eq!(Caller::anonymous(None).person("x", None), Ok(None));
    }
}
