//! Who may call, and the sessions that agents redeem.

use std::{future::IntoFuture, time::Duration};

use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request};
use crate::{
    Client, Credential, Error, IssuedToken, OpenedSession, Role, convert, model::Wire as _,
    transport::Stubs,
};

request! {
    /// Asks who the caller is; made by [`Client::get_caller`].
    read GetCaller(GetCallerRequest) by credentials.get_caller,
    GetCallerResponse => Option<Credential> {
        |answer| answer.credential.map(convert::present_credential).transpose()
    }
}

request! {
    /// Creates a credential; made by [`Client::create_credential`].
    change CreateCredential(CreateCredentialRequest) by credentials.create_credential,
    CreateCredentialResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

request! {
    /// Asks for one credential; made by [`Client::get_credential`].
    read GetCredential(GetCredentialRequest) by credentials.get_credential,
    GetCredentialResponse => Credential { |answer| convert::credential(answer.credential) }
}

request! {
    /// Lists credentials; made by [`Client::list_credentials`].
    read ListCredentials(ListCredentialsRequest) by credentials.list_credentials,
    ListCredentialsResponse => Page<Credential> {
        |answer| convert::page(answer.credentials, answer.next_page_token, convert::present_credential)
    }
}

pages!(ListCredentials of Credential {});

request! {
    /// Gives a credential a new token; made by [`Client::rotate_credential`].
    change RotateCredential(RotateCredentialRequest) by credentials.rotate_credential,
    RotateCredentialResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

request! {
    /// Gives the agent of a connection a new token; made by [`Client::rotate_connection_token`].
    change RotateConnectionToken(RotateConnectionTokenRequest) by connections.rotate_connection_token,
    RotateConnectionTokenResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

request! {
    /// Ends a credential; made by [`Client::revoke_credential`].
    change RevokeCredential(RevokeCredentialRequest) by credentials.revoke_credential,
    RevokeCredentialResponse => Credential { |answer| convert::credential(answer.credential) }
}

request! {
    /// Opens a session; made by [`Client::create_session`].
    change CreateSession(CreateSessionRequest) by credentials.create_session,
    CreateSessionResponse => OpenedSession { convert::opened }
}

request! {
    /// Redeems a session code; made by [`Client::redeem_session`].
    read RedeemSession(RedeemSessionRequest) by credentials.redeem_session,
    RedeemSessionResponse => IssuedToken {
        |answer| convert::issued(answer.credential, answer.token)
    }
}

impl Client {
    /// Asks who the caller is: the credential of the client's token, or `None` when the server does not require
    /// authentication.
    pub fn get_caller(&self) -> GetCaller {
        GetCaller {
            client: self.clone(),
            message: v1::GetCallerRequest {},
        }
    }

    /// Creates a credential with a token of 90 days unless told otherwise. The name has at most 255 characters. An agent
    /// needs a [`connection`](CreateCredential::connection).
    pub fn create_credential(&self, name: impl Into<String>, role: Role) -> CreateCredential {
        CreateCredential {
            client: self.clone(),
            message: v1::CreateCredentialRequest {
                name: name.into(),
                role: role.to_wire(),
                ..Default::default()
            },
        }
    }

    /// Asks for one credential. Refused with `NOT_FOUND` when there is none.
    pub fn get_credential(&self, uuid: Uuid) -> GetCredential {
        GetCredential {
            client: self.clone(),
            message: v1::GetCredentialRequest {
                uuid: uuid.to_string(),
            },
        }
    }

    /// Lists credentials, newest first.
    pub fn list_credentials(&self) -> ListCredentials {
        ListCredentials {
            client: self.clone(),
            message: v1::ListCredentialsRequest::default(),
        }
    }

    /// Gives a credential a new token. The one before it ends at once unless an overlap is set. Refused when the
    /// credential was revoked.
    pub fn rotate_credential(&self, uuid: Uuid) -> RotateCredential {
        RotateCredential {
            client: self.clone(),
            message: v1::RotateCredentialRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Gives the connection's own agent a new token, and makes that agent where there is none. Refused when the
    /// connection was revoked.
    pub fn rotate_connection_token(&self, connection_uuid: Uuid) -> RotateConnectionToken {
        RotateConnectionToken {
            client: self.clone(),
            message: v1::RotateConnectionTokenRequest {
                uuid: connection_uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Ends a credential for good, with all its tokens. Does nothing to one that was revoked before.
    pub fn revoke_credential(&self, uuid: Uuid) -> RevokeCredential {
        RevokeCredential {
            client: self.clone(),
            message: v1::RevokeCredentialRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Opens a session: a code that an agent redeems, once, for a token of this connection, which must be active.
    pub fn create_session(&self, connection_uuid: Uuid) -> CreateSession {
        CreateSession {
            client: self.clone(),
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
    pub fn redeem_session(&self, session_code: impl Into<String>) -> RedeemSession {
        RedeemSession {
            client: self.clone(),
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
