//! Tidegate's server: the ledger of table transfers between sites, behind gRPC.
//!
//! In reading order: [`tidegate_domain`] holds the rules, [`ledger`] is the only writer, [`tidegate_store`] the only SQL, [`feed`] wakes
//! watchers, [`auth`] lets callers in, [`rpc`] is the only gRPC, and [`serve`] puts them together.

pub mod audit;
pub mod auth;
pub mod bootstrap;
pub mod check;
pub mod checkpoint;
pub mod clock;
pub mod config;

pub mod error;

pub mod feed;
pub mod health;
pub mod ledger;
pub mod metrics;
pub mod net;
pub mod ready;
pub mod reload;
pub mod rpc;
pub mod serve;

pub mod supervisor;
pub mod telemetry;
pub mod time;
pub mod traces;
