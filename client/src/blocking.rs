//! The client for programs without an async runtime. Needs the feature `blocking`.
//!
//! ```no_run
//! use tidegate_client::{Direction, Error, TransferStatus, blocking::Client};
//!
//! # fn agent() -> Result<(), Error> {
//! let client = Client::from_env()?;
//! let transfer = client.wait(client.transfers().create(Direction::Send, "public.orders"))?;
//! for state in client.iter(client.transfers().watch(transfer.uuid)) {
//!     let state = state?;
//!     println!("{}", state.status);
//!     if state.status == TransferStatus::Approved {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::{future::IntoFuture, ops::Deref, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use tokio::runtime::{self, Handle, Runtime};

use crate::{ClientBuilder, Error, error::Code};

/// A [`Client`](crate::Client) with a thread of its own.
///
/// The thread keeps connections, watches and progress reporters alive while the program does something else. Cloning is
/// cheap; the thread ends with the last clone.
///
/// All calls are those of [`Client`](crate::Client): what they return is given to [`wait`](Self::wait), and watches and
/// [`items`](crate::ListTransfers::items) to [`iter`](Self::iter). Must not be used in async code: it would block it, and
/// panics there.
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
    thread: Arc<Thread>,
}

/// A runtime that may be dropped anywhere.
#[derive(Debug)]
struct Thread {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Client {
    /// Connects to the server at `address` with the defaults of [`ClientBuilder`].
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub fn connect(address: impl Into<String>) -> Result<Self, Error> {
        Self::from_builder(crate::Client::builder(address))
    }

    /// Connects as the variables say; see [`ClientBuilder::from_env`].
    ///
    /// # Errors
    /// As [`ClientBuilder::from_env`] and [`ClientBuilder::connect`].
    pub fn from_env() -> Result<Self, Error> {
        Self::from_builder(ClientBuilder::from_env()?)
    }

    /// Connects as the builder says.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`]; `INTERNAL` when no thread can be started.
    pub fn from_builder(builder: ClientBuilder) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tidegate-client")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::local(Code::Internal, format!("no thread can be started: {error}"))
            })?;
        let thread = Thread {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        };
        let client = thread.handle.block_on(builder.connect())?;
        Ok(Self {
            client,
            thread: Arc::new(thread),
        })
    }

    /// Waits for the answer to a request, or for anything else that is awaited, such as
    /// [`ProgressReporter::finish`](crate::ProgressReporter::finish).
    ///
    /// # Panics
    /// In async code.
    pub fn wait<R: IntoFuture>(&self, request: R) -> R::Output {
        self.thread.handle.block_on(request.into_future())
    }

    /// The items of a stream; each is waited for.
    ///
    /// # Panics
    /// In async code, when the iterator is used.
    pub fn iter<S: Stream + Unpin>(&self, mut stream: S) -> impl Iterator<Item = S::Item> + use<S> {
        let thread = Arc::clone(&self.thread);
        std::iter::from_fn(move || thread.handle.block_on(stream.next()))
    }
}

impl Deref for Client {
    type Target = crate::Client;

    fn deref(&self) -> &crate::Client {
        &self.client
    }
}
