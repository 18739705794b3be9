//! Watches: streams that reconnect by themselves and tell no state twice and none backwards.
//!
//! `one` follows a transfer, `many` a filter, `events` the log; `line` is what all know about connections, `memory` what `many` has told.

mod events;
mod line;
mod many;
mod memory;
mod one;

pub use self::{
    events::{EventsWatch, WatchEvents},
    many::{TransfersWatch, WatchTransfers, WatchUpdate},
    one::TransferWatch,
};
