//! The rules of the ledger as pure functions over plain values.
//!
//! Knows nothing of gRPC, of SQL or of tasks: everything here can be tried without a server, a database or a clock.

pub mod agent;
pub mod attempt;
pub mod authorize;
pub mod bulk;
pub mod caller;
pub mod chain;
pub mod checkpoint;
pub mod claim;
pub mod command;
pub mod connection;
pub mod credential;
pub mod decide;
pub mod event;
pub mod explain;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod id;
pub mod log;
pub mod movement;
pub mod outcome;
pub mod pace;
pub mod page;
pub mod policy;
pub mod progress;
pub mod query;
pub mod reachable;
pub mod receipt;
pub mod reconcile;
pub mod refusal;
pub mod retry;
pub mod rule;
pub mod stats;
pub mod status;
pub mod stop;
pub mod table;
pub mod text;
pub mod time;
pub mod token;
pub mod transfer;
pub mod validate;
