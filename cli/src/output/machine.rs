//! The forms that programs read. What a reader of JSON or YAML gets is exact, and still no name can disturb a terminal.

use std::io::{self, Write};

use minijinja::{
    Environment, UndefinedBehavior,
    value::{Serde, ValueKind},
};
use serde::Serialize;

use crate::failure::Failure;
use crate::text::{escape, is_disturbing};

/// How things are written.
pub(crate) enum Machine {
    /// An array for a list, an object for one thing, an object a line for what goes on.
    Json,
    /// An object a line.
    Jsonl,
    /// A sequence for a list, a document each for what goes on.
    Yaml,
    /// A line as the user wants it.
    Template(Box<Template>),
}

/// What a line looks like.
pub(crate) struct Template(Environment<'static>);

const NAME: &str = "--template";

impl Template {
    /// Reads a template of Jinja.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(text: String) -> Result<Self, Failure> {
        let mut environment = Environment::new();
        // What has not happened to a thing is not there, nor is anything below it.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_formatter(|out, _, value| {
            let is_nothing = matches!(value.kind(), ValueKind::Undefined | ValueKind::None);
            let text = if is_nothing {
                String::new()
            } else {
                escape(&value.to_string())
            };
            out.write_str(&text).map_err(Into::into)
        });
        environment.add_template_owned(NAME, text).map_err(wrong)?;
        Ok(Self(environment))
    }

    fn line(&self, thing: &impl Serialize) -> Result<String, Failure> {
        let template = self.0.get_template(NAME).map_err(wrong)?;
        template.render(Serde(thing)).map_err(wrong)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn wrong(error: minijinja::Error) -> Failure {
    Failure::Usage(format!("the template cannot be used: {error}"))
}

impl Machine {
    /// One thing, and nothing else.
    pub(super) fn thing(&self, out: &mut dyn Write, thing: &impl Serialize) -> Result<(), Failure> {
        match self {
            Self::Json => {
                let json = serde_json::to_string_pretty(thing)?;
                Ok(writeln!(out, "{}", disarm(&json))?)
            }
            Self::Yaml => Ok(write!(out, "{}", yaml(thing)?)?),
            Self::Jsonl | Self::Template(_) => self.news(out, thing),
        }
    }

    /// One of many that go on for ever.
    pub(super) fn news(&self, out: &mut dyn Write, thing: &impl Serialize) -> Result<(), Failure> {
        match self {
            Self::Json | Self::Jsonl => {
                let json = serde_json::to_string(thing)?;
                Ok(writeln!(out, "{}", disarm(&json))?)
            }
            Self::Yaml => Ok(write!(out, "---\n{}", yaml(thing)?)?),
            Self::Template(template) => Ok(writeln!(out, "{}", template.line(thing)?)?),
        }
    }

    /// One of a list. The list is not held in memory.
    pub(super) fn element(
        &self,
        out: &mut dyn Write,
        thing: &impl Serialize,
        is_first: bool,
    ) -> Result<(), Failure> {
        match self {
            Self::Json => {
                let before = if is_first { "[" } else { "," };
                let json = serde_json::to_string(thing)?;
                Ok(write!(out, "{before}\n{}", disarm(&json))?)
            }
            Self::Yaml => Ok(write!(out, "{}", yaml(&[thing])?)?),
            Self::Jsonl | Self::Template(_) => self.news(out, thing),
        }
    }

    /// The end of a list.
    pub(super) fn end(&self, out: &mut dyn Write, is_empty: bool) -> io::Result<()> {
        match self {
            Self::Json => writeln!(out, "{}", if is_empty { "[]" } else { "\n]" }),
            Self::Yaml if is_empty => writeln!(out, "[]"),
            Self::Yaml | Self::Jsonl | Self::Template(_) => Ok(()),
        }
    }
}

fn yaml(thing: &impl Serialize) -> Result<String, Failure> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(thing, options)
        .map_err(|error| Failure::Output(io::Error::other(error)))?;
    if yaml.chars().all(|c| c == '\n' || !is_disturbing(c)) {
        return Ok(yaml);
    }
    // YAML escapes less than a terminal needs. JSON is YAML, too.
    Ok(format!("{}\n", disarm(&serde_json::to_string(thing)?)))
}

/// Escapes in JSON what it may hold literally but a terminal should not get. Such characters occur only in strings.
fn disarm(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if is_disturbing(c) && c != '\n' {
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(machine: &Machine, things: &[serde_json::Value]) -> String {
        let mut out = Vec::new();
        for (index, thing) in things.iter().enumerate() {
            machine.element(&mut out, thing, index == 0).unwrap();
        }
        machine.end(&mut out, things.is_empty()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn template(text: &str) -> Machine {
        Machine::Template(Box::new(Template::new(text.to_owned()).unwrap()))
    }

    #[test]
    fn every_form_lists_what_there_is() {
        let things = [json!({"a": "1", "b": {"c": ["x"]}}), json!({"a": "no"})];
        for (machine, wanted) in [
            (
                Machine::Json,
                "[\n{\"a\":\"1\",\"b\":{\"c\":[\"x\"]}},\n{\"a\":\"no\"}\n]\n",
            ),
            (
                Machine::Jsonl,
                "{\"a\":\"1\",\"b\":{\"c\":[\"x\"]}}\n{\"a\":\"no\"}\n",
            ),
            (
                Machine::Yaml,
                "- a: \"1\"\n  b:\n    c:\n    - x\n- a: \"no\"\n",
            ),
            (template("{{ a }}:{{ b.c[0] | upper }}"), "1:X\nno:\n"),
        ] {
            assert_eq!(written(&machine, &things), wanted);
        }
    }

    #[test]
    fn an_empty_list_is_one() {
        for (machine, wanted) in [
            (Machine::Json, "[]\n"),
            (Machine::Jsonl, ""),
            (Machine::Yaml, "[]\n"),
            (template("x"), ""),
        ] {
            assert_eq!(written(&machine, &[]), wanted);
        }
    }

    #[test]
    fn nothing_disturbs_the_terminal_and_nothing_is_lost() {
        let name = "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}";
        let thing = json!({ "name": name });
        for machine in [
            Machine::Json,
            Machine::Jsonl,
            Machine::Yaml,
            template("{{ name }}"),
        ] {
            let mut out = Vec::new();
            machine.thing(&mut out, &thing).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(
                text.chars().all(|c| c == '\n' || !is_disturbing(c)),
                "{text:?}"
            );
            if !matches!(machine, Machine::Template(_)) {
                let read: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read, thing);
            }
        }
    }

    #[test]
    fn a_template_that_cannot_be_read_is_wrong_usage() {
        let error = Template::new("{{ a".to_owned()).map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
