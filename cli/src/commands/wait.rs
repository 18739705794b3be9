//! `tidegate transfer wait`: until a transfer has a status.

use std::time::Duration;

use futures::StreamExt as _;
use tidegate_client::{Client, Transfer, TransferStatus};
use tokio::time::{interval, timeout};
use uuid::Uuid;

use super::away::Away;
use crate::failure::Failure;

/// The transfer as soon as it has one of the statuses or has ended.
///
/// # Errors
/// [`Failure::TimedOut`] when that takes longer than `longest`.
pub(super) async fn until(
    client: &Client,
    uuid: Uuid,
    statuses: &[TransferStatus],
    longest: Option<Duration>,
) -> Result<Transfer, Failure> {
    let mut states = client.transfers().watch(uuid);
    let mut last = None;
    let reached = async {
        let mut away = Away::default();
        let mut tick = interval(Away::TICK);
        loop {
            tokio::select! {
                transfer = states.next() => {
                    let transfer = transfer.ok_or(Failure::WatchEnded)??;
                    if statuses.contains(&transfer.status) || transfer.status.is_terminal() {
                        return Ok(transfer);
                    }
                    last = Some(transfer.status);
                }
                _ = tick.tick() => {
                    away.look(states.interruption());
                    away.say();
                }
            }
        }
    };
    match longest {
        None => reached.await,
        Some(longest) => {
            let reached = timeout(longest, reached).await;
            reached.unwrap_or_else(|_| Err(Failure::TimedOut(last, longest)))
        }
    }
}
