//! How a credential looks.

use tidegate_client::Credential;

use crate::output::{Column, Look};
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Credential>] = &[
    Column::text("ID", |credential, look| look.id(credential.uuid)),
    Column::text("ROLE", |credential, _| credential.role.to_string()),
    Column::name("NAME", |credential, _| credential.name.clone()),
    Column::status("STATE", |credential, look| {
        match (credential.revoked_at, credential.expires_at) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(end)) if end > look.now => format!("{} left", text::left(end, look.now)),
            _ => "expired".to_owned(),
        }
    }),
    Column::text("LAST USED", |credential, look| {
        credential
            .last_used_at
            .map_or_else(|| "never".to_owned(), |time| look.age(time))
    }),
    Column::text("CREATED", |credential: &Credential, look| {
        look.age(credential.inserted_at)
    })
    .if_room(1),
    Column::text("CONNECTION", |credential: &Credential, _| {
        credential
            .connection_uuid
            .map(|uuid| uuid.to_string())
            .unwrap_or_default()
    })
    .wide(),
];

/// The values of one credential, as far as it has them.
pub(crate) fn details(credential: &Credential, look: &Look) -> Vec<(&'static str, String)> {
    let moment = |time| look.moment(time);
    let values = [
        ("uuid", Some(credential.uuid.to_string())),
        ("name", Some(credential.name.clone())),
        ("role", Some(credential.role.to_string())),
        (
            "connection",
            credential.connection_uuid.map(|uuid| uuid.to_string()),
        ),
        (
            "acts for others",
            credential.acts_for_others.then(|| "yes".to_owned()),
        ),
        ("session code", credential.session_code.clone()),
        ("created", Some(moment(credential.inserted_at))),
        ("expires", credential.expires_at.map(moment)),
        ("revoked", credential.revoked_at.map(moment)),
        ("last used", credential.last_used_at.map(moment)),
        ("last used from", credential.last_used_address.clone()),
        ("revision", Some(text::count(credential.revision))),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
