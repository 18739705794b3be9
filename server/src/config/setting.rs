//! One setting: what it is set to, and by whom.

use std::{fmt, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, parser::ValueSource};

use super::{file::Value, transport::TRUE};

/// Who has set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// This variable.
    Variable(String),
    /// The file, on this line.
    File(PathBuf, usize),
    /// Nobody.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What a file writes it as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
    List,
}

impl Kind {
    /// What the definition says.
    pub(super) fn of(argument: &Arg) -> Self {
        use std::any::TypeId;
        let kind = argument.get_value_parser().type_id();
        if matches!(argument.get_action(), ArgAction::Append) {
            Self::List
        } else if kind == TypeId::of::<bool>() {
            Self::Switch
        } else if kind == TypeId::of::<usize>() || kind == TypeId::of::<u32>() {
            Self::Number
        } else {
            Self::Text
        }
    }

    /// What a file says, as texts that a flag could have.
    pub(super) fn texts(self, value: Value) -> Result<Vec<String>, &'static str> {
        match (self, value) {
            (Self::Text | Self::List, Value::Text(text)) | (Self::Number, Value::Number(text)) => {
                Ok(vec![text])
            }
            (Self::Switch, Value::Switch(is_so)) => Ok(vec![is_so.to_string()]),
            (Self::List, Value::List(texts)) => Ok(texts),
            (Self::Text, _) => Err("must be a text in quotes"),
            (Self::Number, _) => Err("must be a whole number without quotes"),
            (Self::Switch, _) => Err("must be true or false without quotes"),
            (Self::List, _) => Err("must be a list of texts in quotes"),
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the flag, and the key of the file.
    pub key: String,
    /// Who has set it.
    pub origin: Origin,
    pub(super) kind: Kind,
    /// What it is set to; nothing where it is not set.
    pub(super) texts: Vec<String>,
    /// Whether it may hold a password.
    pub(super) is_secret: bool,
}

impl Setting {
    /// What flag, variable or default say in `matches`.
    pub(super) fn of(key: &str, argument: &Arg, matches: &ArgMatches) -> Self {
        let id = argument.get_id().as_str();
        let texts = matches.get_raw(id).into_iter().flatten();
        let variable = argument
            .get_env()
            .map(|it| it.to_string_lossy().into_owned());
        Self {
            key: key.to_owned(),
            origin: match (matches.value_source(id), variable) {
                (Some(ValueSource::CommandLine), _) => Origin::Flag,
                (Some(ValueSource::EnvVariable), Some(name)) => Origin::Variable(name),
                _ => Origin::Default,
            },
            kind: Kind::of(argument),
            texts: texts.map(|it| it.to_string_lossy().into_owned()).collect(),
            is_secret: argument.is_hide_env_values_set(),
        }
    }

    /// The flag that says the same.
    pub(super) fn flag(&self) -> String {
        format!("--{}={}", self.key, self.texts.join(","))
    }

    /// Where it is set and, unless that is a secret, to what.
    pub(super) fn place(&self) -> String {
        let place = match &self.origin {
            Origin::Flag | Origin::Default => format!("--{}", self.key),
            Origin::Variable(name) => name.clone(),
            Origin::File(..) => format!("{}: {}", self.origin, self.key),
        };
        match self.is_secret {
            true => place,
            false => format!("{place} {:?}", self.texts.join(",")),
        }
    }

    /// What it is set to.
    fn value(&self) -> toml::Value {
        let text = self.texts.join(",");
        match self.kind {
            Kind::Switch => TRUE.contains(&text.to_ascii_lowercase().as_str()).into(),
            Kind::Number => text.parse::<i64>().map_or(text.into(), Into::into),
            Kind::List => self.texts.clone().into(),
            Kind::Text => text.into(),
        }
    }

    /// The password-free part of what is kept secret, and whether there was a password.
    pub(super) fn without_password(&self) -> Option<(String, bool)> {
        let text = self.texts.first()?;
        let shown = tidegate_store::without_password(text).ok()?;
        let is_less = shown != *text;
        Some((shown, is_less))
    }
}

/// As a line of a file, without passwords.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        if self.texts.is_empty() {
            return write!(f, "# {key} is not set");
        }
        if !self.is_secret {
            return write!(f, "{key} = {}", self.value());
        }
        match self.without_password() {
            Some((shown, _)) => write!(f, "{key} = {}", toml::Value::from(shown)),
            None => write!(f, "# {key} is not shown: it may hold a password"),
        }
    }
}
