//! Progress: absolute totals that never shrink, one at a time or on a stream, and what silence leads to.

mod heartbeat;
mod pace;
mod report;
mod stops;
mod stream_end;
mod totals;
mod update;

use tidegate_proto::v1;
use tidegate_tests::{
    raw::{Raw, totals},
    soon,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// A stream of reports that is open on both sides.
struct Reports {
    send: mpsc::Sender<v1::ReportProgressRequest>,
    answers: Streaming<v1::ReportProgressResponse>,
}

impl Reports {
    async fn open(raw: &mut Raw) -> Result<Self, Status> {
        let (send, sent) = mpsc::channel(64);
        let opened = raw.transfers.report_progress(ReceiverStream::new(sent));
        let answers = soon("the stream", opened).await?.into_inner();
        Ok(Self { send, answers })
    }

    async fn say(&self, report: v1::ReportProgressRequest) {
        soon("room on the stream", self.send.send(report))
            .await
            .expect("the stream is open");
    }

    async fn say_records(&self, uuid: &str, records: i64) {
        self.say(report(uuid, records)).await;
    }

    async fn hear(&mut self) -> v1::ReportProgressResponse {
        let answer = soon("an answer", self.answers.message())
            .await
            .expect("no refusal");
        answer.expect("the stream is open")
    }

    /// Sends one report and takes the next answer for its acknowledgement.
    async fn acknowledged(&mut self, uuid: &str, records: i64) -> i64 {
        self.say_records(uuid, records).await;
        let answer = self.hear().await;
        assert_eq!((answer.uuid.as_str(), &answer.error), (uuid, &None));
        assert_eq!(answer.status(), v1::TransferStatus::InProgress);
        answer.revision
    }

    /// Ends the sending side and hears the rest.
    async fn finish(mut self) -> Result<Vec<v1::ReportProgressResponse>, Status> {
        drop(self.send);
        let mut rest = Vec::new();
        while let Some(answer) = soon("the end", self.answers.message()).await? {
            rest.push(answer);
        }
        Ok(rest)
    }
}

fn report(uuid: &str, records: i64) -> v1::ReportProgressRequest {
    v1::ReportProgressRequest {
        lease_epoch: 0,
        uuid: uuid.to_owned(),
        progress: Some(totals(records)),
        checkpoint: None,
        record_problems: Vec::new(),
    }
}
