//! The rules of the ledger as pure functions over plain values.
//!
//! Knows nothing of gRPC, of SQL or of tasks: everything here can be tried without a server, a database or a clock.

pub mod command;
pub mod connection;
pub mod decide;
pub mod event;
pub mod page;
pub mod progress;
pub mod query;
pub mod refusal;
pub mod rule;
pub mod status;
pub mod time;
pub mod transfer;
pub mod validate;
