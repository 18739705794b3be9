//! Torture: real servers and databases that are killed and cut while clients write down every answer, and checkers that
//! hold what the clients were told against what the ledger says afterwards.
//!
//! Every run draws its choices from a seed and says which; a run with too little load is void rather than green.

pub mod account;
pub mod ask;
pub mod audit;
pub mod checker;
pub mod crash;
pub mod crowd;
pub mod faults;
pub mod fleet;
pub mod flood;
pub mod lives;
pub mod planted;
pub mod races;
pub mod report;
pub mod rolling;
pub mod sweep;
pub mod town;
pub mod walker;
pub mod watch;
pub mod wire;

pub use fleet::{Fleet, Setup};
pub use report::{Report, Verdict};
pub use wire::Wire;
