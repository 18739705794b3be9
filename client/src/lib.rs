//! Typed client of Tidegate, the control plane for transfers of database tables between sites.
//!
//! A [`Client`] is cheap to clone and connects again by itself. Its calls are grouped by what they are about, such as
//! [`client.transfers().get(uuid)`](Transfers::get). Each returns a request: set what is optional, then `.await` it. What
//! is not tried again, and why, is in [`RetryPolicy`]; how to tell errors apart is in [`Error`].
//!
//! [`Client::from_env`] connects as the user has set it up, by variables, and [`Client::builder`] takes nothing but what it
//! is told.
//!
//! A token is given as a text ([`ClientBuilder::token`]), as a file that is read again for each call
//! ([`ClientBuilder::token_file`]), or by an async function ([`ClientBuilder::token_provider`]).
//!
//! # Features
//!
//! | feature | what it adds | default |
//! | --- | --- | --- |
//! | `tls-webpki-roots` | TLS with the authorities that browsers trust, which are compiled in | yes |
//! | `tls-native-roots` | TLS with the authorities that this machine trusts; with both features, either | |
//! | `tls` | TLS with the authorities that [`ClientBuilder::ca_certificate`] names, and no others | |
//! | `blocking` | `blocking::Client`, for programs without an async runtime | |
//! | `profiles` | `Profiles`, the addresses and tokens that `tidegate login` keeps, in [`Client::from_env`] too | |
//!
//! # An agent that runs what others declare
//!
//! A [`Worker`] claims as many transfers as it has slots, over any outage, and says to operators that it is there.
//!
//! ```no_run
//! use tidegate_client::{ClaimedRun, Client, Error, Totals};
//!
//! # async fn copy(run: &ClaimedRun) -> Totals { Totals::default() }
//! # async fn agent() -> Result<(), Error> {
//! let client = Client::from_env().await?;
//! let work = client.agents().work("copy-1").slots(4).version("1.4.0").engine("postgres", "17.2");
//! let mut worker = work.start();
//! while let Some(run) = worker.next().await? {
//!     // The slot is taken until the run is dropped.
//!     tokio::spawn(async move {
//!         let totals = copy(&run).await;
//!         run.reporter.finish(totals).await
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # An agent
//!
//! An agent starts a transfer, moves its rows, says how far it has come as often as it likes, and ends it.
//! [`ProgressReporter`] sends the newest totals in the background and tells when to stop.
//!
//! ```no_run
//! use std::time::Duration;
//! use tidegate_client::{Client, Direction, Error, ReporterStop, Totals};
//!
//! # async fn move_batch() -> Option<i64> { None }
//! # async fn agent() -> Result<(), Error> {
//! let client = Client::connect("http://127.0.0.1:50051").await?;
//! let transfer = client
//!     .transfers().create(Direction::Send, "public.orders")
//!     .records_requested(10_000)
//!     .await?;
//! let transfer = client
//!     .transfers().start(transfer.uuid)
//!     .heartbeat_timeout(Duration::from_secs(30))
//!     .await?;
//!
//! let reporter = client.transfers().report_progress(&transfer);
//! let mut totals = Totals::default();
//! while let Some(rows) = move_batch().await {
//!     totals.records_transferred += rows;
//!     totals.records_created += rows;
//!     reporter.report(totals);
//!     match reporter.status() {
//!         None => {}
//!         Some(ReporterStop::Requested(_)) => {
//!             if reporter.acknowledge_stop(totals).await?.is_some() {
//!                 return Ok(());
//!             }
//!         }
//!         Some(stop) => {
//!             println!("stopping: {stop}");
//!             return Ok(());
//!         }
//!     }
//! }
//! let done = reporter.finish(totals).await?;
//! println!("{} rows in {:?}", done.progress.records_transferred, done.duration);
//! # Ok(())
//! # }
//! ```
//!
//! # An approver
//!
//! ```no_run
//! use futures::TryStreamExt as _;
//! use tidegate_client::{Client, Error};
//!
//! # async fn approver() -> Result<(), Error> {
//! let client = Client::from_env().await?;
//! let mut waiting = client.approvals().list_pending().items();
//! while let Some(transfer) = waiting.try_next().await? {
//!     match client.approvals().approve(transfer.uuid).comment("as agreed").await {
//!         Ok(transfer) => println!("{} is {}", transfer.table_name, transfer.status),
//!         // Somebody else was faster, or the deadline has passed.
//!         Err(error) if error.is_precondition() => println!("{error}"),
//!         Err(error) => return Err(error),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A watcher
//!
//! Watches ride out whatever interrupts the connection, and never tell a state twice or backwards.
//!
//! ```no_run
//! use futures::TryStreamExt as _;
//! use tidegate_client::{Client, Error, TransferFilter, WatchUpdate};
//!
//! # async fn watcher() -> Result<(), Error> {
//! let client = Client::from_env().await?;
//! let orders = TransferFilter {
//!     tables: vec!["public.orders".to_owned()],
//!     ..TransferFilter::default()
//! };
//! let mut updates = client
//!     .transfers().watch_all()
//!     .filter(orders)
//!     .include_existing(true)
//!     .into_stream();
//! while let Some(update) = updates.try_next().await? {
//!     match update {
//!         WatchUpdate::Transfer(transfer) => {
//!             println!("{} {} {}", transfer.uuid, transfer.status, transfer.progress.records_transferred);
//!         }
//!         WatchUpdate::Deleted(uuid) => println!("{uuid} was deleted"),
//!         WatchUpdate::CaughtUp => println!("live from here on"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod call;
mod client;
mod convert;
mod error;
mod model;
#[cfg(feature = "tls")]
mod probe;
#[cfg(feature = "profiles")]
mod profile;
mod reporter;
mod retry;
mod security;
mod settings;
mod token;
mod trace;
mod transport;
mod view;
mod watch;
mod worker;

#[cfg(feature = "profiles")]
pub use self::profile::{Profile, Profiles};
pub use self::{
    builder::ClientBuilder,
    call::*,
    client::{Client, DEFAULT_ADDRESS},
    error::{Code, Error, FieldViolation, Reason, TlsProblem},
    model::*,
    reporter::{ProgressReporter, ReporterStop},
    retry::RetryPolicy,
    settings::ClientSettings,
    view::{Agents, Approvals, Bulk, Connections, Credentials, Events, Sessions, Stats, Transfers},
    watch::{
        EventsWatch, ExportTransfers, ExportedTransfers, TransferWatch, TransfersExport,
        TransfersWatch, WatchEvents, WatchTransfers, WatchUpdate,
    },
    worker::{ClaimedRun, RunSlot, Work, Worker},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
