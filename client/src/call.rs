//! The calls: how each message is sent, and the builder that every call of [`Client`](crate::Client) returns.
//!
//! [`request!`] makes a builder; its setters are ordinary methods beside it.

mod agents;
mod approvals;
mod bulk;
mod claim;
mod connections;
mod credentials;
mod events;
mod lifecycle;
mod paged;
mod stats;
mod stops;
mod transfers;

use std::{future::Future, time::Duration};

use tonic::{Request, Response, Status};

pub use self::{
    agents::{GetAgent, ListAgents, RegisterAgent},
    approvals::{
        ApproveTransfer, DenyTransfer, ExpirePendingApprovals, ListPendingApprovals,
        RequestApproval,
    },
    bulk::{
        GetBulkOperation, ListBulkOperations, ListBulkOutcomes, PreviewBulkOperation,
        StartBulkOperation, StopBulkOperation,
    },
    claim::ClaimTransfers,
    connections::{
        ApproveConnection, CreateConnection, DeleteConnection, GetConnection, ListConnections,
        ReactivateConnection, RevokeConnection, SuspendConnection, UpdateConnection,
    },
    credentials::{
        CreateCredential, CreateSession, GetCaller, GetCredential, ListCredentials, RedeemSession,
        RevokeCredential, RotateConnectionToken, RotateCredential,
    },
    events::{ListEvents, VerifyLog},
    lifecycle::{
        CompleteTransfer, FailTransfer, ListAttempts, StartTransfer, SubmitReceipt, UpdateProgress,
    },
    paged::{Listing, Page},
    stats::{GetConnectionStats, ListActiveTransfers, ListRecentTransfers, ListTableStats},
    stops::{AcknowledgeStop, CancelTransfer, PauseTransfer, ResumeTransfer},
    transfers::{
        CountTransfers, CreateTransfer, DeleteTransfer, ExplainTransfer, GetTransfer,
        ListTransfers, RetryTransfer,
    },
};
use crate::transport::Stubs;

/// A request message that knows its RPC.
pub(crate) trait Call: Clone + Send + Sync + 'static {
    /// The RPC, for logs.
    const NAME: &'static str;
    /// The message that answers it.
    type Answer: Send;

    /// How long the server may wait by itself before it answers.
    fn wait(&self) -> Duration {
        Duration::ZERO
    }

    fn send(
        stubs: Stubs,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

/// Makes the builder of one call: the struct, how it is sent, and what its answer becomes.
///
/// `read` is for calls without a request id; `change` adds the setter for it, and one is made up where none was set.
macro_rules! request {
    (
        $(#[$doc:meta])*
        read $name:ident($message:ident) by $service:ident.$method:ident,
        $answer:ident => $output:ty { $read:expr }
    ) => {
        request!(@call $message, $service.$method, $answer);
        request!(@builder $(#[$doc])* $name($message) -> $output);

        impl IntoFuture for $name {
            type Output = Result<$output, Error>;
            type IntoFuture = BoxFuture<'static, Self::Output>;

            /// Sends the request.
            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move {
                    let read: fn(v1::$answer) -> Result<$output, Error> = $read;
                    read(self.client.call(self.message).await?)
                })
            }
        }
    };
    (
        $(#[$doc:meta])*
        change $name:ident($message:ident) by $service:ident.$method:ident,
        $answer:ident => $output:ty { $read:expr }
    ) => {
        request!(@call $message, $service.$method, $answer);
        request!(@change $(#[$doc])* $name($message), $answer => $output { $read });
    };
    (
        @change $(#[$doc:meta])* $name:ident($message:ident), $answer:ident => $output:ty { $read:expr }
    ) => {
        request!(@builder $(#[$doc])* $name($message) -> $output);

        impl $name {
            /// Makes the call safe to repeat by hand, even from another process: at most 36 printable ASCII characters.
            /// Without it the client makes up a UUID, which covers its own retries.
            pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
                self.message.request_id = request_id.into();
                self
            }
        }

        impl IntoFuture for $name {
            type Output = Result<$output, Error>;
            type IntoFuture = BoxFuture<'static, Self::Output>;

            /// Sends the request.
            fn into_future(mut self) -> Self::IntoFuture {
                Box::pin(async move {
                    if self.message.request_id.is_empty() {
                        self.message.request_id = Uuid::new_v4().to_string();
                    }
                    let read: fn(v1::$answer) -> Result<$output, Error> = $read;
                    read(self.client.call(self.message).await?)
                })
            }
        }
    };
    (@call $message:ident, $service:ident.$method:ident, $answer:ident) => {
        impl Call for v1::$message {
            const NAME: &'static str = stringify!($method);
            type Answer = v1::$answer;

            async fn send(
                mut stubs: Stubs,
                request: tonic::Request<Self>,
            ) -> Result<tonic::Response<v1::$answer>, tonic::Status> {
                stubs.$service.$method(request).await
            }
        }
    };
    (@builder $(#[$doc:meta])* $name:ident($message:ident) -> $output:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use = "a request is sent when it is awaited"]
        pub struct $name {
            client: Client,
            message: v1::$message,
        }
    };
}

/// The setters of requests that answer with transfers.
macro_rules! with_connection {
    ($($name:ident),+) => {$(
        impl $name {
            /// Brings each transfer's connection along.
            pub fn with_connection(mut self) -> Self {
                self.message.preload = vec![v1::Preload::Connection.into()];
                self
            }
        }
    )+};
}

/// The setters of requests that answer with pages, and the stream over all of them.
///
/// Fields in braces count from the beginning of the list, so they are for its first page only.
macro_rules! pages {
    ($name:ident of $item:ident { $($first:ident),* }) => {
        impl $name {
            /// At most so many on a page: 50 by default, 1000 at most. A page may hold fewer and still not be the last.
            pub fn page_size(mut self, size: u32) -> Self {
                self.message.page_size = convert::count(size);
                self
            }

            /// Goes on where a page ended: its `next_page_token`, with everything else as it was.
            pub fn page_token(mut self, token: impl Into<String>) -> Self {
                self.message.page_token = token.into();
                self
            }

            /// All items of this page and those after it, fetched page by page as they are read.
            pub fn items(self) -> impl Stream<Item = Result<$item, Error>> + Send + Unpin + 'static {
                paged::items(self)
            }
        }

        impl paged::Paged for $name {
            type Item = $item;

            fn go_on(mut self, token: String) -> Self {
                $(self.message.$first = Default::default();)*
                self.message.page_token = token;
                self
            }
        }
    };
}

pub(crate) use {pages, request, with_connection};
