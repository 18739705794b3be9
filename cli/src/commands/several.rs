//! Commands that do the same to several things, and those that ask first.

use std::io::{self, IsTerminal as _, Write as _};

use tidegate_client::Client;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::resolve;
use crate::args::{ConfirmArgs, RequestArgs, TransferArgs, Which};
use crate::failure::{Failure, tell};
use crate::output::Output;
use crate::text::escape;

/// The wish to do the same to several transfers.
pub(super) struct Several<'a> {
    which: &'a [Which],
    confirm: ConfirmArgs,
    has_request_id: bool,
    verb: &'static str,
    /// The revision that is meant, which can be true of one alone.
    pub(super) revision: Option<i64>,
    /// Whether it cannot be undone.
    pub(super) is_final: bool,
}

impl<'a> Several<'a> {
    pub(super) const fn of(
        transfers: &'a TransferArgs,
        confirm: ConfirmArgs,
        request: &RequestArgs,
        verb: &'static str,
    ) -> Self {
        Self {
            which: transfers.ids.as_slice(),
            confirm,
            has_request_id: request.request_id.is_some(),
            verb,
            revision: None,
            is_final: false,
        }
    }

    /// Finds them, asks, and does it to each.
    ///
    /// # Errors
    /// As [`each`], and when it is not meant.
    pub(super) async fn act<T>(
        self,
        client: &Client,
        out: &mut Output,
        act: impl AsyncFn(Uuid) -> Result<T, Failure>,
        show: impl Fn(&mut Output, Uuid, &T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.can_be_of_all()?;
        let found = resolve::transfers(client, self.which).await?;
        let verb = self.verb;
        match self.which {
            [one] if self.is_final => {
                confirm(self.confirm, &format!("{verb} transfer {one}")).await?;
            }
            [_] => {}
            all => confirm(self.confirm, &format!("{verb} {} transfers", all.len())).await?,
        }
        each(self.which, found, out, act, show).await
    }

    /// Refuses for several things what can be true of one alone.
    fn can_be_of_all(&self) -> Result<(), Failure> {
        let flag = match self.revision {
            _ if self.has_request_id => "--request-id",
            Some(_) => "--revision",
            None => return Ok(()),
        };
        if self.which.len() > 1 {
            return Err(Failure::Usage(format!("{flag} is for one transfer alone")));
        }
        Ok(())
    }
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
