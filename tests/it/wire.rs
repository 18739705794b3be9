//! Every method of every service over the wire, with the whole of its answer.
//!
//! [`coverage`](crate::coverage) reads the tests in here and misses every method that none of them calls.

mod about;
mod agents;
mod approval;
mod bulk;
mod claims;
mod connection_life;
mod connection_update;
mod connections;
mod create;
mod credentials;
mod events;
mod explain;
mod export;
mod leases;
mod life;
mod limits;
mod lists;
mod movement;
mod outcome;
mod receipts;
mod retry;
mod sessions;
mod stats;
mod stops;
mod streams;
mod verify;
