//! Logs that go back or fork, and lists that must not be cut: what watchers are told.
