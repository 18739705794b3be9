//! Commands that do the same to several things, and those that ask first.

use std::{
    future::ready,
    io::{self, IsTerminal as _, Write as _},
};

use futures::TryStreamExt as _;
use tidegate_client::{Client, Transfer};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::resolve;
use crate::args::{ConfirmArgs, MeantArgs, RequestArgs, Which};
use crate::failure::{Failure, tell};
use crate::output::{Output, note};
use crate::text::escape;
use crate::view::transfer::COLUMNS;

const PAGE: u32 = 1_000;

/// The wish to do the same to several transfers.
pub(super) struct Several {
    meant: MeantArgs,
    confirm: ConfirmArgs,
    has_request_id: bool,
    verb: &'static str,
    /// Which of those that a filter means it can be done to.
    can: fn(&Transfer) -> bool,
    /// The revision that is meant, which can be true of one alone.
    pub(super) revision: Option<i64>,
    /// Whether it cannot be undone.
    pub(super) is_final: bool,
}

impl Several {
    pub(super) const fn of(
        meant: MeantArgs,
        confirm: ConfirmArgs,
        request: &RequestArgs,
        verb: &'static str,
        can: fn(&Transfer) -> bool,
    ) -> Self {
        Self {
            meant,
            confirm,
            has_request_id: request.request_id.is_some(),
            verb,
            can,
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
        let verb = self.verb;
        let ids = &self.meant.ids;
        if ids.is_empty() {
            return self.act_on_filtered(client, out, act, show).await;
        }
        let found = resolve::transfers(client, ids).await?;
        match ids.as_slice() {
            [one] if self.is_final => {
                confirm(self.confirm, &format!("{verb} transfer {one}")).await?;
            }
            [_] => {}
            all => confirm(self.confirm, &format!("{verb} {} transfers", all.len())).await?,
        }
        each(ids, found, out, act, show).await
    }

    /// The same to all that the filter means, once a person has agreed to their number or the command line has.
    async fn act_on_filtered<T>(
        self,
        client: &Client,
        out: &mut Output,
        act: impl AsyncFn(Uuid) -> Result<T, Failure>,
        show: impl Fn(&mut Output, Uuid, &T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (verb, can) = (self.verb, self.can);
        let filter = resolve::filter(client, self.meant.filter).await?;
        let listed = client.transfers().list().filter(filter).page_size(PAGE);
        let meant = listed.items().try_filter(|it| ready(can(it)));
        let none = format!("there is no transfer to {verb}");
        if self.meant.dry_run {
            note("nothing is done:");
            return out.list(meant, 0, COLUMNS, &none).await;
        }
        let uuids: Vec<Uuid> = meant.map_ok(|it| it.uuid).try_collect().await?;
        if uuids.is_empty() {
            note(&none);
            return Ok(());
        }
        if !self.confirm.yes && !can_answer() {
            return Err(Failure::Usage(format!(
                "the filter means {} transfers: look at them with --dry-run, then say --yes",
                uuids.len()
            )));
        }
        let what = format!("{verb} {} transfers", uuids.len());
        confirm(self.confirm, &what).await?;
        let which: Vec<_> = uuids.iter().copied().map(Which::Id).collect();
        let found = uuids.into_iter().map(Ok).collect();
        each_of(&which, found, false, out, act, show).await
    }

    /// Refuses for several things what can be true of one alone.
    fn can_be_of_all(&self) -> Result<(), Failure> {
        let flag = match self.revision {
            _ if self.has_request_id => "--request-id",
            Some(_) => "--revision",
            None => return Ok(()),
        };
        if self.meant.ids.len() != 1 {
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
    each_of(which, found, which.len() == 1, out, act, show).await
}

async fn each_of<T>(
    which: &[Which],
    found: Vec<Result<Uuid, Failure>>,
    is_alone: bool,
    out: &mut Output,
    act: impl AsyncFn(Uuid) -> Result<T, Failure>,
    show: impl Fn(&mut Output, Uuid, &T) -> Result<(), Failure>,
) -> Result<(), Failure> {
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

/// Whether there is somebody who can answer.
pub(super) fn can_answer() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether that is meant, where there is somebody who can answer.
///
/// # Errors
/// When it is not meant.
pub(super) async fn confirm(args: ConfirmArgs, what: &str) -> Result<(), Failure> {
    if args.yes || !can_answer() {
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
