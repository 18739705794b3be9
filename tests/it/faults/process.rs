//! The process: its log, its tasks, its signals, its health, and what it costs while nothing happens.
