//! Watches: streams that reconnect by themselves and tell no state twice and none backwards.
//!
//! `one` follows a transfer, `many` a filter; `line` is what both know about connections, `memory` what `many` has told.

mod line;
mod many;
mod memory;
mod one;

pub use self::{
    many::{TransfersWatch, WatchTransfers, WatchUpdate},
    one::TransferWatch,
};
