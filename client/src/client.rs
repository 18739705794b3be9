//! The client: two connections, a timeout and a retry policy, shared by all clones.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use backon::Retryable as _;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tonic::{Request, Response, Status};

use crate::{
    ClientBuilder, Error, RetryPolicy,
    call::Call,
    error::Code,
    retry,
    token::Bearer,
    trace::TraceContext,
    transport::{Stubs, before, deadline, timed},
};

/// Where a server listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:50051";

/// A connection to a Tidegate server. Cloning is cheap; clones share the connection, which is made anew when it breaks.
///
/// The calls are grouped: [`transfers`](Self::transfers), [`approvals`](Self::approvals), [`connections`](Self::connections) and
/// so on. Each returns a request: set what is optional, then `.await` it. Calls are tried again as [`RetryPolicy`]
/// says; those that change something carry a request id (a fresh UUID unless given), so that no change is made twice.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    address: String,
    calls: Stubs,
    streams: Stubs,
    bearer: Bearer,
    trace: TraceContext,
    timeout: Duration,
    retry: RetryPolicy,
    runtime: Handle,
}

impl Client {
    /// Prepares a client of the server at `address`, such as `https://gate.example:50051`. Without a scheme it is
    /// `http://` for `localhost`, 127.0.0.0/8 and `::1`, and `https://` for any other host.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }

    /// Connects to the server at `address` with the defaults of [`ClientBuilder`].
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect(address: impl Into<String>) -> Result<Self, Error> {
        Self::builder(address).connect().await
    }

    /// Connects to the server that the variables name; with the feature `profiles`, or the profile that they name, or the
    /// user's default profile; where there is none, to [`DEFAULT_ADDRESS`]. [`ClientBuilder::from_env`] says which variables,
    /// and sets up more.
    ///
    /// # Errors
    /// As [`ClientBuilder::from_env`] and [`ClientBuilder::connect`].
    pub async fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.connect().await
    }

    /// Connects to the server of one of the user's [`Profiles`](crate::Profiles), whatever the variables say. Needs the
    /// feature `profiles`.
    ///
    /// # Errors
    /// As [`ClientBuilder::from_profile`] and [`ClientBuilder::connect`].
    #[cfg(feature = "profiles")]
    pub async fn from_profile(name: &str) -> Result<Self, Error> {
        ClientBuilder::from_profile(name)?.connect().await
    }

    pub(crate) fn new(
        address: String,
        calls: Stubs,
        streams: Stubs,
        bearer: Bearer,
        timeout: Duration,
        retry: RetryPolicy,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Shared {
            address,
            calls,
            streams,
            bearer,
            trace: TraceContext::default(),
            timeout,
            retry,
            runtime,
        }))
    }

    /// This client within a trace, on the same connections: what it calls belongs to the span that W3C's `traceparent`
    /// names, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`. `tracestate` is passed on as it is.
    ///
    /// # Errors
    /// When `traceparent` is not of this form, or `tracestate` is no header value.
    pub fn in_trace(&self, traceparent: &str, tracestate: Option<&str>) -> Result<Self, Error> {
        Ok(Self(Arc::new(Shared {
            trace: TraceContext::new(traceparent, tracestate)?,
            ..(*self.0).clone()
        })))
    }

    /// The address of the server, with its scheme.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    pub(crate) fn retry(&self) -> RetryPolicy {
        self.0.retry
    }

    /// The runtime that the client was made in, for tasks of its own.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// One try of one call.
    pub(crate) async fn call_once<C: Call>(&self, message: C) -> Result<C::Answer, Error> {
        let timeout = self.0.timeout.saturating_add(message.wait());
        self.call_within(message, timeout).await
    }

    /// One try of one call that may take so long.
    pub(crate) async fn call_within<C: Call>(
        &self,
        message: C,
        timeout: Duration,
    ) -> Result<C::Answer, Error> {
        let deadline = deadline(timeout);
        let request = self.signed(timed(message, timeout), deadline);
        let request = request.await?;
        before(deadline, C::send(self.0.calls.clone(), request)).await
    }

    /// One try to open a long-lived stream, on the connection for these.
    pub(crate) async fn open<M, S, F>(
        &self,
        message: M,
        send: impl FnOnce(Stubs, Request<M>) -> F,
    ) -> Result<S, Error>
    where
        F: Future<Output = Result<Response<S>, Status>>,
    {
        let deadline = deadline(self.0.timeout);
        let request = self.signed(Request::new(message), deadline).await?;
        before(deadline, send(self.0.streams.clone(), request)).await
    }

    /// Whether a stream that was let in, and ended so, may be let in again: its token has ended, and the source of tokens may
    /// have another one.
    pub(crate) fn may_have_new_token(&self, end: &Error) -> bool {
        end.is_unauthenticated() && matches!(self.0.bearer, Bearer::Asked(_))
    }

    /// Says who makes the request, and within which trace.
    async fn signed<M>(
        &self,
        mut request: Request<M>,
        deadline: Instant,
    ) -> Result<Request<M>, Error> {
        self.0.trace.add_to(&mut request);
        let signed = timeout_at(deadline, self.0.bearer.sign(&mut request));
        signed.await.unwrap_or_else(|_elapsed| {
            let text = "the token did not come in time";
            Err(Error::local(Code::DeadlineExceeded, text))
        })?;
        Ok(request)
    }

    /// One call, in as many tries as the policy allows. The message must carry its request id already.
    pub(crate) async fn call<C: Call>(&self, message: C) -> Result<C::Answer, Error> {
        (|| self.call_once(message.clone()))
            .retry(self.0.retry.waits())
            .when(retry::is_worth_a_retry)
            .adjust(retry::adjusted)
            .notify(|error, wait| {
                tracing::debug!(rpc = C::NAME, %error, ?wait, "the call failed and is tried again");
            })
            .await
            .map_err(|error| self.located(error))
    }

    /// Names the server in what went wrong on the way to it.
    pub(crate) fn located(&self, error: Error) -> Error {
        if error.is_broken() || error.is_timeout() {
            error.explained(format!("{}: {}", self.0.address, error.message()))
        } else {
            error
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.0.address)
            .field("timeout", &self.0.timeout)
            .field("retry", &self.0.retry)
            .finish_non_exhaustive()
    }
}
