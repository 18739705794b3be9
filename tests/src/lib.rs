//! The harness of the end-to-end tests: servers in this process or in one of their own, clients, and what a refusal says.
//!
//! Every server gets a database of its own, of the kind that the run is about, and a port that the system picks. Whatever
//! is started here is stopped here, by its handle, within bounded time.

pub mod actors;
pub mod audit;
pub mod certificates;
pub mod cluster;
pub mod collector;
pub mod database;
pub mod dynamic;
pub mod fault;
pub mod http2;
pub mod metrics;
pub mod needs;
pub mod pooler;
pub mod process;
pub mod raw;
pub mod refusal;
pub mod relay;
pub mod request;
pub mod site;
pub mod tools;
pub mod transfer_action;
pub mod trio;
pub mod world;

pub use database::Database;
pub use process::ServerProcess;
pub use refusal::{Refused, assert_refused, refused};
pub use world::{World, WorldOptions};

use std::time::Duration;

/// Longest wait for anything that should happen soon.
pub const SOON: Duration = Duration::from_secs(20);

/// How many races a test runs: `usual`, or as `TIDEGATE_TEST_RACES` says.
///
/// # Panics
/// When that is not a number.
pub fn races(usual: u64) -> u64 {
    std::env::var("TIDEGATE_TEST_RACES").map_or(usual, |text| text.parse().expect("a number"))
}

/// Waits for `future`, but not for ever.
///
/// # Panics
/// When it takes longer than [`SOON`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {SOON:?}"),
    }
}
