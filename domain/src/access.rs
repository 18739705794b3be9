//! Why somebody may not: refusals that are about who asks.

use uuid::Uuid;

/// A no that depends on the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessRefusal {
    /// The call shows no good token. Nothing says what is wrong with it.
    Unauthenticated,
    /// The caller's role may not make this call.
    PermissionDenied {
        /// The caller's role.
        role: &'static str,
        /// The call.
        method: String,
    },
    /// Whoever initiated or declared the transfer, or its agent, may not approve it.
    SelfApproval {
        /// The transfer.
        uuid: Uuid,
    },
    /// The request names another person than the caller.
    ActorMismatch {
        /// The field.
        field: &'static str,
        /// Whom it names.
        named: Uuid,
    },
    /// No such credential.
    CredentialNotFound {
        /// The one asked for.
        uuid: Uuid,
    },
    /// The credential was revoked.
    CredentialRevoked {
        /// The credential.
        uuid: Uuid,
    },
    /// The session code is wrong, was redeemed or has expired. Nothing says which.
    SessionCodeInvalid,
}

impl AccessRefusal {
    /// The name of the case: UPPER_SNAKE, part of the contract.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied { .. } => "PERMISSION_DENIED",
            Self::SelfApproval { .. } => "SELF_APPROVAL",
            Self::ActorMismatch { .. } => "ACTOR_MISMATCH",
            Self::CredentialNotFound { .. } => "CREDENTIAL_NOT_FOUND",
            Self::CredentialRevoked { .. } => "CREDENTIAL_REVOKED",
            Self::SessionCodeInvalid => "SESSION_CODE_INVALID",
        }
    }

    /// The values of the message, by name.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Unauthenticated | Self::SessionCodeInvalid => Vec::new(),
            Self::PermissionDenied { role, method } => {
                vec![("role", (*role).to_owned()), ("method", method.clone())]
            }
            Self::SelfApproval { uuid }
            | Self::CredentialNotFound { uuid }
            | Self::CredentialRevoked { uuid } => vec![("uuid", uuid.to_string())],
            Self::ActorMismatch { field, named } => {
                vec![("field", (*field).to_owned()), ("named", named.to_string())]
            }
        }
    }
}

impl std::fmt::Display for AccessRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unauthenticated => f.write_str(
                "the call needs a valid token in its metadata, as authorization: Bearer TOKEN",
            ),
            Self::PermissionDenied { role, method } => {
                write!(f, "the role {role} may not call {method}")
            }
            Self::SelfApproval { uuid } => write!(
                f,
                "transfer {uuid} must be approved by somebody else than who initiated it, and with another credential \
                 than declared it"
            ),
            Self::ActorMismatch { field, named } => write!(
                f,
                "{field} names {named}, but this credential acts for nobody but itself"
            ),
            Self::CredentialNotFound { uuid } => write!(f, "there is no credential {uuid}"),
            Self::CredentialRevoked { uuid } => write!(f, "credential {uuid} was revoked"),
            Self::SessionCodeInvalid => {
                f.write_str("the session code is wrong, was redeemed already or has expired")
            }
        }
    }
}
