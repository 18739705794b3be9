//! What every statement goes through: how it is put together, sent within a limit of time, and what became of it.

pub(crate) mod chunk;
pub(crate) mod classify;
pub(crate) mod condition;
pub(crate) mod reader;
pub(crate) mod session;
pub(crate) mod transaction;
pub(crate) mod update;
