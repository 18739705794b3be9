//! What a connection lets its transfers do, bitten into by every kind of request that it does not.

mod approval;
mod budgets;
mod client;
mod events;
mod expiry;
mod refusals;
mod runs;
