//! The tables as SeaORM entities, one file each: rows, no behaviour.
//!
//! Times are microseconds since 1970-01-01 UTC, closed sets are kept by the names that the wire uses, and what is absent is
//! NULL. The schema itself is `tidegate-migration`'s.

pub mod access_token;
pub mod agent;
pub mod attempt;
pub mod bulk_operation;
pub mod bulk_outcome;
pub mod by_place;
pub mod connection;
pub mod credential;
pub mod deleted_transfer;
pub mod event;
pub mod event_counter;
pub mod session;
pub mod stored;
pub mod transfer;
pub mod transfer_stats;
