//! All settings: flags before variables before the file before defaults. What each may be, only its definition says.

use std::{
    collections::BTreeSet,
    error::Error as _,
    ffi::OsString,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgMatches, Args as _, Command, CommandFactory as _, FromArgMatches as _,
    builder::Resettable,
    error::{ContextKind, ContextValue},
    value_parser,
};

use super::{
    Arguments, Limits, Role,
    file::{self, Entry},
    refused::{Refused, unmet},
    setting::{Kind, Origin, Setting},
};

/// The flag that names the file.
const FILE: &str = "config";

/// What a process was told, and by whom.
#[derive(Clone, Debug)]
pub struct Settings {
    line: Vec<OsString>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Those that the role takes, in the order of their definitions.
    pub all: Vec<Setting>,
}

/// What is different after settings were read again.
#[derive(Debug, Default)]
pub struct Changes {
    /// What holds now, as lines of a file.
    pub taken: Vec<String>,
    /// The names of what needs a restart.
    pub waiting: Vec<String>,
}

impl Settings {
    /// What to do, and the settings for it, from the command line, the variables and the file that they name. A variable
    /// that is empty is not set: that is how container tools pass what nobody has given.
    ///
    /// # Errors
    /// When something is wrong; everything that is.
    pub fn read(line: Vec<OsString>) -> Result<(Role, Self), Refused> {
        let usage = |error| Refused::Usage(Box::new(error));
        let command = each(Arguments::command(), &without_empty);
        // Anything goes here, so that each value can be judged with its origin.
        let anything = each(command.clone(), &anything_goes);
        let matches = match anything.try_get_matches_from(&line) {
            Ok(matches) => matches,
            Err(error) => {
                let proper = command.try_get_matches_from(&line);
                return Err(usage(proper.err().unwrap_or(error)));
            }
        };
        let (own, depth, matches) = innermost(&command, &matches);
        let file = matches.get_one::<OsString>(FILE).map(PathBuf::from);
        let all = settle(own, matches, file.as_deref())?;
        let mut whole = line.clone();
        let of_file = all
            .iter()
            .filter(|it| matches!(it.origin, Origin::File(..)));
        let place = (1 + depth).min(whole.len());
        whole.splice(place..place, of_file.map(|it| it.flag().into()));
        let matches = command.try_get_matches_from(whole).map_err(unmet)?;
        let arguments = Arguments::from_arg_matches(&matches).map_err(usage)?;
        Ok((arguments.into_role(), Self { line, file, all }))
    }

    /// The same once more, with the file as it is now.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn again(&self) -> Result<(Role, Self), Refused> {
        Self::read(self.line.clone())
    }

    /// Takes over from `found` what may change while a server runs. The rest waits for the next start.
    pub fn take(&mut self, found: Self) -> Changes {
        let live = Limits::augment_args(Command::new(""));
        let mut live: BTreeSet<_> = definitions(&live).map(|(key, _)| key).collect();
        live.insert("log");
        let mut changes = Changes::default();
        for (held, found) in self.all.iter_mut().zip(found.all) {
            if held.texts == found.texts {
                *held = found;
            } else if live.contains(found.key.as_str()) {
                changes.taken.push(found.to_string());
                *held = found;
            } else {
                changes.waiting.push(found.key);
            }
        }
        changes
    }

    /// As a file that says the same, but for passwords, with the origin of each.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for setting in &self.all {
            let is_less = setting.is_secret && setting.without_password().is_some_and(|it| it.1);
            let less = if is_less {
                ", without its password"
            } else {
                ""
            };
            _ = match setting.texts.is_empty() {
                true => writeln!(text, "{setting}"),
                false => writeln!(text, "{setting} # {}{less}", setting.origin),
            };
        }
        text
    }

    /// What is dangerous, if it is not wrong.
    pub fn warnings(&self) -> Vec<String> {
        let (Some(path), Some(key)) = (&self.file, self.password_in_file()) else {
            return Vec::new();
        };
        let mode = fs::metadata(path).map_or(0, |it| it.permissions().mode());
        match mode & 0o004 {
            0 => Vec::new(),
            _ => vec![format!(
                "{}: {key} holds a password and everybody on this machine can read the file: chmod o-r, or use a file of its own (--database-password-file)",
                path.display()
            )],
        }
    }

    fn password_in_file(&self) -> Option<&str> {
        let in_file = |it: &&Setting| it.is_secret && matches!(it.origin, Origin::File(..));
        let mut secrets = self.all.iter().filter(in_file);
        let found = secrets.find(|it| it.without_password().is_none_or(|(_, is_less)| is_less));
        found.map(|it| it.key.as_str())
    }
}

/// The settings among the arguments of a command as it is defined, by name: those with a variable. The file cannot name
/// another one.
pub fn definitions(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = command.get_arguments().filter_map(named);
    named.filter(|(key, argument)| *key != FILE && argument.get_env().is_some())
}

fn named(argument: &Arg) -> Option<(&str, &Arg)> {
    argument.get_long().map(|key| (key, argument))
}

/// The names of all settings.
pub(super) fn known() -> BTreeSet<String> {
    let command = Arguments::command();
    definitions(&command)
        .map(|(key, _)| key.to_owned())
        .collect()
}

/// The command that was chosen, how many names led to it, and what it was given.
fn innermost<'a>(
    command: &'a Command,
    matches: &'a ArgMatches,
) -> (&'a Command, usize, &'a ArgMatches) {
    let chosen = matches.subcommand();
    let deeper = chosen.and_then(|(name, below)| Some((command.find_subcommand(name)?, below)));
    match deeper {
        Some((command, matches)) => {
            let (own, depth, matches) = innermost(command, matches);
            (own, depth + 1, matches)
        }
        None => (command, 0, matches),
    }
}

/// The settings of a command: what `matches` say of each, or else the file, or else the default.
fn settle(
    own: &Command,
    matches: &ArgMatches,
    file: Option<&Path>,
) -> Result<Vec<Setting>, Refused> {
    let known = known();
    let entries = file.map_or_else(|| Ok(Vec::new()), file::read);
    let mut entries = entries.map_err(Refused::Wrong)?;
    let mut wrong = strangers(&known, file, &mut entries);
    let mut judge = each(own.clone(), &alone);
    let mut all = Vec::new();
    let named = own.get_arguments().filter_map(named);
    for (key, argument) in named.filter(|(key, _)| known.contains(*key)) {
        let mut setting = Setting::of(key, argument, matches);
        if setting.origin != Origin::Default {
            wrong.extend(fault(&mut judge, &setting));
        }
        let written = entries.extract_if(.., |entry| entry.key == key).next();
        match written
            .zip(file)
            .map(|(entry, file)| of_file(argument, file, entry))
        {
            Some(Ok(said)) => {
                wrong.extend(fault(&mut judge, &said));
                if setting.origin == Origin::Default {
                    setting = said;
                }
            }
            Some(Err(line)) => wrong.push(line),
            None => {}
        }
        all.push(setting);
    }
    match wrong.is_empty() {
        true => Ok(all),
        false => Err(Refused::Wrong(wrong)),
    }
}

/// Takes the entries out that are no settings of any role; what is to be said of them.
fn strangers(
    known: &BTreeSet<String>,
    path: Option<&Path>,
    entries: &mut Vec<Entry>,
) -> Vec<String> {
    let file = path.unwrap_or(Path::new("")).display();
    let unknown = entries.extract_if(.., |entry| !known.contains(&entry.key));
    let told = unknown.map(|Entry { key, line, .. }| {
        let similar = similar(&key);
        format!("{file}:{line}: {key} is no setting{similar}")
    });
    told.collect()
}

/// What somebody may have meant by a name.
fn similar(key: &str) -> String {
    let flag = format!("--{key}=");
    let tried = each(Arguments::command(), &alone).try_get_matches_from(["", &flag]);
    let meant = tried
        .err()
        .and_then(|error| match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(flag)) => Some(flag.trim_start_matches('-').to_owned()),
            _ => None,
        });
    meant.map_or_else(String::new, |meant| format!("; is {meant} meant?"))
}

/// What an entry of the file sets.
fn of_file(argument: &Arg, path: &Path, entry: Entry) -> Result<Setting, String> {
    let kind = Kind::of(argument);
    let origin = Origin::File(path.to_owned(), entry.line);
    let texts = kind.texts(entry.value);
    let texts = texts.map_err(|no| format!("{origin}: {} {no}", entry.key))?;
    Ok(Setting {
        key: entry.key,
        origin,
        kind,
        texts,
        is_secret: argument.is_hide_env_values_set(),
    })
}

/// What is wrong with a value, as its definition judges.
fn fault(judge: &mut Command, setting: &Setting) -> Option<String> {
    let tried = judge.try_get_matches_from_mut(["", &setting.flag()]);
    let error = tried.err()?;
    let why = match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(why), _) => why.to_string(),
        (None, Some(ContextValue::Strings(good))) if !good.is_empty() => {
            format!("must be one of {}", good.join(", "))
        }
        (None, _) => "must not be empty".to_owned(),
    };
    Some(format!("{}: {why}", setting.place()))
}

/// The command with all of its arguments, and those of the commands below, changed.
fn each(command: Command, change: &impl Fn(Arg) -> Arg) -> Command {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|it| it.get_name().to_owned())
        .collect();
    let command = command.mut_args(change);
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |below| each(below, change))
    })
}

fn without_empty(argument: Arg) -> Arg {
    let value = argument.get_env().and_then(std::env::var_os);
    match value.is_some_and(|value| value.is_empty()) {
        true => argument.env(Resettable::Reset),
        false => argument,
    }
}

fn anything_goes(argument: Arg) -> Arg {
    let argument = argument.required(false).requires(Resettable::Reset);
    match argument.get_action().takes_values() {
        true => argument.value_parser(value_parser!(OsString)),
        false => argument,
    }
}

/// Judged by itself.
fn alone(argument: Arg) -> Arg {
    argument
        .required(false)
        .requires(Resettable::Reset)
        .env(Resettable::Reset)
}
