//! Profiles: what is needed to reach a server, under a name, in a file that all clients of a user share.

mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::{DocumentMut, Item, Table, value};

use self::file::Contents;
use crate::{Error, Token, transport};

/// What is needed to reach a server: where it is, who calls it, and whom to trust.
///
/// Its token and its client certificate go to its own address alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The server, as for [`Client::builder`](crate::Client::builder).
    pub address: String,
    /// Says who calls.
    pub token: Option<Token>,
    /// File with the token, instead of `token`. Paths that do not begin at the root begin at the folder of the profiles.
    pub token_file: Option<PathBuf>,
    /// Authorities that sign the server's certificate, PEM.
    pub ca: Option<PathBuf>,
    /// Client certificate, PEM.
    pub cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM.
    pub key: Option<PathBuf>,
}

/// The profiles of a user: `tidegate/profiles.toml` below `$XDG_CONFIG_HOME`, or below `~/.config` where that is unset.
///
/// ```toml
/// default = "north"
///
/// [profile.north]
/// address = "https://gate.example:50051"
/// token_file = "north.token"
/// ca = "/etc/tidegate/ca.pem"
/// ```
///
/// A profile may have `address`, which it needs, and `token` or `token_file`, `ca`, `cert` and `key`. Any other key is
/// refused. A file with a token in it is for its owner alone: it is refused while others can read it.
///
/// What is changed is kept by [`save`](Self::save), which leaves comments as they are.
#[derive(Clone)]
pub struct Profiles {
    path: PathBuf,
    contents: Contents,
    document: DocumentMut,
}

impl Profiles {
    /// Where the profiles are; `None` where neither `XDG_CONFIG_HOME` nor a home folder is known.
    #[must_use]
    pub fn path() -> Option<PathBuf> {
        let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        // A path that is not absolute is to be ignored, says the specification.
        let named = named.filter(|path| path.is_absolute());
        let folder = named.or_else(|| std::env::home_dir().map(|home| home.join(".config")))?;
        Some(folder.join("tidegate").join("profiles.toml"))
    }

    /// Reads the profiles. Where there is no file there are none.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the file cannot be read or is refused, with the file, the line and the key.
    pub fn load() -> Result<Self, Error> {
        let path = Self::path().ok_or_else(|| {
            Error::invalid("no folder for profiles is known: set XDG_CONFIG_HOME")
        })?;
        Self::load_from(path)
    }

    /// Reads the profiles from another file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let (contents, document) = file::read(&path)?;
        Ok(Self {
            path,
            contents,
            document,
        })
    }

    /// The file that they are in.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// The profiles with their names, in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        let all = self.contents.profiles.iter();
        all.map(|(name, profile)| (name.as_str(), profile))
    }

    /// The name of the profile that is used where none is named.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.contents.default.as_deref()
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there is none.
    pub fn get(&self, name: &str) -> Result<&Profile, Error> {
        self.contents.profiles.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            let file = self.path.display();
            Error::invalid(match names.as_slice() {
                [] => format!("there is no profile {name:?}: {file} has none"),
                names => format!(
                    "there is no profile {name:?}: {file} has {}",
                    names.join(", ")
                ),
            })
        })
    }

    /// Puts a profile in the place of what has its name. The first one is the default.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a name that is empty or has other characters than ASCII letters, digits, `-`, `_` and `.`.
    pub fn set(&mut self, name: &str, profile: Profile) -> Result<(), Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(Error::invalid(format!(
                "{name:?} is no name for a profile: letters, digits, -, _ and . make one"
            )));
        }
        let profiles = self.document.entry("profile").or_insert_with(|| {
            let mut all = Table::new();
            all.set_implicit(true);
            Item::Table(all)
        });
        let entry = profiles
            .as_table_like_mut()
            .ok_or_else(|| Error::invalid("profile must be a table"))?
            .entry(name)
            .or_insert_with(|| Item::Table(Table::new()));
        let table = entry
            .as_table_like_mut()
            .ok_or_else(|| Error::invalid(format!("profile.{name} must be a table")))?;
        let before = self.contents.profiles.get(name).map(Profile::values);
        let before = before.unwrap_or_default();
        for ((key, text), (_, before)) in profile.values().into_iter().zip(before) {
            match text {
                // What stays is left as it was written.
                text if text == before => {}
                Some(text) => say(table.entry(key).or_insert(Item::None), &text),
                None => _ = table.remove(key),
            }
        }
        self.contents.profiles.insert(name.to_owned(), profile);
        if self.contents.default.is_none() {
            self.set_default(name)?;
        }
        Ok(())
    }

    /// Says which profile is used where none is named.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there is none of this name.
    pub fn set_default(&mut self, name: &str) -> Result<(), Error> {
        self.get(name)?;
        self.contents.default = Some(name.to_owned());
        say(&mut self.document["default"], name);
        Ok(())
    }

    /// Takes a profile out. When it was the default there is none then.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there is none of this name.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.get(name)?;
        self.contents.profiles.remove(name);
        let profiles = self.document.get_mut("profile");
        if let Some(profiles) = profiles.and_then(Item::as_table_like_mut) {
            profiles.remove(name);
        }
        if self.default_name() == Some(name) {
            self.contents.default = None;
            self.document.remove("default");
        }
        Ok(())
    }

    /// Writes the file anew, for its owner alone (0600), with the folder where there is none. Whoever reads it meanwhile
    /// reads all of the old one or all of the new one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        file::write(&self.path, &self.document.to_string())
    }
}

/// Puts a text where another was; the comments around it stay.
fn say(item: &mut Item, text: &str) {
    match item.as_value_mut() {
        Some(old) => {
            let around = old.decor().clone();
            *old = text.into();
            *old.decor_mut() = around;
        }
        None => *item = value(text),
    }
}

impl std::fmt::Debug for Profiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The document shows its tokens.
        f.debug_struct("Profiles")
            .field("path", &self.path)
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}

impl Profile {
    /// Whether this address is the profile's own.
    #[must_use]
    pub fn is_for(&self, address: &str) -> bool {
        let whole = |address: &str| {
            let address = transport::with_scheme(address.to_owned());
            address.trim_end_matches('/').to_owned()
        };
        whole(address) == whole(&self.address)
    }

    /// What each key says.
    fn values(&self) -> [(&'static str, Option<String>); 6] {
        let path = |path: &Option<PathBuf>| Some(path.as_ref()?.to_string_lossy().into_owned());
        let token = self.token.as_ref().map(|token| token.reveal().to_owned());
        [
            ("address", Some(self.address.clone())),
            ("token", token),
            ("token_file", path(&self.token_file)),
            ("ca", path(&self.ca)),
            ("cert", path(&self.cert)),
            ("key", path(&self.key)),
        ]
    }
}
