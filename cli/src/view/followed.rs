//! How a transfer looks that is followed.

use super::transfer::state;
use crate::board::Followed;
use crate::output::Column;

/// The columns of a table that is drawn anew.
pub(crate) const COLUMNS: &[Column<Followed>] = &[
    Column::text("ID", |it, look| look.id(it.transfer.uuid)),
    Column::status("STATUS", |it, _| state(&it.transfer)),
    Column::name("TRANSFER", |it, _| it.what()),
    Column::number("ROWS", |it, _| it.rows()),
    Column::number("DONE", |it: &Followed, _| it.percent()).if_room(1),
    Column::number("ROWS/S", |it, _| it.speed()),
    Column::number("LEFT", |it, look| it.time_left(look.now)),
    Column::number("SILENT", |it, _| it.silence()),
];
