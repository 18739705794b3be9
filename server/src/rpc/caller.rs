//! Who calls, as far as the transport tells.

use tonic::Request;

use crate::domain::validate::NAME_MAX;

/// The actor of a caller without credentials.
pub(super) const ANONYMOUS: &str = "anonymous";

/// The other end of a call.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// In what role it acts, for the log and for telling request ids apart.
    pub(super) actor: String,
    /// Its address; empty when the transport has none.
    pub(super) ip: String,
    /// What it says it is, without control characters and cut to the limit of the field.
    pub(super) user_agent: String,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let agent = request
            .metadata()
            .get("user-agent")
            .and_then(|value| value.to_str().ok());
        Self {
            actor: ANONYMOUS.to_owned(),
            ip: request
                .remote_addr()
                .map(|address| address.ip().to_canonical().to_string())
                .unwrap_or_default(),
            user_agent: agent
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(NAME_MAX)
                .collect(),
        }
    }
}
