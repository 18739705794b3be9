//! The client against a server that plays a script: retries, streams that break, answers that make no sense.
//!
//! What a true server does is tested with the server; here it is what servers and networks do when things go wrong.

#[cfg(feature = "blocking")]
mod blocking;
mod calls;
mod connect;
mod export;
mod fake;
mod reporter;
mod token;
mod watch_many;
mod watch_one;
mod worker;
