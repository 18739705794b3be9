//! The process: its log, its tasks, its signals, its health, and what it costs while nothing happens.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tidegate_tests::{ServerProcess, raw::plain, soon};
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

mod checkpoints;
mod health;
mod idle;
mod log;
mod signals;
mod tasks;

/// Longest time from SIGTERM, or from the death of a task, to the end.
const LONGEST: Duration = Duration::from_secs(10);

/// What the server says of its health, for a service or as a whole.
async fn health(server: &ServerProcess, service: &str) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(server.channel().await);
    let service = service.to_owned();
    let answer = soon("health", client.check(HealthCheckRequest { service })).await?;
    Ok(answer.into_inner().status())
}

/// What it says from now on.
async fn watch_health(server: &ServerProcess, service: &str) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(server.channel().await);
    let service = service.to_owned();
    let answer = soon("health", client.watch(HealthCheckRequest { service })).await;
    answer.expect("the watch opens").into_inner()
}

/// The next word on health; `None` when the watch has ended.
async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    let word = soon("a word on health", watch.next()).await?;
    word.ok().map(|answer| answer.status())
}

/// Creates so many transfers, a few at a time, until each was acknowledged. On a busy machine an answer may be late and
/// has to be asked for again.
async fn create_all(client: &TransferServiceClient<Channel>, count: usize) {
    let creations = (0..count).map(|_| {
        let mut client = client.clone();
        let mut request = plain();
        request.request_id = uuid::Uuid::new_v4().to_string();
        async move {
            loop {
                match client.create_transfer(request.clone()).await {
                    Err(refused) if refused.code() == Code::Unavailable => {}
                    answer => return answer,
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let mut answers = stream::iter(creations).buffer_unordered(16);
    while let Some(answer) = soon("an answer", answers.next()).await {
        answer.expect("it is acknowledged");
    }
}

/// How many transfers there are.
async fn count(client: &mut TransferServiceClient<Channel>) -> i64 {
    let request = v1::CountTransfersRequest::default();
    let answer = client.count_transfers(request).await;
    answer.expect("an answer").into_inner().count
}
