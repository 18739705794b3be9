//! Runs that are asked to stop: they hear of it, and nothing hangs that does not.

mod agents;
mod connections;
mod races;
