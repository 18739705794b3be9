//! The callers: each repeats one kind of work through the generated client.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_proto::v1::{self, event_service_client::EventServiceClient};
use tokio::{sync::mpsc, task::AbortHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};

use crate::{
    entrance::{Entrance, Transfers},
    load::Caller,
};

/// Transfers of one stream of reports.
pub(crate) const REPORTED: usize = 100;
/// Calls in flight while something is prepared.
pub(crate) const AT_ONCE: usize = 256;

/// Enough connections for so many calls at once.
pub(crate) async fn channels(address: &str, calls: usize) -> anyhow::Result<Vec<Transfers>> {
    Entrance::plain(address)?.channels(calls).await
}

/// Totals after so many records.
pub(crate) fn totals(records: i64) -> v1::Progress {
    v1::Progress {
        records_transferred: Some(records),
        records_created: Some(records),
        bytes_transferred: Some(records * 100),
        ..v1::Progress::default()
    }
}

/// Declares a transfer of a connection, or of none where that is empty.
pub(crate) fn declaration(connection: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        direction: v1::Direction::Send.into(),
        table_name: "public.orders".to_owned(),
        records_requested: 1_000_000,
        request_id: uuid::Uuid::new_v4().to_string(),
        ..v1::CreateTransferRequest::default()
    }
}

/// Makes `count` transfers that are in progress.
pub(crate) async fn running(address: &str, count: usize) -> anyhow::Result<Vec<String>> {
    running_of(&Entrance::plain(address)?, "", count).await
}

/// Makes `count` transfers of a connection that are in progress; of none when it is empty.
pub(crate) async fn running_of(
    entrance: &Entrance,
    connection: &str,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let clients = entrance.channels(AT_ONCE.min(count)).await?;
    let made = stream::iter(0..count).map(|number| {
        let mut client = clients[number % clients.len()].clone();
        async move { run(&mut client, connection).await }
    });
    made.buffer_unordered(AT_ONCE).try_collect().await
}

/// Makes a transfer that is in progress.
pub(crate) async fn run(client: &mut Transfers, connection: &str) -> anyhow::Result<String> {
    let uuid = create(client, declaration(connection)).await?;
    client.start_transfer(start(&uuid)).await?;
    Ok(uuid)
}

/// Answers with its uuid.
pub(crate) async fn create(
    client: &mut Transfers,
    declared: v1::CreateTransferRequest,
) -> anyhow::Result<String> {
    let created = client.create_transfer(declared).await?.into_inner();
    Ok(created.transfer.context("no transfer in the answer")?.uuid)
}

pub(crate) fn start(uuid: &str) -> v1::StartTransferRequest {
    v1::StartTransferRequest {
        uuid: uuid.to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..v1::StartTransferRequest::default()
    }
}

/// The end of a transfer that all records of its declaration were moved by.
pub(crate) fn complete(uuid: String) -> v1::CompleteTransferRequest {
    v1::CompleteTransferRequest {
        lease_epoch: 0,
        uuid,
        progress: Some(totals(1_000_000)),
        request_id: uuid::Uuid::new_v4().to_string(),
        record_problems: Vec::new(),
    }
}

/// Reads one transfer.
pub(crate) struct Get {
    pub(crate) client: Transfers,
    pub(crate) uuid: String,
}

impl Caller for Get {
    async fn call(&mut self) -> anyhow::Result<u64> {
        let request = v1::GetTransferRequest {
            uuid: self.uuid.clone(),
            preload: Vec::new(),
        };
        self.client.get_transfer(request).await?;
        Ok(1)
    }
}

/// Reports progress of one transfer, a call each.
pub(crate) struct Update {
    pub(crate) client: Transfers,
    pub(crate) uuid: String,
    pub(crate) records: i64,
}

impl Caller for Update {
    async fn call(&mut self) -> anyhow::Result<u64> {
        self.records += 1;
        let request = v1::UpdateProgressRequest {
            uuid: self.uuid.clone(),
            progress: Some(totals(self.records)),
            ..v1::UpdateProgressRequest::default()
        };
        self.client.update_progress(request).await?;
        Ok(1)
    }
}

/// Declares transfers.
pub(crate) struct Create {
    pub(crate) client: Transfers,
    /// The connection that they are of; empty for none.
    pub(crate) connection: String,
}

impl Caller for Create {
    async fn call(&mut self) -> anyhow::Result<u64> {
        create(&mut self.client, declaration(&self.connection)).await?;
        Ok(1)
    }
}

/// Takes transfers from their declaration to their end: four calls, which count as one.
pub(crate) struct Lifecycle {
    pub(crate) client: Transfers,
}

impl Caller for Lifecycle {
    async fn call(&mut self) -> anyhow::Result<u64> {
        let uuid = create(&mut self.client, declaration("")).await?;
        self.client.start_transfer(start(&uuid)).await?;
        let half = v1::UpdateProgressRequest {
            uuid: uuid.clone(),
            progress: Some(totals(500_000)),
            ..v1::UpdateProgressRequest::default()
        };
        self.client.update_progress(half).await?;
        self.client.complete_transfer(complete(uuid)).await?;
        Ok(1)
    }
}

/// Reports progress of many transfers on one stream, and waits until all of it is durable.
pub(crate) struct Acknowledged {
    uuids: Vec<String>,
    records: i64,
    reports: mpsc::Sender<v1::ReportProgressRequest>,
    answers: Streaming<v1::ReportProgressResponse>,
}

impl Acknowledged {
    pub(crate) async fn begin(mut client: Transfers, uuids: Vec<String>) -> anyhow::Result<Self> {
        let (reports, sent) = mpsc::channel(uuids.len());
        // The answer begins when something is read.
        let answers = client.report_progress(ReceiverStream::new(sent)).await?;
        Ok(Self {
            uuids,
            records: 0,
            reports,
            answers: answers.into_inner(),
        })
    }
}

impl Caller for Acknowledged {
    async fn call(&mut self) -> anyhow::Result<u64> {
        self.records += 1;
        for uuid in &self.uuids {
            self.reports.send(report(uuid, self.records)).await?;
        }
        for _ in &self.uuids {
            let answer = self.answers.message().await?.context("the stream ended")?;
            anyhow::ensure!(answer.error.is_none(), "refused: {answer:?}");
        }
        Ok(self.uuids.len() as u64)
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

/// Work that goes on by itself until it is dropped.
pub(crate) struct Flow {
    pub(crate) units: Arc<AtomicU64>,
    /// Ends what is sent: the transport would go on with it when nobody waits for the answer any more.
    over: Arc<AtomicBool>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Streams reports as fast as they are taken, whether or not they are written one by one.
pub(crate) fn pour(clients: Vec<Transfers>, uuids: &[String], first: i64) -> Flow {
    let (units, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut tasks = Vec::new();
    for (mut client, own) in clients.into_iter().zip(uuids.chunks(REPORTED)) {
        let (counter, over, own) = (Arc::clone(&units), Arc::clone(&over), own.to_vec());
        let mut number = 0_usize;
        let reports = stream::iter(std::iter::from_fn(move || {
            if over.load(Ordering::Relaxed) {
                return None;
            }
            let round = i64::try_from(number / own.len()).unwrap_or(i64::MAX);
            let uuid = &own[number % own.len()];
            number += 1;
            counter.fetch_add(1, Ordering::Relaxed);
            Some(report(uuid, first + round))
        }));
        let task = tokio::spawn(async move {
            if let Ok(answers) = client.report_progress(reports).await {
                let mut answers = answers.into_inner();
                while let Ok(Some(_)) = answers.message().await {}
            }
        });
        tasks.push(task.abort_handle());
    }
    Flow { units, over, tasks }
}

/// Reads the log from its beginning, again and again.
pub(crate) async fn follow(address: &str) -> anyhow::Result<Flow> {
    let endpoint = Endpoint::from_shared(address.to_owned())?;
    let client = EventServiceClient::new(endpoint.connect().await?);
    let units = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&units);
    let task = tokio::spawn(async move {
        loop {
            let request = v1::WatchEventsRequest::default();
            let Ok(events) = client.clone().watch_events(request).await else {
                return;
            };
            let mut events = events.into_inner();
            while let Ok(Some(answer)) = events.message().await {
                if let Some(v1::watch_events_response::Update::Event(_)) = answer.update {
                    counter.fetch_add(1, Ordering::Relaxed);
                } else {
                    // All of it was read.
                    break;
                }
            }
        }
    });
    Ok(Flow {
        units,
        over: Arc::default(),
        tasks: vec![task.abort_handle()],
    })
}
