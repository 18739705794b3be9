//! Every promise, proven over the wire. One binary, a module for each subject.

mod architecture;
mod audit;
mod auth;
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
mod plans;
mod policy;
mod progress;
mod races;
mod replicas_feed;
mod startup;
mod sweeper;
mod tls;
mod tokens;
mod tools;
mod tour;
mod watch;
mod wire;
