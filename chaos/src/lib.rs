//! Chaos runs: real servers and databases that are killed and cut while clients record every answer, and a checker that
//! compares what the clients were told with what the ledger says afterwards.
//!
//! Every run draws its choices from a seed and prints it; a run with too little load is inconclusive rather than passed.

pub mod agents;
pub mod audit;
pub mod balancer;
pub mod cancellation;
pub mod change;
pub mod checker;
pub mod crash;
pub mod detect;
pub mod failover;
pub mod faults;
pub mod fleet;
pub mod flood;
pub mod lifecycles;
pub mod load;
pub mod races;
pub mod report;
pub mod rolling;
pub mod snapshot;
pub mod statuses;
pub mod sweep;
pub mod watch;

pub use balancer::Balancer;
pub use fleet::{Fleet, Setup};
pub use report::{Report, Verdict};
