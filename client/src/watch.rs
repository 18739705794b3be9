//! Watches: streams that reconnect by themselves and tell no state twice and none backwards.
//!
//! `one` follows a transfer, `many` a filter, `events` the log, and `export` reads all that there is; `connection` is what all know about connections, `seen` what `many` has told.

mod events;
mod export;
mod many;
mod one;
mod reconnect;
mod seen;

pub use self::{
    events::{EventsWatch, WatchEvents},
    export::{ExportTransfers, ExportedTransfers, TransfersExport},
    many::{TransfersWatch, WatchTransfers, WatchUpdate},
    one::TransferWatch,
};
