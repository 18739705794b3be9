//! Changing some fields of a connection and leaving the others alone.

use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tidegate_proto::v1;
use uuid::Uuid;

use crate::{
    Client, Connection, ConnectionPolicy, Error, call::Call, convert, model::policy_setters,
    transport::Stubs,
};

/// Changes the fields of a connection that are set here, and no others; made by [`Connections::update`](crate::Connections::update).
#[derive(Clone, Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct UpdateConnection {
    client: Client,
    message: v1::UpdateConnectionRequest,
    connection: v1::Connection,
    policy: ConnectionPolicy,
    paths: Vec<String>,
}

impl Call for v1::UpdateConnectionRequest {
    const NAME: &'static str = "update_connection";
    type Answer = v1::UpdateConnectionResponse;

    async fn send(
        mut stubs: Stubs,
        request: tonic::Request<Self>,
    ) -> Result<tonic::Response<Self::Answer>, tonic::Status> {
        stubs.connections.update_connection(request).await
    }
}

impl IntoFuture for UpdateConnection {
    type Output = Result<Connection, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Sends the request.
    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            if self.message.request_id.is_empty() {
                self.message.request_id = Uuid::new_v4().to_string();
            }
            self.connection.policy = Some(convert::to_policy(self.policy));
            self.message.connection = Some(self.connection);
            self.message.update_mask = Some(prost_types::FieldMask { paths: self.paths });
            convert::connection(self.client.call(self.message).await?.connection)
        })
    }
}

impl UpdateConnection {
    pub(super) fn new(client: Client, uuid: Uuid) -> Self {
        Self {
            client,
            message: v1::UpdateConnectionRequest::default(),
            connection: v1::Connection {
                uuid: uuid.to_string(),
                ..v1::Connection::default()
            },
            policy: ConnectionPolicy::default(),
            paths: Vec::new(),
        }
    }

    /// What people call it, in at most 255 characters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.connection.name = name.into();
        self.named("name")
    }

    /// Whether there may be another connection to the same site in the same direction; otherwise its address is refused.
    pub fn allow_duplicate(mut self, allowed: bool) -> Self {
        self.message.allow_duplicate = allowed;
        self
    }

    /// Address of the other site: an http or https URL of at most 255 characters.
    pub fn site_url(mut self, url: impl Into<String>) -> Self {
        self.connection.site_url = url.into();
        self.named("site_url")
    }

    /// The operators' notes, at most 16 KiB as JSON; empty to clear them.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.connection.metadata = Some(convert::to_struct(metadata));
        self.named("metadata")
    }

    /// The whole policy; what was set of it before is forgotten.
    pub fn policy(mut self, policy: ConnectionPolicy) -> Self {
        self.policy = policy;
        self.named("policy")
    }

    policy_setters!(with);

    /// The revision that the change is meant for: when the connection has another one, it is refused with
    /// `STALE_REVISION`. Without it the change is meant for whichever is current.
    pub fn revision(mut self, revision: i64) -> Self {
        self.message.revision = Some(revision);
        self
    }

    /// Makes the call safe to repeat by hand, even from another process: at most 36 printable ASCII characters.
    /// Without it the client makes up a UUID, which covers its own retries.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.message.request_id = request_id.into();
        self
    }

    fn with(mut self, field: &str, set: impl FnOnce(&mut ConnectionPolicy)) -> Self {
        set(&mut self.policy);
        self.named(&format!("policy.{field}"))
    }

    fn named(mut self, path: &str) -> Self {
        self.paths.push(path.to_owned());
        self
    }
}
