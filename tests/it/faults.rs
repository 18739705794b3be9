//! Faults of everything around the process: disk, log, network, database, clock and callers. docs/faults.md lists each
//! fault with the test that proves the answer to it.

mod feed;
mod harness;
mod ledger;
mod names;
mod postgres;
mod process;
mod wire;
