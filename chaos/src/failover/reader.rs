//! Callers who change nothing, without retries: whatever they are answered is noted.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::raw::{NOBODY, Raw};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Fleet, statuses::Statuses};

/// Longest wait for one answer: longer than a server waits for its database.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two calls.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a claim waits for something to run.
const WAIT: prost_types::Duration = prost_types::Duration {
    seconds: 1,
    nanos: 0,
};

/// One caller of each replica.
pub(super) struct Readers {
    stop: CancellationToken,
    tasks: JoinSet<Statuses>,
}

impl Readers {
    /// Starts them.
    pub(super) fn start(fleet: &Fleet) -> Self {
        let stop = CancellationToken::new();
        let tasks = (0..fleet.len())
            .map(|number| read(fleet.raw(number), stop.clone()))
            .collect();
        Self { stop, tasks }
    }

    /// What they were answered.
    pub(super) async fn end(self) -> Statuses {
        self.stop.cancel();
        let mut all = Statuses::default();
        for statuses in self.tasks.join_all().await {
            all.add(statuses);
        }
        all
    }
}

/// One call after the other.
async fn read(mut raw: Raw, stop: CancellationToken) -> Statuses {
    let mut statuses = Statuses::default();
    macro_rules! call {
        ($service:ident.$method:ident($request:expr)) => {{
            let answer = raw.$service.$method($request);
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(_)) => statuses.succeeded(),
                Ok(Err(status)) => _ = statuses.note(stringify!($method), &status),
                Err(_) => statuses.wrong(stringify!($method), "no answer"),
            }
            tokio::time::sleep(PAUSE).await;
        }};
    }
    while !stop.is_cancelled() {
        let uuid = NOBODY.to_owned();
        call!(transfers.get_transfer(v1::GetTransferRequest {
            uuid: uuid.clone(),
            ..Default::default()
        }));
        call!(transfers.explain_transfer(v1::ExplainTransferRequest {
            uuid,
            ..Default::default()
        }));
        call!(transfers.list_transfers(v1::ListTransfersRequest::default()));
        call!(transfers.count_transfers(v1::CountTransfersRequest::default()));
        call!(transfers.list_active_transfers(v1::ListActiveTransfersRequest::default()));
        call!(events.list_events(v1::ListEventsRequest::default()));
        call!(connections.list_connections(v1::ListConnectionsRequest::default()));
        call!(credentials.list_credentials(v1::ListCredentialsRequest::default()));
        call!(transfers.claim_transfers(v1::ClaimTransfersRequest {
            table_names: vec!["nobodys".to_owned()],
            wait: Some(WAIT),
            ..Default::default()
        }));
    }
    statuses
}
