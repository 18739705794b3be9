//! Who calls, as far as the transport and the authentication before it tell.

use tonic::Request;

use crate::net::origin;
use tidegate_domain::{caller, validate::NAME_MAX};

/// The other end of a call.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Who it is, and from where.
    pub(super) who: caller::Caller,
    /// What it says it is, without control characters and cut to the limit of the field.
    pub(super) user_agent: String,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let agent = request
            .metadata()
            .get("user-agent")
            .and_then(|value| value.to_str().ok());
        // Whoever was let in was noted there; without authentication nobody is.
        let who = request
            .extensions()
            .get()
            .cloned()
            .unwrap_or_else(|| caller::Caller::anonymous(origin::of(request.extensions())));
        Self {
            who,
            user_agent: agent
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(NAME_MAX)
                .collect(),
        }
    }
}
