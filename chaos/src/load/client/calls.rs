//! How a client makes its calls: until the outcome is known, with a deadline, or without waiting for the answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::Rng as _;
use tidegate_domain::status::TransferStatus;
use tidegate_proto::v1;
use tokio::{sync::mpsc, time::error::Elapsed};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::LoadClient;
use crate::{
    change::{self, CallFailure, ChangeRequest},
    checker::{Acknowledged, Totals},
};

/// Longest wait for one answer; a server that was killed answers at once, by its absence.
const PATIENCE: Duration = Duration::from_secs(10);
/// The shortest deadline of a call.
const SHORTEST: Duration = Duration::from_micros(100);
/// How soon and how late a call is abandoned: before its server has heard of it, and after it has answered.
const ABANDONED: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(200));
/// What the answers on a stream answer.
const STREAM: &str = "ReportProgress";
/// Time before a call of unknown outcome is repeated.
const PAUSE: Duration = Duration::from_millis(20);

impl LoadClient {
    /// Sends the same request until the outcome is known, and records it. `None` when it was refused or is left unknown on
    /// purpose.
    pub(super) async fn send(&mut self, change: ChangeRequest) -> Option<v1::Transfer> {
        let mut repeated = self.chance(self.load.options.abandoned);
        let mut replica = self.any_replica();
        if repeated {
            let first = replica;
            self.abandon(&change, first).await;
            replica = self.other_than(first);
            self.load.record().retried_elsewhere += usize::from(replica != first);
        }
        loop {
            match self.send_once(&change, replica, repeated).await {
                // Once more, although it is done: that must change nothing.
                Ok(_) if !repeated && self.chance(5) => {}
                Ok(transfer) => return transfer,
                Err(CallFailure::Unknown) => {
                    if self.chance(5) || self.load.stop.is_cancelled() {
                        return None;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(CallFailure::Refused | CallFailure::Unexpected) => return None,
            }
            repeated = true;
            replica = self.any_replica();
        }
    }

    /// Sends it to a replica once, and records the answer.
    async fn send_once(
        &mut self,
        change: &ChangeRequest,
        replica: usize,
        repeated: bool,
    ) -> Result<Option<v1::Transfer>, CallFailure> {
        let deadline = self
            .load
            .options
            .max_deadline
            .map(|most| self.deadline(most));
        let mut client = self.clients[replica].clone();
        let _open = self.load.pause.read().await;
        let began = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, change.send(&mut client, deadline)).await;
        let mut record = self.load.record();
        record.calls += 1;
        record.slowest = record.slowest.max(began.elapsed());
        match answer {
            Ok(Ok(transfer)) => {
                record.acknowledge(change, transfer.as_ref(), repeated);
                record.begun.insert((self.number, replica), began);
                Ok(transfer)
            }
            Ok(Err(status)) => Err(record.failed(change, &status, repeated)),
            Err(_) => Err(record.unexpected(change, "no answer")),
        }
    }

    /// Sends it to a replica and does not wait for the answer: it may have happened or not.
    async fn abandon(&mut self, change: &ChangeRequest, replica: usize) {
        let patience = self.span(ABANDONED, 0.0);
        let mut client = self.clients[replica].clone();
        let _open = self.load.pause.read().await;
        let answer = tokio::time::timeout(patience, change.send(&mut client, None)).await;
        let mut record = self.load.record();
        record.calls += 1;
        record.abandoned += 1;
        record.unanswered += usize::from(answer.is_err());
    }

    /// 0.1 ms to `most`: half of them evenly on a logarithmic scale, which cuts calls short wherever they are, and half of
    /// them near the end of it, which some calls just make.
    fn deadline(&mut self, most: Duration) -> Duration {
        let least = if self.chance(50) { 0.0 } else { 0.9 };
        self.span((SHORTEST, most), least)
    }

    /// A time between two, of which the first `least` of the way, on a logarithmic scale, is left out.
    fn span(&mut self, (from, to): (Duration, Duration), least: f64) -> Duration {
        let way = self.random.random_range(least..=1.0);
        from.mul_f64(to.div_duration_f64(from).powf(way))
    }

    fn any_replica(&mut self) -> usize {
        self.random.random_range(0..self.clients.len())
    }

    /// Another replica, where there is one.
    fn other_than(&mut self, replica: usize) -> usize {
        match self.clients.len() {
            1 => replica,
            replicas => (replica + self.random.random_range(1..replicas)) % replicas,
        }
    }

    /// Reports on a stream, waiting for each answer, until the transfer is taken away or the server is.
    pub(super) async fn stream(&mut self, uuid: &str, totals: &mut Totals) {
        let load = Arc::clone(&self.load);
        let _open = load.pause.read().await;
        let (reports, stream) = mpsc::channel(4);
        let replica = self.any_replica();
        let mut client = self.clients[replica].clone();
        let opened = client.report_progress(ReceiverStream::new(stream));
        let Some(answers) = self.heard(tokio::time::timeout(PATIENCE, opened).await) else {
            return;
        };
        let mut answers = answers.into_inner();
        for _ in 0..self.random.random_range(2..10) {
            self.grow(totals);
            let report = v1::ReportProgressRequest {
                lease_epoch: 0,
                uuid: uuid.to_owned(),
                progress: Some(change::progress(*totals)),
                checkpoint: None,
                record_problems: Vec::new(),
            };
            let began = Instant::now();
            // Where the stream has ended, the answer says why.
            _ = reports.send(report).await;
            let answer = tokio::time::timeout(PATIENCE, answers.message()).await;
            let Some(answer) = self.heard(answer) else {
                return;
            };
            if !self.note(answer, *totals, replica, began) {
                return;
            }
        }
    }

    /// What came on a stream; notes what came instead.
    fn heard<T>(&self, answer: Result<Result<T, Status>, Elapsed>) -> Option<T> {
        let mut record = self.load.record();
        match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(status)) => _ = record.statuses.note(STREAM, &status),
            Err(_) => record.statuses.wrong(STREAM, "no answer"),
        }
        None
    }

    /// Records the answer to a report that was sent at `began`; whether the transfer goes on.
    fn note(
        &self,
        answer: Option<v1::ReportProgressResponse>,
        totals: Totals,
        replica: usize,
        began: Instant,
    ) -> bool {
        let mut record = self.load.record();
        let Some(answer) = answer else {
            record.statuses.wrong(STREAM, "an end without a status");
            return false;
        };
        if let Some(error) = &answer.error {
            record.statuses.note_report(error);
            return false;
        }
        let status = change::status(answer.status).expect("an answer without error has a status");
        let works = status == TransferStatus::InProgress;
        if works {
            record.streamed += 1;
            record.begun.insert((self.number, replica), began);
        }
        record.history.acknowledged.push(Acknowledged {
            transfer: answer.uuid,
            revision: answer.revision,
            status,
            totals: works.then_some(totals),
            transition: None,
        });
        works
    }
}
