//! The command line with its help: every verb has its examples, and what holds for all commands is told once, at the root.

use std::{ffi::OsString, iter};

use clap::{ColorChoice, Command, CommandFactory as _};

use super::{Cli, examples::EXAMPLES};

/// The command line.
pub(crate) fn command() -> Command {
    let mut command = Cli::command();
    // What is global reaches the commands now, so that it can be hidden in them.
    command.build();
    below(command, "")
}

/// The colours that the arguments ask for, for what is said before they are understood.
pub(crate) fn colour(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let arguments: Vec<String> = arguments
        .filter_map(|argument| argument.into_string().ok())
        .collect();
    let after = arguments.iter().skip(1).map(String::as_str);
    let pairs = arguments.iter().zip(after.chain(iter::once("")));
    let said = pairs.filter_map(|(argument, next)| match argument.as_str() {
        "--color" => Some(next),
        other => other.strip_prefix("--color="),
    });
    match said.last() {
        Some("never") => ColorChoice::Never,
        Some("always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    }
}

fn below(command: Command, path: &str) -> Command {
    command.mut_subcommands(|verb| {
        let path = format!("{path} {}", verb.get_name())
            .trim_start()
            .to_owned();
        let verb = verb.mut_args(|arg| {
            let is_global = arg.is_global_set();
            if is_global { arg.hide(true) } else { arg }
        });
        let examples = EXAMPLES.iter().find(|(verb, _)| *verb == path);
        let verb = match examples {
            Some((_, [one, two])) => verb.after_help(format!(
                "Examples:\n  {one}\n  {two}\n\nOptions of every command: tidegate --help"
            )),
            None => verb,
        };
        below(verb, &path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command below this one, with its path.
    fn all(command: &Command, path: &str) -> Vec<(String, Command)> {
        let verbs = command
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help");
        verbs
            .flat_map(|verb| {
                let path = format!("{path} {}", verb.get_name())
                    .trim_start()
                    .to_owned();
                let mut found = all(verb, &path);
                found.insert(0, (path, verb.clone()));
                found
            })
            .collect()
    }

    #[test]
    fn every_verb_has_examples_that_can_be_typed() {
        let root = command();
        let verbs: Vec<String> = all(&root, "")
            .into_iter()
            .filter(|(_, command)| command.get_subcommands().next().is_none())
            .map(|(path, _)| path)
            .collect();
        let told: Vec<&str> = EXAMPLES.iter().map(|(verb, _)| *verb).collect();
        assert_eq!(told, verbs);
        for (verb, examples) in EXAMPLES {
            for example in *examples {
                assert!(
                    example.starts_with(&format!("tidegate {verb}")),
                    "{example}"
                );
                assert!(example.len() <= 78, "{example}");
                let words = shlex::split(example).expect("it can be typed");
                if let Err(error) = command().try_get_matches_from(words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    #[test]
    fn every_help_is_as_it_was_looked_at() {
        let root = command().term_width(80);
        insta::assert_snapshot!("help", root.clone().render_long_help().to_string());
        for noun in root
            .get_subcommands()
            .filter(|noun| noun.get_name() != "help")
        {
            let mut help = noun.clone().term_width(80).render_long_help().to_string();
            for (path, verb) in all(noun, noun.get_name()) {
                let verb = verb.term_width(80).render_long_help().to_string();
                help.push_str(&format!("\n======== {path}\n\n{verb}"));
            }
            insta::assert_snapshot!(format!("help_{}", noun.get_name()), help);
        }
    }

    #[test]
    fn colours_are_known_before_the_rest() {
        let colour = |line: &str| colour(line.split(' ').map(OsString::from));
        assert_eq!(colour("tidegate --color never x"), ColorChoice::Never);
        assert_eq!(colour("tidegate x --color=always"), ColorChoice::Always);
        assert_eq!(colour("tidegate x --color"), ColorChoice::Auto);
    }
}
