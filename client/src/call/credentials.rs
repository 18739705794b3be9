//! Who may call, and the sessions that agents redeem.

use std::{future::IntoFuture, time::Duration};

use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request};
use crate::{
    Client, Connections, Credential, Credentials, Error, IssuedToken, OpenedSession, Role,
    Sessions, convert, model::Wire as _, transport::Stubs,
};

request! {
    /// Asks who the caller is; made by [`Credentials::caller`].
    read GetCaller(GetCallerRequest) by credentials.get_caller,
    GetCallerResponse => Option<Credential> {
        |answer| answer.credential.map(convert::present_credential).transpose()
    }
}

request! {
    /// Creates a credential; made by [`Credentials::create`].
    change CreateCredential(CreateCredentialRequest) by credentials.create_credential,
    CreateCredentialResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

request! {
    /// Asks for one credential; made by [`Credentials::get`].
    read GetCredential(GetCredentialRequest) by credentials.get_credential,
    GetCredentialResponse => Credential { |answer| convert::credential(answer.credential) }
}

request! {
    /// Lists credentials; made by [`Credentials::list`].
    read ListCredentials(ListCredentialsRequest) by credentials.list_credentials,
    ListCredentialsResponse => Page<Credential> {
        |answer| convert::page(answer.credentials, answer.next_page_token, convert::present_credential)
    }
}

pages!(ListCredentials of Credential {});

request! {
    /// Gives a credential a new token; made by [`Credentials::rotate`].
    change RotateCredential(RotateCredentialRequest) by credentials.rotate_credential,
    RotateCredentialResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

request! {
    /// Gives the agent of a connection a new token; made by [`Connections::rotate_token`].
    change RotateConnectionToken(RotateConnectionTokenRequest) by connections.rotate_connection_token,
    RotateConnectionTokenResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

request! {
    /// Ends a credential; made by [`Credentials::revoke`].
    change RevokeCredential(RevokeCredentialRequest) by credentials.revoke_credential,
    RevokeCredentialResponse => Credential { |answer| convert::credential(answer.credential) }
}

request! {
    /// Opens a session; made by [`Sessions::create`].
    change CreateSession(CreateSessionRequest) by credentials.create_session,
    CreateSessionResponse => OpenedSession { convert::opened }
}

request! {
    /// Redeems a session code; made by [`Sessions::redeem`].
    read RedeemSession(RedeemSessionRequest) by credentials.redeem_session,
    RedeemSessionResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

impl Credentials {
    /// Asks who the caller is: the credential of the client's token, or `None` when the server does not require
    /// authentication.
    pub fn caller(&self) -> GetCaller {
        GetCaller {
            client: self.client.clone(),
            message: v1::GetCallerRequest {},
        }
    }

    /// Creates a credential with a token of 90 days unless told otherwise. The name has at most 255 characters. An agent
    /// needs a [`connection`](CreateCredential::connection).
    pub fn create(&self, name: impl Into<String>, role: Role) -> CreateCredential {
        CreateCredential {
            client: self.client.clone(),
            message: v1::CreateCredentialRequest {
                name: name.into(),
                role: role.to_wire(),
                ..Default::default()
            },
        }
    }

    /// Asks for one credential. Refused with `NOT_FOUND` when there is none.
    pub fn get(&self, uuid: Uuid) -> GetCredential {
        GetCredential {
            client: self.client.clone(),
            message: v1::GetCredentialRequest {
                uuid: uuid.to_string(),
            },
        }
    }

    /// Lists credentials, newest first.
    pub fn list(&self) -> ListCredentials {
        ListCredentials {
            client: self.client.clone(),
            message: v1::ListCredentialsRequest::default(),
        }
    }

    /// Gives a credential a new token. The one before it ends at once unless an overlap is set. Refused when the
    /// credential was revoked.
    pub fn rotate(&self, uuid: Uuid) -> RotateCredential {
        RotateCredential {
            client: self.client.clone(),
            message: v1::RotateCredentialRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Ends a credential for good, with all its tokens. Does nothing to one that was revoked before.
    pub fn revoke(&self, uuid: Uuid) -> RevokeCredential {
        RevokeCredential {
            client: self.client.clone(),
            message: v1::RevokeCredentialRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }
}

impl Connections {
    /// Gives the connection's own agent a new token, and makes that agent where there is none. Refused when the
    /// connection was revoked.
    pub fn rotate_token(&self, connection_uuid: Uuid) -> RotateConnectionToken {
        RotateConnectionToken {
            client: self.client.clone(),
            message: v1::RotateConnectionTokenRequest {
                uuid: connection_uuid.to_string(),
                ..Default::default()
            },
        }
    }
}

impl Sessions {
    /// Opens a session: a code that an agent redeems, once, for a token of this connection, which must be active.
    pub fn create(&self, connection_uuid: Uuid) -> CreateSession {
        CreateSession {
            client: self.client.clone(),
            message: v1::CreateSessionRequest {
                connection_uuid: connection_uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Redeems a session code for a token; needs none itself. Case, spaces and hyphens do not matter.
    ///
    /// A code is good once. When the answer is lost the code is spent, and the next try is refused with
    /// `SESSION_CODE_INVALID`: ask for another code.
    pub fn redeem(&self, session_code: impl Into<String>) -> RedeemSession {
        RedeemSession {
            client: self.client.clone(),
            message: v1::RedeemSessionRequest {
                session_code: session_code.into(),
            },
        }
    }
}

impl CreateCredential {
    /// The connection that an agent belongs to; for agents only.
    pub fn connection(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Lets it name other people as initiators and deciders: for a service that has signed them in itself.
    pub fn acts_for_others(mut self, acts: bool) -> Self {
        self.message.acts_for_others = acts;
        self
    }
}

impl ListCredentials {
    /// Only this role.
    pub fn role(mut self, role: Role) -> Self {
        self.message.role = role.to_wire();
        self
    }

    /// Only those of this connection.
    pub fn connection(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }
}

impl RevokeCredential {
    /// Why, for the log; at most 255 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }
}

impl CreateSession {
    /// How long the code can be redeemed: 1 min to 24 h, 15 min by default.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.message.expires_in = Some(convert::to_duration(time));
        self
    }

    /// How long the token that it is redeemed for is good: 1 min to 24 h, 1 h by default.
    pub fn token_expires_in(mut self, time: Duration) -> Self {
        self.message.token_expires_in = Some(convert::to_duration(time));
        self
    }
}

/// The setters of requests that make a token.
macro_rules! life {
    ($($name:ident),+) => {$(
        impl $name {
            /// How long the token is good: 1 min to 366 days, 90 days by default.
            pub fn expires_in(mut self, time: Duration) -> Self {
                self.message.expires_in = Some(convert::to_duration(time));
                self
            }
        }
    )+};
}

life!(CreateCredential, RotateCredential, RotateConnectionToken);

/// The setters of requests that put a token in the place of another.
macro_rules! overlap {
    ($($name:ident),+) => {$(
        impl $name {
            /// How long the token before it stays good, at most 24 h: time to bring the new one to where it is used.
            pub fn overlap(mut self, time: Duration) -> Self {
                self.message.overlap = Some(convert::to_duration(time));
                self
            }
        }
    )+};
}

overlap!(RotateCredential, RotateConnectionToken);
