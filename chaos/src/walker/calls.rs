//! How a walker makes its calls: until the outcome is known, in a hurry, or without waiting for the answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::Rng as _;
use tidegate_domain::status::TransferStatus;
use tidegate_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Walker;
use crate::{
    ask::{self, Ask, Refusal},
    checker::{Acknowledged, Totals},
};

/// Longest wait for one answer; a server that was killed answers at once, by its absence.
const PATIENCE: Duration = Duration::from_secs(10);
/// The shortest deadline of a call in a hurry.
const SHORTEST: Duration = Duration::from_micros(100);
/// How soon and how late a call is abandoned: before its server has heard of it, and after it has answered.
const ABANDONED: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(200));
/// Time before a call is repeated whose outcome is in the dark.
const PAUSE: Duration = Duration::from_millis(20);

impl Walker {
    /// Asks until the outcome is known, with the same words each time, and writes it down. `None` when it was refused
    /// or is left in the dark on purpose.
    pub(super) async fn tell(&mut self, ask: Ask) -> Option<v1::Transfer> {
        let mut repeated = self.chance(self.town.manner.abandoned);
        let mut replica = self.any_replica();
        if repeated {
            let first = replica;
            self.abandon(&ask, first).await;
            replica = self.other_than(first);
            self.town.ledger().elsewhere += usize::from(replica != first);
        }
        loop {
            match self.once(&ask, replica, repeated).await {
                // Once more, although it is done: that must change nothing.
                Ok(_) if !repeated && self.chance(5) => {}
                Ok(transfer) => return transfer,
                Err(Refusal::Unknown) => {
                    if self.chance(5) || self.town.evening.is_cancelled() {
                        return None;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(Refusal::Certain | Refusal::Surprise) => return None,
            }
            repeated = true;
            replica = self.any_replica();
        }
    }

    /// Asks a replica once, and writes the answer down.
    async fn once(
        &mut self,
        ask: &Ask,
        replica: usize,
        repeated: bool,
    ) -> Result<Option<v1::Transfer>, Refusal> {
        let deadline = self.town.manner.hurried.map(|most| self.deadline(most));
        let mut client = self.clients[replica].clone();
        let _open = self.town.gate.read().await;
        let began = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, ask.send(&mut client, deadline)).await;
        let mut ledger = self.town.ledger();
        ledger.calls += 1;
        ledger.slowest = ledger.slowest.max(began.elapsed());
        match answer {
            Ok(Ok(transfer)) => {
                ledger.acknowledge(ask, transfer.as_ref(), repeated);
                Ok(transfer)
            }
            Ok(Err(status)) => Err(ledger.note(ask, &status, repeated)),
            Err(_) => Err(ledger.surprise(ask, "no answer")),
        }
    }

    /// Asks a replica and goes away before the answer, or drops it: it may have happened or not.
    async fn abandon(&mut self, ask: &Ask, replica: usize) {
        let patience = self.span(ABANDONED, 0.0);
        let mut client = self.clients[replica].clone();
        let _open = self.town.gate.read().await;
        let answer = tokio::time::timeout(patience, ask.send(&mut client, None)).await;
        let mut ledger = self.town.ledger();
        ledger.calls += 1;
        ledger.abandoned += 1;
        ledger.under_way += usize::from(answer.is_err());
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
        let town = Arc::clone(&self.town);
        let _open = town.gate.read().await;
        let (reports, stream) = mpsc::channel(4);
        let replica = self.any_replica();
        let mut client = self.clients[replica].clone();
        let opened = client.report_progress(ReceiverStream::new(stream));
        let Ok(Ok(answers)) = tokio::time::timeout(PATIENCE, opened).await else {
            return;
        };
        let mut answers = answers.into_inner();
        for _ in 0..self.random.random_range(2..10) {
            self.grow(totals);
            let report = v1::ReportProgressRequest {
                uuid: uuid.to_owned(),
                progress: Some(ask::progress(*totals)),
                checkpoint: None,
            };
            if reports.send(report).await.is_err() {
                return;
            }
            let Ok(Ok(Some(answer))) = tokio::time::timeout(PATIENCE, answers.message()).await
            else {
                return;
            };
            if answer.error.is_some() {
                return;
            }
            let status = ask::status(answer.status).expect("an answer without error has a status");
            let works = status == TransferStatus::InProgress;
            let mut ledger = self.town.ledger();
            ledger.streamed += usize::from(works);
            ledger.journal.acknowledged.push(Acknowledged {
                transfer: answer.uuid,
                revision: answer.revision,
                status,
                totals: works.then_some(*totals),
                transition: None,
            });
            if !works {
                return;
            }
        }
    }
}
