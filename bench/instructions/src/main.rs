//! Does one piece of work a number of times, so that `scripts/instructions` can count what a single time takes:
//! `tidegate-instructions NAME TIMES`. Without arguments it prints the names.

mod messages;
mod rules;

use std::{env, hint::black_box, io::Write as _, process::ExitCode};

use prost::Message as _;
use tidegate_domain::{chain, command::Verb, decide::decide, fixtures, transfer::Transfer};
use tidegate_proto::v1;

/// A name, and what does the work that many times.
type Subject = (&'static str, fn(u32));

const SUBJECTS: &[Subject] = &[
    ("decide-start", |times| {
        decide_again(times, &rules::start(), &rules::queued());
    }),
    ("decide-progress", |times| {
        decide_again(times, &rules::update_progress(), &rules::running());
    }),
    ("decide-complete", |times| {
        decide_again(times, &rules::complete(), &rules::running());
    }),
    ("chain-link", |times| {
        again(times, &fixtures::event(950), |event| {
            chain::link(&chain::GENESIS, event)
        });
    }),
    ("page-token-make", |times| {
        let scope = rules::scope();
        again(times, &rules::position(), |place| scope.seal(*place));
    }),
    ("page-token-read", |times| {
        let scope = rules::scope();
        again(times, &scope.seal(rules::position()), |token| {
            scope.open(token).expect("it was made for this list")
        });
    }),
    ("transfer-encode", |times| {
        again(times, &messages::transfer(), v1::Transfer::encode_to_vec);
    }),
    ("transfer-decode", |times| {
        again(times, &messages::transfer().encode_to_vec(), |bytes| {
            v1::Transfer::decode(bytes.as_slice()).expect("it was just encoded")
        });
    }),
    ("event-encode", |times| {
        again(times, &messages::event(), v1::Event::encode_to_vec);
    }),
    ("event-decode", |times| {
        again(times, &messages::event().encode_to_vec(), |bytes| {
            v1::Event::decode(bytes.as_slice()).expect("it was just encoded")
        });
    }),
];

/// Does the work, and drops what comes of it: that is a part of what it costs.
fn again<I, O>(times: u32, input: &I, work: impl Fn(&I) -> O) {
    for _ in 0..times {
        black_box(work(black_box(input)));
    }
}

fn decide_again(times: u32, verb: &Verb, transfer: &Transfer) {
    again(times, transfer, |transfer| {
        decide(transfer, black_box(verb), rules::NOW).expect("the rules let it")
    });
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => SUBJECTS
            .iter()
            .try_for_each(|(name, _)| writeln!(std::io::stdout(), "{name}"))
            .map_err(|error| error.to_string()),
        [wanted, times] => {
            let subject = SUBJECTS.iter().find(|(name, _)| name == wanted);
            let (_, work) = subject.ok_or_else(|| format!("there is no {wanted}"))?;
            let times = times
                .parse()
                .map_err(|error| format!("TIMES {times}: {error}"))?;
            work(times);
            Ok(())
        }
        _ => Err("usage: tidegate-instructions [NAME TIMES]".to_owned()),
    }
}
