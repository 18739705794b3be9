//! Stands before every method where authentication is required: who calls, may they, and how often.

use std::{
    error::Error as _,
    net::IpAddr,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response, header::AUTHORIZATION};
use tonic::Status;
use tower::{Layer, Service};

use super::status::status;
use crate::{
    auth::{Authenticated, Authenticator},
    config::Reflection,
    error::Error,
    net::origin,
};
use tidegate_domain::{
    command::Note,
    refusal::{ErrorKind, Refusal},
};

pub(super) mod access;

use access::{Access, Effect, Who, access_with};

/// The layer; without authentication it changes nothing.
#[derive(Clone)]
pub(super) struct AuthLayer(pub(super) Option<Authenticator>, pub(super) Reflection);

/// The service that it makes.
#[derive(Clone)]
pub(super) struct Auth<S> {
    inner: S,
    authenticator: Option<Authenticator>,
    reflection: Reflection,
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth {
            inner,
            authenticator: self.0.clone(),
            reflection: self.1,
        }
    }
}

impl<S, B, R> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(authenticator) = self.authenticator.clone() else {
            return Box::pin(self.inner.call(request));
        };
        // The one that was polled goes along; its clone has to be polled first.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (path, token) = (path(&request), token(&request));
        let address = origin::of(request.extensions());
        let access = access_with(&path, self.reflection);
        Box::pin(async move {
            let context = match AuthContext::of(&authenticator, access, &path, token, address).await
            {
                Ok(context) => context,
                Err(error) => return Ok(status(error).into_http()),
            };
            if let Err(error) = context.is_allowed() {
                let refusal = status(error);
                context.note(Some(&refusal));
                return Ok(refusal.into_http());
            }
            if let Some(authenticated) = &context.authenticated {
                request.extensions_mut().insert(authenticated.caller());
                request.extensions_mut().insert(authenticated.clone());
            }
            let response = inner.call(request).await?;
            context.note(response.extensions().get());
            Ok(response)
        })
    }
}

/// One call on its way through.
struct AuthContext {
    access: Access,
    method: String,
    /// Absent for the calls that take no token.
    authenticated: Option<Authenticated>,
}

impl AuthContext {
    /// Finds out who calls.
    async fn of(
        authenticator: &Authenticator,
        access: Access,
        path: &str,
        token: Option<String>,
        address: Option<IpAddr>,
    ) -> Result<Self, Error> {
        let authenticated = if access.who == Who::Anybody {
            if path == access::REDEEM {
                authenticator.guess(address)?;
            }
            None
        } else {
            Some(authenticator.admit(token.as_deref(), address).await?)
        };
        let method = path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Self {
            access,
            method,
            authenticated,
        })
    }

    /// Whether whoever calls may, and not too often.
    fn is_allowed(&self) -> Result<(), Error> {
        let Some(authenticated) = &self.authenticated else {
            return Ok(());
        };
        authenticated.count()?;
        authenticated.note_use();
        let role = authenticated.identity().role;
        if self.access.allows(role) {
            return Ok(());
        }
        let refusal = Refusal::PermissionDenied {
            role: role.name(),
            method: self.method.clone(),
        };
        Err(refusal.into())
    }

    /// Notes how the call ended: a refused change in the log, one that may have ended tokens.
    fn note(&self, ended: Option<&Status>) {
        let Some(authenticated) = &self.authenticated else {
            return;
        };
        match (self.access.effect, ended) {
            (Effect::Reads, _) | (Effect::Changes, None) => {}
            (Effect::ChangesRights, None) => authenticated.forget(),
            (Effect::Changes | Effect::ChangesRights, Some(refusal)) => {
                if let Some(note) = noteworthy(&self.method, refusal) {
                    authenticated.note_refusal(note);
                }
            }
        }
    }
}

/// What the log says about a refusal by a rule, a policy or a role.
fn noteworthy(method: &str, refusal: &Status) -> Option<Note> {
    let error = refusal.source()?.downcast_ref::<Error>()?;
    let is_ruled = matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::FailedPrecondition
            | ErrorKind::NotFound
            | ErrorKind::Aborted
    );
    match error {
        Error::Refused(refusal, target) if is_ruled => Some(Note::Refusal {
            reason: refusal.reason(),
            method: method.to_owned(),
            target: target.clone(),
            dropped: 0,
        }),
        _ => None,
    }
}

/// The token that a request shows; `None` when it shows nothing. What is no token in its proper form is an empty text,
/// which is a bad one.
fn token<B>(request: &Request<B>) -> Option<String> {
    const SCHEME: &str = "bearer ";
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let token = text.and_then(|text| {
        let (scheme, token) = text.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
    });
    Some(token.unwrap_or_default().to_owned())
}

fn path<B>(request: &Request<B>) -> String {
    request.uri().path().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_domain::command::Target;

    fn shown(values: &[&str]) -> Option<String> {
        let mut request = Request::new(());
        for value in values {
            let value = value.parse().expect("a value");
            request.headers_mut().append(AUTHORIZATION, value);
        }
        token(&request)
    }

    #[test]
    fn a_token_is_shown_once_and_as_a_bearer() {
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(shown(&["bearer abc"]).as_deref(), Some("abc"));
        for bad in ["", "abc", "Bearer", "Basic abc", "Bearerabc", "ä"] {
            assert_eq!(shown(&[bad]).as_deref(), Some(""), "{bad}");
        }
        let twice = shown(&["Bearer abc", "Bearer abc"]);
        assert_eq!(twice.as_deref(), Some(""));
    }

    #[test]
    fn refusals_by_rules_are_noteworthy_and_others_are_not() {
        let denied = Refusal::PermissionDenied {
            role: "VIEWER",
            method: "DeleteTransfer".to_owned(),
        };
        let denied = status(Error::from(denied));
        let note = |reason, method: &str, target| {
            Some(Note::Refusal {
                reason,
                method: method.to_owned(),
                target: Box::new(target),
                dropped: 0,
            })
        };
        assert_eq!(
            noteworthy("DeleteTransfer", &denied),
            note("PERMISSION_DENIED", "DeleteTransfer", Target::default())
        );
        let uuid = uuid::Uuid::from_u128(7);
        let target = Target {
            named: Some(uuid),
            ..Target::default()
        };
        let refusal = Refusal::TransferNotFound { uuid: uuid.into() };
        let unknown = status(Error::Refused(refusal, Box::new(target.clone())));
        assert_eq!(
            noteworthy("StartTransfer", &unknown),
            note("TRANSFER_NOT_FOUND", "StartTransfer", target)
        );
        for other in [
            Error::QueueFull,
            Refusal::Invalid { fields: Vec::new() }.into(),
            Refusal::Unauthenticated.into(),
        ] {
            assert_eq!(noteworthy("StartTransfer", &status(other)), None);
        }
    }
}
