//! `CredentialService`.
//!
//! Tokens and codes are made here, go to the ledger as digests and to the caller as they are, and are forgotten.

use tidegate_proto::v1::{self, credential_service_server::CredentialService};
use tonic::{Request, Response, Status};

use super::{
    Backend,
    caller::Caller,
    decode::{self, Mutation, TokenDigest},
    encode, page,
    status::status,
};
use crate::{error::Error, ledger::secret};
use tidegate_domain::{
    command::{CredentialCommand, OpenSession, Opened},
    credential::{Credential, Session},
    id::CredentialId,
    page::{Position, Scope},
    refusal::Refusal,
    validate::Check,
};

/// How often a session code is made anew when another session has it. One in 10^11 or so is taken.
const CODE_TRIES: u32 = 4;

/// The service.
#[derive(Clone)]
pub(super) struct CredentialApi {
    backend: Backend,
}

impl CredentialApi {
    pub(super) const fn new(backend: Backend) -> Self {
        Self { backend }
    }

    async fn caller(
        &self,
        request: Request<v1::GetCallerRequest>,
    ) -> Result<v1::GetCallerResponse, Error> {
        let Some(uuid) = Caller::of(&request).who.credential() else {
            return Ok(v1::GetCallerResponse { credential: None });
        };
        let credential = self.find(uuid).await?;
        Ok(v1::GetCallerResponse {
            credential: Some(encode::credential(&credential)),
        })
    }

    async fn create(
        &self,
        request: Request<v1::CreateCredentialRequest>,
    ) -> Result<v1::CreateCredentialResponse, Error> {
        let (credential, token) = issue(&self.backend, request).await?;
        Ok(v1::CreateCredentialResponse {
            credential: Some(credential),
            token,
        })
    }

    async fn get(
        &self,
        request: v1::GetCredentialRequest,
    ) -> Result<v1::GetCredentialResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let uuid = check.finish(uuid)?;
        let credential = self.find(uuid).await?;
        Ok(v1::GetCredentialResponse {
            credential: Some(encode::credential(&credential)),
        })
    }

    async fn list(
        &self,
        request: v1::ListCredentialsRequest,
    ) -> Result<v1::ListCredentialsResponse, Error> {
        let mut check = Check::default();
        let filter = decode::credential_filter(&mut check, &request);
        let scope = Scope::new("credentials", "desc", &filter.fingerprint());
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            0,
        );
        let window = check.finish(window)?;
        let rows = self
            .backend
            .readers
            .credentials(&filter, page::one_more(window))
            .await?;
        let place = |row: &Credential| Position {
            micros: row.inserted_at.as_micros(),
            uuid: row.uuid.into(),
        };
        let (credentials, next_page_token) =
            page::fit(&rows, window.limit, &scope, place, encode::credential);
        Ok(v1::ListCredentialsResponse {
            credentials,
            next_page_token,
        })
    }

    async fn rotate(
        &self,
        request: Request<v1::RotateCredentialRequest>,
    ) -> Result<v1::RotateCredentialResponse, Error> {
        let (credential, token) = issue(&self.backend, request).await?;
        Ok(v1::RotateCredentialResponse {
            credential: Some(credential),
            token,
        })
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeCredentialRequest>,
    ) -> Result<v1::RevokeCredentialResponse, Error> {
        let submission = decode::submission(request)?;
        let credential = self.backend.ledger.submit(submission).await?;
        Ok(v1::RevokeCredentialResponse {
            credential: Some(encode::credential(&credential)),
        })
    }

    async fn open(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Result<v1::CreateSessionResponse, Error> {
        let mut code = secret::new_session_code()?;
        let mut submission = decode::session_submission(request, &code, &self.backend.pepper)?;
        for _ in 0..CODE_TRIES {
            match self.backend.ledger.submit(submission.clone()).await? {
                Opened::Session(session) => return Ok(opened(&session, &submission.command, code)),
                Opened::CodeTaken => {
                    code = secret::new_session_code()?;
                    decode::new_code(&mut submission.command, &code, &self.backend.pepper);
                }
            }
        }
        Err(Error::internal("no session code was free"))
    }

    async fn redeem(
        &self,
        request: Request<v1::RedeemSessionRequest>,
    ) -> Result<v1::RedeemSessionResponse, Error> {
        let token = secret::new_token()?;
        let submission = decode::redemption(request, &token, &self.backend.pepper)?;
        let credential = self.backend.ledger.submit(submission).await?;
        Ok(v1::RedeemSessionResponse {
            credential: Some(encode::credential(&credential)),
            token: token.reveal(),
        })
    }

    async fn find(&self, uuid: CredentialId) -> Result<Credential, Error> {
        let found = self.backend.readers.credential(uuid).await?;
        Ok(found.ok_or(Refusal::CredentialNotFound { uuid })?)
    }
}

/// Gives out a new token: the credential that it belongs to, and the token; empty for a repetition, whose token was
/// given out before and cannot be shown again.
pub(super) async fn issue<M>(
    backend: &Backend,
    request: Request<M>,
) -> Result<(v1::Credential, String), Error>
where
    M: Mutation<Command = CredentialCommand, Made = TokenDigest>,
{
    let token = secret::new_token()?;
    let digest = decode::token_digest(&token, &backend.pepper);
    let submission = decode::submission_with(request, digest)?;
    let credential = backend.ledger.submit(submission).await?;
    let is_new = credential
        .tokens
        .last()
        .is_some_and(|newest| newest.id == token.id());
    let token = if is_new {
        token.reveal()
    } else {
        String::new()
    };
    Ok((encode::credential(&credential), token))
}

fn opened(
    session: &Session,
    OpenSession(asked): &OpenSession,
    code: String,
) -> v1::CreateSessionResponse {
    let is_new = asked.digest == session.declared.digest;
    v1::CreateSessionResponse {
        session_code: if is_new { code } else { String::new() },
        expires_at: Some(encode::timestamp(session.expires_at)),
    }
}

#[tonic::async_trait]
impl CredentialService for CredentialApi {
    async fn get_caller(
        &self,
        request: Request<v1::GetCallerRequest>,
    ) -> Result<Response<v1::GetCallerResponse>, Status> {
        self.caller(request)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn create_credential(
        &self,
        request: Request<v1::CreateCredentialRequest>,
    ) -> Result<Response<v1::CreateCredentialResponse>, Status> {
        self.create(request)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn get_credential(
        &self,
        request: Request<v1::GetCredentialRequest>,
    ) -> Result<Response<v1::GetCredentialResponse>, Status> {
        self.get(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_credentials(
        &self,
        request: Request<v1::ListCredentialsRequest>,
    ) -> Result<Response<v1::ListCredentialsResponse>, Status> {
        self.list(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn rotate_credential(
        &self,
        request: Request<v1::RotateCredentialRequest>,
    ) -> Result<Response<v1::RotateCredentialResponse>, Status> {
        self.rotate(request)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn revoke_credential(
        &self,
        request: Request<v1::RevokeCredentialRequest>,
    ) -> Result<Response<v1::RevokeCredentialResponse>, Status> {
        self.revoke(request)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn create_session(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Result<Response<v1::CreateSessionResponse>, Status> {
        self.open(request).await.map(Response::new).map_err(status)
    }

    async fn redeem_session(
        &self,
        request: Request<v1::RedeemSessionRequest>,
    ) -> Result<Response<v1::RedeemSessionResponse>, Status> {
        self.redeem(request)
            .await
            .map(Response::new)
            .map_err(status)
    }
}
