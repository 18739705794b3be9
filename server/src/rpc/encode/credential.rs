//! Credentials into messages.

use tidegate_proto::v1;

use super::{optional, timestamp};
use crate::rpc::wire_enum::WireEnum as _;
use tidegate_domain::credential::Credential;

/// The credential; nothing of its tokens but when they end.
pub(in crate::rpc) fn credential(credential: &Credential) -> v1::Credential {
    let declared = &credential.declared;
    v1::Credential {
        uuid: credential.uuid.to_string(),
        name: declared.name.clone(),
        role: declared.role.to_wire(),
        connection_uuid: optional(declared.connection_uuid),
        acts_for_others: declared.acts_for_others,
        session_code: declared.session_code.clone(),
        inserted_at: Some(timestamp(credential.inserted_at)),
        expires_at: credential.expires_at().map(timestamp),
        revoked_at: credential.revoked_at.map(timestamp),
        last_used_at: credential.last_used_at.map(timestamp),
        last_used_address: credential
            .last_used_address
            .map_or_else(String::new, |address| address.to_string()),
        revision: credential.revision,
    }
}
