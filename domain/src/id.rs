//! Identities, a type each, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares an identity that is a uuid.
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident)+) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        })+
    };
}

id! {
    /// Which transfer.
    TransferId
    /// Which connection.
    ConnectionId
    /// Which credential.
    CredentialId
    /// Which session.
    SessionId
    /// Which bulk operation.
    BulkOperationId
    /// Which agent.
    AgentId
}
