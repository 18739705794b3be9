//! Every promise, proven over the wire. One binary, a module for each subject.

mod architecture;
mod bad_input;
mod cli;
mod copy;
mod coverage;
mod crash;
mod drain;
mod idempotency;
mod paging;
mod races;
mod startup;
mod tools;
mod tour;
mod wire;
