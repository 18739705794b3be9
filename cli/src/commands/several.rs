//! Commands that do the same to several things, and those that ask first.

use std::io::{self, IsTerminal as _, Write as _};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::args::{ConfirmArgs, RequestArgs, Which};
use crate::failure::{Failure, tell};
use crate::output::Output;
use crate::text::escape;

/// Refuses for several things what can be true of one alone.
pub(super) fn only_for_one(
    which: &[Which],
    request: &RequestArgs,
    revision: Option<i64>,
) -> Result<(), Failure> {
    let flag = match (&request.request_id, revision) {
        (Some(_), _) => "--request-id",
        (None, Some(_)) => "--revision",
        (None, None) => return Ok(()),
    };
    if which.len() > 1 {
        return Err(Failure::Usage(format!("{flag} is for one transfer alone")));
    }
    Ok(())
}

/// Does the same to each, and shows what came of it. What fails does not keep the others from being done.
///
/// # Errors
/// That of the one, or at the end that some of several failed.
pub(super) async fn each<T>(
    which: &[Which],
    found: Vec<Result<Uuid, Failure>>,
    out: &mut Output,
    act: impl AsyncFn(Uuid) -> Result<T, Failure>,
    show: impl Fn(&mut Output, Uuid, &T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let is_alone = which.len() == 1;
    let mut codes = Vec::new();
    if !is_alone {
        out.begin_series();
    }
    for (which, found) in which.iter().zip(found) {
        let done = match found {
            Ok(uuid) => act(uuid).await.map(|thing| (uuid, thing)),
            Err(failure) => Err(failure),
        };
        match done {
            Ok((uuid, thing)) => show(out, uuid, &thing)?,
            Err(failure) if is_alone => return Err(failure),
            Err(failure) => {
                tell(&failure, Some(&which.to_string()));
                codes.push(failure.exit_code());
            }
        }
    }
    if !is_alone {
        out.end_series()?;
    }
    match codes.first() {
        None => Ok(()),
        Some(first) if codes.iter().all(|code| code == first) => Err(Failure::Told(*first)),
        Some(_) => Err(Failure::Told(1)),
    }
}

/// Asks whether that is meant, where there is somebody who can answer.
///
/// # Errors
/// When it is not meant.
pub(super) async fn confirm(args: ConfirmArgs, what: &str) -> Result<(), Failure> {
    let can_answer = io::stdin().is_terminal() && io::stderr().is_terminal();
    if args.yes || !can_answer {
        return Ok(());
    }
    let mut stderr = io::stderr();
    write!(stderr, "{}? [y/N] ", escape(what))?;
    stderr.flush()?;
    let (tell, told) = oneshot::channel();
    // Nobody waits for this thread when the answer is Ctrl-C.
    std::thread::spawn(move || {
        let mut answer = String::new();
        _ = io::stdin().read_line(&mut answer);
        _ = tell.send(answer);
    });
    let answer = told.await.unwrap_or_default();
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Declined),
    }
}

/// What to ask before the same is done to all of these; nothing before it is done to one, unless it cannot be undone.
pub(super) async fn confirm_all(
    args: ConfirmArgs,
    verb: &str,
    which: &[Which],
    is_final: bool,
) -> Result<(), Failure> {
    match which {
        [one] if is_final => confirm(args, &format!("{verb} transfer {one}")).await,
        [_] => Ok(()),
        _ => confirm(args, &format!("{verb} {} transfers", which.len())).await,
    }
}
