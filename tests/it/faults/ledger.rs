//! Transactions that fail at their end, rows that somebody else holds, and the limit of time of a call.

mod append;
mod commit;
mod disk;
mod limit;
mod locked;

/// How soon a call is answered, whatever it waits for.
const ANSWERED: std::time::Duration = std::time::Duration::from_secs(3);
