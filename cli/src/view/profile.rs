//! How a profile looks; its token is not shown.

use std::path::PathBuf;

use serde::Serialize;
use tidegate_client::Profile;

use crate::output::Column;

/// A profile with its name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    name: String,
    is_default: bool,
    address: String,
    has_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
}

impl Named {
    pub(crate) fn new(name: &str, profile: &Profile, is_default: bool) -> Self {
        Self {
            name: name.to_owned(),
            is_default,
            address: profile.address.clone(),
            has_token: profile.token.is_some(),
            token_file: profile.token_file.clone(),
            ca: profile.ca.clone(),
            cert: profile.cert.clone(),
            key: profile.key.clone(),
        }
    }

    fn token(&self) -> String {
        match &self.token_file {
            Some(path) => path.display().to_string(),
            None if self.has_token => "kept".to_owned(),
            None => "none".to_owned(),
        }
    }
}

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Named>] = &[
    Column::name("NAME", |it: &Named, _| it.name.clone()),
    Column::text("DEFAULT", |it, _| {
        if it.is_default { "yes" } else { "" }.to_owned()
    }),
    Column::name("ADDRESS", |it, _| it.address.clone()),
    Column::name("TOKEN", |it, _| it.token()),
];

/// The values of one, as far as it has them.
pub(crate) fn details(profile: &Named) -> Vec<(&'static str, String)> {
    let path = |path: &Option<PathBuf>| Some(path.as_ref()?.display().to_string());
    let values = [
        ("name", Some(profile.name.clone())),
        ("default", profile.is_default.then(|| "yes".to_owned())),
        ("address", Some(profile.address.clone())),
        ("token", Some(profile.token())),
        ("ca", path(&profile.ca)),
        ("cert", path(&profile.cert)),
        ("key", path(&profile.key)),
    ];
    let known = values.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
