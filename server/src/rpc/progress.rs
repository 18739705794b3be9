//! The stream of `ReportProgress`.
//!
//! Two tasks share what is pending. One reads reports as fast as they come and joins those of the same transfer; it never waits
//! for the database, since h2 closes a connection on which too many small frames are left unread. The other takes
//! whatever has gathered, has it written, and answers.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, Stream, StreamExt as _, future::join_all};
use tidegate_proto::v1;
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use super::{
    Backend, decode, encode, error_info, status, streams::StreamPermit, wire_enum::WireEnum,
};
use crate::{
    error::Error,
    feed::{Subscription, Update},
};
use tidegate_domain::{
    caller::Caller,
    command::{Submission, TransferCommand, Verb},
    id::TransferId,
    progress::Report,
    refusal::Refusal,
    status::TransferStatus,
    stop::Stop,
    transfer::Transfer,
    validate::Check,
};
use tidegate_store::failpoint;

/// Transfers that one stream may report.
const TRANSFERS: usize = 1_000;
/// Answers that may wait for the transport.
const ANSWERS: usize = 16;

type Answer = Result<v1::ReportProgressResponse, Status>;

/// Serves one stream.
pub(super) fn serve(
    backend: &Backend,
    permit: StreamPermit,
    caller: Caller,
    reports: Streaming<v1::ReportProgressRequest>,
) -> impl Stream<Item = Answer> + use<> {
    let pending = Arc::<PendingReports>::default();
    let reader = AbortOnDropHandle::new(tokio::spawn(read(Arc::clone(&pending), reports)));
    let (answers, answered) = mpsc::channel(ANSWERS);
    let last = answers.clone();
    let report_writer = ReportWriter {
        backend: backend.clone(),
        caller,
        subscription: backend.feed.subscribe(),
        followed: HashMap::new(),
        pending,
        answers,
    };
    let writer = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(panic) = AssertUnwindSafe(report_writer.run(permit))
            .catch_unwind()
            .await
        {
            _ = last.send(Err(error_info::panicked(&*panic))).await;
        }
    }));
    // Both tasks end with the stream, whoever ends it.
    tokio_stream::wrappers::ReceiverStream::new(answered).map(move |answer| {
        let _tasks = (&reader, &writer);
        answer
    })
}

/// What was read and not yet written.
#[derive(Default)]
struct PendingReports {
    gathered: Mutex<GatheredReports>,
    notify: Notify,
}

#[derive(Default)]
struct GatheredReports {
    reports: HashMap<TransferId, JoinedReport>,
    refused: HashMap<String, Error>,
    known: HashSet<TransferId>,
    end: Option<Result<(), Status>>,
}

/// The joined reports of one transfer.
#[derive(Clone, Default)]
struct JoinedReport {
    report: Report,
    checkpoint: Option<Vec<u8>>,
    lease_epoch: Option<i64>,
}

impl PendingReports {
    fn gathered(&self) -> MutexGuard<'_, GatheredReports> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(pending: Arc<PendingReports>, reports: Streaming<v1::ReportProgressRequest>) {
    let end = AssertUnwindSafe(read_all(&pending, reports)).catch_unwind();
    let end = end
        .await
        .unwrap_or_else(|panic| Err(error_info::panicked(&*panic)));
    pending.gathered().end = Some(end);
    pending.notify.notify_one();
}

async fn read_all(
    pending: &PendingReports,
    mut reports: Streaming<v1::ReportProgressRequest>,
) -> Result<(), Status> {
    while let Some(message) = reports
        .message()
        .await
        .map_err(error_info::with_error_info)?
    {
        failpoint::pass("report-read");
        let taken_in = pending.gathered().take_in(message);
        taken_in.map_err(status::status)?;
        pending.notify.notify_one();
    }
    Ok(())
}

impl GatheredReports {
    /// Takes one report in. An error ends the stream; a bad report is only noted for its answer.
    fn take_in(&mut self, message: v1::ReportProgressRequest) -> Result<(), Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &message.uuid);
        let joined = JoinedReport {
            report: decode::report(&mut check, message.progress, message.record_problems),
            checkpoint: check.checkpoint(message.checkpoint),
            lease_epoch: decode::lease_epoch(&mut check, message.lease_epoch),
        };
        let refusal = match check.finish(()) {
            Ok(()) => self.join(uuid, joined).err(),
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            // A caller who never reads answers must not make them pile up.
            let name: String = message.uuid.chars().take(36).collect();
            self.refused.insert(name, refusal.into());
        }
        if self.known.len() > TRANSFERS || self.refused.len() > TRANSFERS {
            return Err(Error::TooManyTransfers { limit: TRANSFERS });
        }
        Ok(())
    }

    fn join(&mut self, uuid: TransferId, newer: JoinedReport) -> Result<(), Refusal> {
        self.known.insert(uuid);
        let joined = match self.reports.entry(uuid) {
            Entry::Occupied(place) if place.get().lease_epoch == newer.lease_epoch => {
                place.into_mut()
            }
            // Of another run: nothing of the one before counts.
            place => {
                place.insert_entry(newer);
                return Ok(());
            }
        };
        joined.report = joined
            .report
            .join(&newer.report)
            .map_err(|regression| Refusal::ProgressRegressed { uuid, regression })?;
        if newer.checkpoint.is_some() {
            joined.checkpoint = newer.checkpoint;
        }
        Ok(())
    }
}

/// What is known of the caller's run of a transfer.
#[derive(Default)]
struct Followed {
    /// The lease that was named last.
    lease_epoch: Option<i64>,
    /// The stop that was told last.
    stop: Option<Stop>,
}

struct ReportWriter {
    backend: Backend,
    caller: Caller,
    subscription: Subscription,
    /// Transfers whose leaving `IN_PROGRESS` has to be told.
    followed: HashMap<TransferId, Followed>,
    pending: Arc<PendingReports>,
    answers: mpsc::Sender<Answer>,
}

impl ReportWriter {
    async fn run(mut self, permit: StreamPermit) {
        let pending = Arc::clone(&self.pending);
        loop {
            let event = permit
                .unless_stopped(async {
                    tokio::select! {
                        () = pending.notify.notified() => Ok(None),
                        update = self.subscription.next() => update.map(Some),
                    }
                })
                .await;
            let alive = match event {
                Ok(None) => self.settle().await,
                Ok(Some(update)) => self.tell(&update).await,
                Err(error) => {
                    // What has gathered is written all the same, unless the caller has lost the right to write; they
                    // learn why the stream ends.
                    if !matches!(error, Error::Refused(..)) {
                        self.settle().await;
                    }
                    self.send(Err(status::status(error))).await;
                    false
                }
            };
            if !alive {
                return;
            }
        }
    }

    /// Has everything written that has gathered, and answers. False when the stream has to end.
    async fn settle(&mut self) -> bool {
        failpoint::pass("report-write");
        let (reports, refused, end) = {
            let mut gathered = self.pending.gathered();
            (
                std::mem::take(&mut gathered.reports),
                std::mem::take(&mut gathered.refused),
                gathered.end.take(),
            )
        };
        for (uuid, error) in refused {
            if !self.send(Ok(refusal(uuid, None, &error))).await {
                return false;
            }
        }
        for (uuid, joined) in &reports {
            // Before the write, so that a cancellation right after it is not missed.
            let followed = self.followed.entry(*uuid).or_insert_with(|| {
                self.subscription.follow(*uuid);
                Followed::default()
            });
            followed.lease_epoch = joined.lease_epoch;
        }
        let written = join_all(
            reports
                .into_iter()
                .map(|(uuid, joined)| self.write(uuid, joined)),
        );
        for (uuid, outcome) in written.await {
            let answer = self.answer(uuid, outcome);
            if !self.send(Ok(answer)).await {
                return false;
            }
        }
        match end {
            Some(Err(status)) => {
                self.send(Err(status)).await;
                false
            }
            Some(Ok(())) => false,
            None => true,
        }
    }

    async fn write(
        &self,
        uuid: TransferId,
        joined: JoinedReport,
    ) -> (TransferId, Result<Option<Arc<Transfer>>, Error>) {
        let verb = Verb::UpdateProgress {
            report: joined.report,
            checkpoint: joined.checkpoint,
            lease_epoch: joined.lease_epoch,
        };
        let submission = Submission {
            command: TransferCommand::Change { uuid, verb },
            caller: self.caller.clone(),
            request: None,
        };
        // Reports join while this waits, so a full queue only makes them coarser.
        (uuid, self.backend.ledger.submit_patiently(submission).await)
    }

    fn answer(
        &mut self,
        uuid: TransferId,
        outcome: Result<Option<Arc<Transfer>>, Error>,
    ) -> v1::ReportProgressResponse {
        match outcome {
            Ok(Some(transfer)) => {
                self.is_news(&transfer);
                standing(&transfer)
            }
            Ok(None) => refusal(
                uuid.to_string(),
                None,
                &Refusal::TransferNotFound { uuid }.into(),
            ),
            Err(error) => {
                let status = match &error {
                    Error::Refused(Refusal::IllegalTransition { status, .. }, _) => Some(*status),
                    Error::Refused(Refusal::LeaseLost { lease: Some(_), .. }, _) => {
                        Some(TransferStatus::InProgress)
                    }
                    _ => None,
                };
                let unknown = matches!(
                    error,
                    Error::Refused(
                        Refusal::TransferNotFound { .. } | Refusal::LeaseLost { .. },
                        _
                    )
                );
                if unknown || status.is_some() {
                    // The answer tells that it left, is another's or never was; once is enough, and its place is free again.
                    self.forget(uuid);
                }
                refusal(uuid.to_string(), status, &error)
            }
        }
    }

    /// Says unasked that a reported transfer is no longer in progress. False when the stream has to end.
    async fn tell(&mut self, update: &Update) -> bool {
        let (uuid, answer) = match update {
            Update::Changed(transfer) if transfer.has_left_lease(self.lease_of(transfer.uuid)) => {
                let lost = Refusal::LeaseLost {
                    uuid: transfer.uuid,
                    given: Some(self.lease_of(transfer.uuid).unwrap_or(1)),
                    lease: transfer.lease(),
                };
                let uuid = transfer.uuid;
                let answer = refusal(uuid.to_string(), Some(transfer.status), &lost.into());
                (uuid, answer)
            }
            Update::Changed(transfer) if transfer.status == TransferStatus::InProgress => {
                return !self.is_news(transfer) || self.send_unsolicited(standing(transfer)).await;
            }
            Update::Changed(transfer) => (transfer.uuid, standing(transfer)),
            // It left and was deleted before its leaving could be told: the newer change has replaced the older one.
            Update::Deleted(uuid) => {
                let gone = Refusal::TransferNotFound { uuid: *uuid }.into();
                (*uuid, refusal(uuid.to_string(), None, &gone))
            }
        };
        if !self.followed.contains_key(&uuid) {
            return true;
        }
        self.forget(uuid);
        self.send_unsolicited(answer).await
    }

    async fn send_unsolicited(&self, answer: v1::ReportProgressResponse) -> bool {
        let answer = v1::ReportProgressResponse {
            unsolicited: true,
            ..answer
        };
        self.send(Ok(answer)).await
    }

    /// The lease that was named for a transfer last.
    fn lease_of(&self, uuid: TransferId) -> Option<i64> {
        self.followed.get(&uuid)?.lease_epoch
    }

    /// Notes the stop that the caller is told of, if any; whether it was not told before.
    fn is_news(&mut self, transfer: &Transfer) -> bool {
        let Some(followed) = self.followed.get_mut(&transfer.uuid) else {
            return false;
        };
        let stop = transfer.pending_stop();
        let is_news = followed.stop.as_ref() != stop;
        if is_news {
            followed.stop = stop.cloned();
        }
        is_news
    }

    fn forget(&mut self, uuid: TransferId) {
        self.followed.remove(&uuid);
        self.subscription.unfollow(uuid);
        self.pending.gathered().known.remove(&uuid);
    }

    async fn send(&self, answer: Answer) -> bool {
        self.answers.send(answer).await.is_ok()
    }
}

/// How a transfer stands that was reported or has changed.
fn standing(transfer: &Transfer) -> v1::ReportProgressResponse {
    v1::ReportProgressResponse {
        uuid: transfer.uuid.to_string(),
        revision: transfer.revision,
        status: transfer.status.to_wire(),
        error: None,
        stop: transfer.pending_stop().map(encode::stop),
        unsolicited: false,
    }
}

fn refusal(
    uuid: String,
    status: Option<TransferStatus>,
    error: &Error,
) -> v1::ReportProgressResponse {
    let metadata = error.metadata();
    v1::ReportProgressResponse {
        uuid,
        revision: 0,
        status: status.map_or(0, WireEnum::to_wire),
        stop: None,
        unsolicited: false,
        error: Some(v1::ReportProgressError {
            code: status::code(error) as i32,
            reason: error.reason().to_owned(),
            message: error.to_string(),
            metadata: metadata
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            // Pauses are seconds; the type allows more than the wire.
            retry_delay: error.retry_after().and_then(|pause| pause.try_into().ok()),
        }),
    }
}
