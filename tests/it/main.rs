//! Every promise, proven over the wire. One binary, a module for each subject.

mod architecture;
mod bad_input;
mod cli;
mod copy;
mod coverage;
mod crash;
mod drain;
mod idempotency;
mod log;
mod outage;
mod paging;
mod progress;
mod races;
mod replicas_feed;
mod startup;
mod sweeper;
mod tools;
mod tour;
mod watch;
mod wire;
