//! Whether all is well again.

use std::time::{Duration, Instant};

use tidegate_proto::v1;
use tonic::{Status, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{Observer, System, outcome};
use crate::{checker::Acknowledged, load::Load};
use tidegate_tests::raw::{Raw, plain};

/// Longest time after the end of a fault until everything is as it was, without anybody's help.
const RECOVERY: Duration = Duration::from_secs(10);
/// Longest wait for one answer on the way.
const ANSWER: Duration = Duration::from_secs(3);
/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until every server makes changes and says that it serves, and the watcher of the log is told; what was in the way
/// last.
///
/// # Errors
/// What is still wrong when it should no longer be.
pub(super) async fn wait(
    system: &mut System,
    load: &Load,
    observer: &Observer,
) -> Result<Option<String>, String> {
    let end = Instant::now() + RECOVERY;
    let mut number = 0;
    let mut newest = 0;
    let mut obstacle = None;
    loop {
        let found = match system.fleet.addresses().get(number) {
            Some(address) => probe(address, load).await.map(|made| newest = made),
            None if observer.reached() >= newest => return Ok(obstacle),
            None => Err(format!(
                "the watcher of events was told {} of {newest}",
                observer.reached()
            )),
        };
        match found {
            Ok(()) => number += 1,
            Err(wrong) => {
                let wrong = format!("server {number}: {wrong}");
                if Instant::now() > end {
                    return Err(format!("not back within {RECOVERY:?}: {wrong}"));
                }
                obstacle = Some(wrong);
                system.supervise(Instant::now() + PAUSE, end).await;
            }
        }
    }
}

/// Makes a change, which is recorded as that of any client; the number of its event.
async fn probe(address: &str, load: &Load) -> Result<i64, String> {
    let asked = tokio::time::timeout(ANSWER, check(address, load)).await;
    match asked {
        Ok(Ok((sequence, ServingStatus::Serving))) => Ok(sequence),
        Ok(Ok((_, health))) => Err(format!("changes are made, and health says {health:?}")),
        Ok(Err(status)) => Err(outcome::brief(&status)),
        Err(_) => Err("no answer".to_owned()),
    }
}

async fn check(address: &str, load: &Load) -> Result<(i64, ServingStatus), Status> {
    let endpoint = Endpoint::from_shared(address.to_owned()).expect("the address is one");
    let channel = endpoint.connect_lazy();
    let mut raw = Raw::on(channel.clone());
    let made = raw.transfers.create_transfer(plain()).await?.into_inner();
    let made = made.transfer.expect("the answer carries the transfer");
    let shown = Acknowledged::of(&made);
    load.record().history.acknowledged.push(shown);
    let request = v1::ListEventsRequest {
        transfer_uuid: made.uuid,
        ..Default::default()
    };
    let events = raw.events.list_events(request).await?.into_inner().events;
    let sequence = events.last().map_or(0, |event| event.sequence);
    let request = HealthCheckRequest::default();
    let health = HealthClient::new(channel).check(request).await?;
    Ok((sequence, health.into_inner().status()))
}
