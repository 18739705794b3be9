//! The task that carries what the cell holds to the server, and brings back what became of it.
//!
//! One report is under way at a time: an answer says nothing of which report it is for, and this way there is only one.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tidegate_proto::v1;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    ReporterStop,
    slot::{PendingReport, ReportSlot},
};
use crate::{
    Client, Error, Progress, Run, TransferStatus, convert,
    error::refused_report,
    model::Wire as _,
    retry::{self, Endless},
};

/// Reports are at least so far apart.
const PACE: Duration = Duration::from_millis(100);

type Answers = Streaming<v1::ReportProgressResponse>;

pub(super) struct ReportWorker {
    client: Client,
    run: Run,
    slot: Arc<ReportSlot>,
    pauses: Endless,
    knows_heartbeat: bool,
}

/// How a stream of reports ends.
enum End {
    /// There is nothing more to report.
    Stop(ReporterStop),
    /// It broke, and a new one is to go on.
    Interrupted(Option<Error>),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        if retry::is_worth_reconnecting(&error) {
            Self::Interrupted(Some(error))
        } else {
            Self::Stop(ReporterStop::Refused(error))
        }
    }
}

impl ReportWorker {
    pub(super) fn new(client: Client, run: Run, slot: Arc<ReportSlot>) -> Self {
        let pauses = client.retry().endless();
        Self {
            client,
            run,
            slot,
            pauses,
            knows_heartbeat: false,
        }
    }

    pub(super) async fn run(mut self) {
        // Nobody may wait for an answer of a task that is gone, however it went.
        let _last_word = LastWord(Arc::clone(&self.slot));
        loop {
            let Err(end) = self.report().await;
            match end {
                End::Stop(stop) => return self.slot.set_stop(stop),
                End::Interrupted(error) => self.pause(error).await,
            }
        }
    }

    /// Opens a stream and reports over it until it ends.
    async fn report(&mut self) -> Result<Infallible, End> {
        self.learn_heartbeat().await?;
        let (sender, letters) = mpsc::channel(1);
        let pending_report = self.slot.pending_report();
        // The first one lies ready before the stream is opened: some servers answer only then. It also makes the server
        // watch over the transfer for this stream, even if it says nothing new.
        sender
            .try_send(self.message(&pending_report))
            .map_err(|_| End::Interrupted(None))?;
        let letters = ReceiverStream::new(letters);
        let opening = self.client.open(letters, |mut stubs, request| async move {
            stubs.transfers.report_progress(request).await
        });
        let mut answers = opening.await?;
        let Err(end) = self.exchange(&mut answers, &sender, pending_report).await;
        Err(match end {
            End::Stop(ReporterStop::Refused(error)) if self.client.may_have_new_token(&error) => {
                End::Interrupted(Some(error))
            }
            end => end,
        })
    }

    /// Reports over a stream that is open, the pending report being on its way.
    async fn exchange(
        &mut self,
        answers: &mut Answers,
        sender: &mpsc::Sender<v1::ReportProgressRequest>,
        mut pending_report: PendingReport,
    ) -> Result<Infallible, End> {
        loop {
            let sent_at = Instant::now();
            self.await_answer(answers, &pending_report).await?;
            self.await_occasion(answers, sent_at).await?;
            pending_report = self.slot.pending_report();
            if sender.send(self.message(&pending_report)).await.is_err() {
                // The transport gave the stream up; its answers say why.
                return Err(self.await_end(answers).await);
            }
        }
    }

    /// Asks how long the agent may stay silent, unless it has said so itself.
    async fn learn_heartbeat(&mut self) -> Result<(), End> {
        if self.knows_heartbeat || self.slot.heartbeat().is_some() {
            return Ok(());
        }
        let request = v1::GetTransferRequest {
            uuid: self.run.uuid.to_string(),
            preload: Vec::new(),
        };
        let answer = self.client.call_once(request).await?;
        let transfer = convert::transfer(answer.transfer)?;
        if transfer.status.is_terminal() {
            return Err(End::Stop(ReporterStop::Left(transfer.status)));
        }
        self.knows_heartbeat = true;
        // What the agent set in the meantime counts.
        if self.slot.heartbeat().is_none() && transfer.heartbeat_timeout.is_some() {
            self.slot.set_heartbeat(transfer.heartbeat_timeout);
        }
        Ok(())
    }

    /// Waits until the letter is known to be stored.
    async fn await_answer(
        &mut self,
        answers: &mut Answers,
        pending_report: &PendingReport,
    ) -> Result<(), End> {
        let patience = self.client.timeout();
        let stored = timeout(patience, async {
            while !self.is_stored(next(answers).await?)? {}
            Ok::<(), End>(())
        });
        stored
            .await
            .unwrap_or_else(|_elapsed| Err(Error::no_answer().into()))?;
        self.slot.settle(pending_report);
        self.pauses.start_over();
        Ok(())
    }

    /// Waits until there is something to report and it may be sent, or the server must hear from the agent.
    async fn await_occasion(&self, answers: &mut Answers, sent_at: Instant) -> Result<(), End> {
        let occasion = async {
            sleep_until(sent_at + PACE).await;
            while !self.slot.has_news() {
                tokio::select! {
                    () = self.slot.woken() => {}
                    () = self.silence_ends(sent_at) => break,
                }
            }
        };
        tokio::pin!(occasion);
        loop {
            tokio::select! {
                () = &mut occasion => return Ok(()),
                answer = next(answers) => { self.is_stored(answer?)?; }
            }
        }
    }

    async fn await_end(&self, answers: &mut Answers) -> End {
        loop {
            let end = match next(answers).await {
                Ok(answer) => self.is_stored(answer).err(),
                Err(end) => Some(end),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Whether the answer says that the report under way is stored. An `End` is the server's last word on the transfer.
    fn is_stored(&self, answer: v1::ReportProgressResponse) -> Result<bool, End> {
        if answer.uuid != self.run.uuid.to_string() {
            return Ok(false);
        }
        let status = TransferStatus::from_wire(answer.status);
        match answer.error {
            // A transfer that was never started has not left its progress: that is the agent's mistake.
            Some(_) if status.is_terminal() => Err(End::Stop(ReporterStop::Left(status))),
            Some(refusal) => Err(refused_report(refusal).into()),
            None => match status {
                TransferStatus::InProgress | TransferStatus::Unknown(_) => {
                    let request = answer.stop.map(convert::stop).transpose()?;
                    self.slot.set_request(request);
                    Ok(!answer.unsolicited)
                }
                _ => Err(End::Stop(ReporterStop::Left(status))),
            },
        }
    }

    fn message(&self, pending_report: &PendingReport) -> v1::ReportProgressRequest {
        let totals = pending_report.totals.map(Progress::from);
        let progress = Progress {
            phase: pending_report.phase,
            ..totals.unwrap_or_default()
        };
        v1::ReportProgressRequest {
            uuid: self.run.uuid.to_string(),
            progress: Some(convert::to_progress(progress)),
            checkpoint: pending_report.checkpoint.clone(),
            lease_epoch: self.run.epoch(),
            record_problems: Vec::new(),
        }
    }

    /// How long the server may hear nothing; `None`: for ever.
    fn silence(&self) -> Option<Duration> {
        let timeout = self.slot.heartbeat()?;
        Some((timeout / 3).max(PACE))
    }

    async fn silence_ends(&self, since: Instant) {
        match self
            .silence()
            .and_then(|silence| since.checked_add(silence))
        {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    }

    async fn pause(&mut self, error: Option<Error>) {
        tracing::debug!(
            transfer.uuid = %self.run.uuid,
            error = error.as_ref().map(tracing::field::display),
            "the reports were interrupted and are resumed",
        );
        let longest = self.silence().unwrap_or(Duration::MAX);
        // A pause cut short is no harm, a heartbeat lost is.
        let _ = timeout(longest, self.pauses.wait(error.as_ref())).await;
    }
}

async fn next(answers: &mut Answers) -> Result<v1::ReportProgressResponse, End> {
    match answers.message().await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(End::Interrupted(None)),
        Err(status) => Err(Error::from_status(status).into()),
    }
}

struct LastWord(Arc<ReportSlot>);

impl Drop for LastWord {
    fn drop(&mut self) {
        // Without effect when there is a reason already.
        self.0
            .set_stop(ReporterStop::Refused(Error::reporter_ended()));
    }
}
