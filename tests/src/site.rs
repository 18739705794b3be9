//! Connections with a policy, and everything that can be done to one.

use tidegate_proto::v1::{self, ConnectionStatus};
use tonic::{Response, Status};

use crate::raw::{Raw, plain, told};

/// Something to do to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Change its name.
    Update,
    /// Put it into use.
    Approve,
    /// Pause it.
    Suspend,
    /// Put it into use again.
    Reactivate,
    /// End it.
    Revoke,
    /// Remove it.
    Delete,
}

impl Step {
    /// Each of them.
    pub const ALL: [Self; 6] = [
        Self::Update,
        Self::Approve,
        Self::Suspend,
        Self::Reactivate,
        Self::Revoke,
        Self::Delete,
    ];

    /// Asks for it: the connection as it is then, `None` when it is gone.
    ///
    /// # Errors
    /// As the server refuses it.
    pub async fn attempt(
        self,
        raw: &mut Raw,
        uuid: &str,
        request_id: &str,
    ) -> Result<Option<v1::Connection>, Status> {
        let (uuid, request_id) = (uuid.to_owned(), request_id.to_owned());
        let reason = "spring tide".to_owned();
        let stub = &mut raw.connections;
        Ok(match self {
            Self::Update => {
                let update = renaming(&uuid, "renamed");
                let update = v1::UpdateConnectionRequest {
                    request_id,
                    ..update
                };
                inner(stub.update_connection(update).await)?.connection
            }
            Self::Approve => {
                let request = v1::ApproveConnectionRequest { uuid, request_id };
                inner(stub.approve_connection(request).await)?.connection
            }
            Self::Suspend => {
                let request = v1::SuspendConnectionRequest {
                    uuid,
                    reason,
                    request_id,
                };
                inner(stub.suspend_connection(request).await)?.connection
            }
            Self::Reactivate => {
                let request = v1::ReactivateConnectionRequest { uuid, request_id };
                inner(stub.reactivate_connection(request).await)?.connection
            }
            Self::Revoke => {
                let request = v1::RevokeConnectionRequest {
                    uuid,
                    reason,
                    request_id,
                };
                inner(stub.revoke_connection(request).await)?.connection
            }
            Self::Delete => {
                let request = v1::DeleteConnectionRequest { uuid, request_id };
                inner(stub.delete_connection(request).await)?;
                None
            }
        })
    }
}

fn inner<T>(answer: Result<Response<T>, Status>) -> Result<T, Status> {
    answer.map(Response::into_inner)
}

/// A change of the name.
pub fn renaming(uuid: &str, name: &str) -> v1::UpdateConnectionRequest {
    let connection = v1::Connection {
        uuid: uuid.to_owned(),
        name: name.to_owned(),
        ..v1::Connection::default()
    };
    updating(connection, &["name"])
}

/// A change of the named fields of a policy.
pub fn limiting(
    uuid: &str,
    policy: v1::ConnectionPolicy,
    paths: &[&str],
) -> v1::UpdateConnectionRequest {
    let connection = v1::Connection {
        uuid: uuid.to_owned(),
        policy: Some(policy),
        ..v1::Connection::default()
    };
    updating(connection, paths)
}

/// A change of the named fields.
pub fn updating(connection: v1::Connection, paths: &[&str]) -> v1::UpdateConnectionRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    v1::UpdateConnectionRequest {
        connection: Some(connection),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..v1::UpdateConnectionRequest::default()
    }
}

/// A transfer of a connection, with nothing else but what is required.
pub fn of(connection_uuid: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        connection_uuid: connection_uuid.to_owned(),
        ..plain()
    }
}

impl Raw {
    /// A new connection with this policy, in use.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn site(&mut self, policy: v1::ConnectionPolicy) -> String {
        let request = v1::CreateConnectionRequest {
            policy: Some(policy),
            ..proposal()
        };
        let answer = told(self.connections.create_connection(request)).await;
        answer.connection.expect("the answer carries it").uuid
    }

    /// The connection as it is now.
    ///
    /// # Panics
    /// When there is none.
    pub async fn site_now(&mut self, uuid: &str) -> v1::Connection {
        let request = v1::GetConnectionRequest {
            uuid: uuid.to_owned(),
        };
        let answer = told(self.connections.get_connection(request)).await;
        answer.connection.expect("the answer carries it")
    }

    /// Changes the whole policy.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn limit(&mut self, uuid: &str, policy: v1::ConnectionPolicy) -> v1::Connection {
        let update = limiting(uuid, policy, &["policy"]);
        let answer = told(self.connections.update_connection(update)).await;
        answer.connection.expect("the answer carries it")
    }

    /// Does `step` to a connection.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn step(&mut self, step: Step, uuid: &str) -> Option<v1::Connection> {
        let answer = step.attempt(self, uuid, "").await;
        answer.expect("the step is accepted")
    }

    /// A new connection in `status`. An EXPIRED one is waited for: the sweeper makes it so.
    ///
    /// # Panics
    /// When `status` is UNSPECIFIED.
    pub async fn site_in(&mut self, status: ConnectionStatus) -> String {
        let request = v1::CreateConnectionRequest {
            pending: status == ConnectionStatus::Pending,
            policy: Some(v1::ConnectionPolicy {
                expires_at: (status == ConnectionStatus::Expired)
                    .then(prost_types::Timestamp::default),
                ..v1::ConnectionPolicy::default()
            }),
            ..proposal()
        };
        let answer = told(self.connections.create_connection(request)).await;
        let uuid = answer.connection.expect("the answer carries it").uuid;
        match status {
            ConnectionStatus::Pending | ConnectionStatus::Active => {}
            ConnectionStatus::Suspended => _ = self.step(Step::Suspend, &uuid).await,
            ConnectionStatus::Revoked => _ = self.step(Step::Revoke, &uuid).await,
            ConnectionStatus::Expired => self.until_expired(&uuid).await,
            ConnectionStatus::Unspecified => panic!("nothing is UNSPECIFIED"),
        }
        uuid
    }

    /// Waits until the sweeper has found a connection.
    pub async fn until_expired(&mut self, uuid: &str) {
        crate::soon("the end of a connection", async {
            while self.site_now(uuid).await.status() != ConnectionStatus::Expired {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// The events of one connection and its transfers.
    pub async fn events_of_site(&mut self, uuid: &str) -> Vec<v1::Event> {
        self.all_events(v1::ListEventsRequest {
            connection_uuid: uuid.to_owned(),
            ..v1::ListEventsRequest::default()
        })
        .await
    }
}

/// A connection to be created, with nothing but what is required.
pub fn proposal() -> v1::CreateConnectionRequest {
    v1::CreateConnectionRequest {
        name: "mirror".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://mirror.example".to_owned(),
        // Tests make as many as they need, and seldom care where to.
        allow_duplicate: true,
        ..v1::CreateConnectionRequest::default()
    }
}
