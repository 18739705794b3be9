//! What the client gives and takes: plain values with chrono times and UUIDs, serializable for output.
//!
//! Nothing here knows the wire; `convert` translates.

mod connection;
mod event;
mod filter;
mod progress;
mod stats;
mod text;
mod transfer;
mod words;

pub(crate) use self::words::Wire;
pub use self::{
    connection::Connection,
    event::Event,
    filter::TransferFilter,
    progress::{Progress, Totals},
    stats::{ConnectionStats, TableStats},
    transfer::Transfer,
    words::{
        ConflictStrategy, ConnectionDirection, ConnectionStatus, Direction, EventAction, SortOrder,
        TransferStatus, UnknownWord,
    },
};
