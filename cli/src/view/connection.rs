//! How a connection looks.

use tidegate_client::Connection;

use crate::output::Column;
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Connection>] = &[
    Column::text("UUID", |connection, _| connection.uuid.to_string()),
    Column::text("STATUS", |connection, _| connection.status.to_string()),
    Column::text("DIRECTION", |connection, _| {
        connection.direction.to_string()
    }),
    Column::text("NAME", |connection, _| connection.name.clone()),
    Column::text("SITE URL", |connection, _| connection.site_url.clone()),
    Column::text("CREATED", |connection, now| {
        text::age(connection.inserted_at, now)
    }),
];

/// The values of one connection.
pub(crate) fn details(connection: &Connection) -> Vec<(&'static str, String)> {
    let now = text::now();
    vec![
        ("uuid", connection.uuid.to_string()),
        ("name", connection.name.clone()),
        ("direction", connection.direction.to_string()),
        ("site url", connection.site_url.clone()),
        ("status", connection.status.to_string()),
        ("created", text::moment(connection.inserted_at, now)),
        ("changed", text::moment(connection.updated_at, now)),
        ("revision", text::count(connection.revision)),
    ]
}
