//! How a credential looks.

use tidegate_client::Credential;

use crate::output::Column;
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Credential>] = &[
    Column::text("UUID", |credential, _| credential.uuid.to_string()),
    Column::text("ROLE", |credential, _| credential.role.to_string()),
    Column::text("NAME", |credential, _| credential.name.clone()),
    Column::text("STATE", |credential, now| {
        match (credential.revoked_at, credential.expires_at) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(end)) if end > now => format!("{} left", text::left(end, now)),
            _ => "expired".to_owned(),
        }
    }),
    Column::text("LAST USED", |credential, now| {
        credential
            .last_used_at
            .map_or_else(|| "never".to_owned(), |time| text::age(time, now))
    }),
    Column::text("CREATED", |credential, now| {
        text::age(credential.inserted_at, now)
    }),
];

/// The values of one credential, as far as it has them.
pub(crate) fn details(credential: &Credential) -> Vec<(&'static str, String)> {
    let now = text::now();
    let moment = |time| text::moment(time, now);
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
