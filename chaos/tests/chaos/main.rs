//! The chaos runs in short, and whether their checker notices what it has to.

mod agents;
mod checker;
mod crash;
mod deliberate_faults;
mod failover;
