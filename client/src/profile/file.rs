//! The file of profiles: read with care, written at once.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml_edit::{DocumentMut, TomlError, de};

use super::Profile;
use crate::Error;

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    pub(super) default: Option<String>,
    #[serde(default, rename = "profile")]
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// Reads the file; where there is none it is empty.
pub(super) fn read(path: &Path) -> Result<(Contents, DocumentMut), Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(Error::invalid(format!("{}: {error}", path.display()))),
    };
    let (mut contents, document) = parse(&text).map_err(|(what, line)| {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Error::invalid(format!("{}{line}: {what}", path.display()))
    })?;
    if contents.profiles.values().any(|it| it.token.is_some()) {
        is_private(path)?;
    }
    for profile in contents.profiles.values_mut() {
        profile.begin_at(path.parent());
    }
    Ok((contents, document))
}

/// What is wrong, and in which line. What the parser shows of the line may be a token, so it is left out.
fn parse(text: &str) -> Result<(Contents, DocumentMut), (String, Option<usize>)> {
    let line = |span: Option<std::ops::Range<usize>>| {
        let before = text.get(..span?.start)?;
        Some(before.matches('\n').count() + 1)
    };
    let document: DocumentMut = text
        .parse()
        .map_err(|error: TomlError| (error.message().to_owned(), line(error.span())))?;
    let contents: Contents = de::from_str(text)
        .map_err(|error: de::Error| (error.message().to_owned(), line(error.span())))?;
    for (name, profile) in &contents.profiles {
        if profile.token.is_some() && profile.token_file.is_some() {
            return Err((
                format!("profile {name} has both token and token_file"),
                None,
            ));
        }
    }
    if let Some(name) = &contents.default
        && !contents.profiles.contains_key(name)
    {
        return Err((format!("the default profile {name:?} is not there"), None));
    }
    Ok((contents, document))
}

#[cfg(unix)]
fn is_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(path).map(|file| file.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        let file = path.display();
        return Err(Error::invalid(format!(
            "{file} holds a token and others can read it: chmod 600 {file}"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> Result<(), Error> {
    Ok(())
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    put(path, text).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one: what it leads to is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // Such a file is its owner's alone from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

impl Profile {
    /// Paths begin at the folder of the file that names them.
    fn begin_at(&mut self, folder: Option<&Path>) {
        let paths = [
            &mut self.token_file,
            &mut self.ca,
            &mut self.cert,
            &mut self.key,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.map_or_else(PathBuf::new, Path::to_owned).join(&path);
        }
    }
}
