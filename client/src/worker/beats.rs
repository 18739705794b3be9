//! Says that the agent is there, for as long as the worker lives.

use std::time::Duration;

use tokio::time::sleep;

use crate::{Client, RegisterAgent, retry};

/// How long after a refusal to ask again: what is missing may come.
const LATER: Duration = Duration::from_secs(30);

/// Registers again and again. Nothing depends on it, so what is refused is no reason to stop.
pub(super) async fn run(client: Client, register: RegisterAgent) {
    let mut pauses = client.retry().endless();
    loop {
        match register.clone().await {
            Ok(registered) => {
                pauses.start_over();
                sleep(registered.beat_interval).await;
            }
            Err(error) if retry::is_worth_reconnecting(&error) => pauses.wait(Some(&error)).await,
            Err(error) => {
                tracing::warn!(%error, "the agent could not be registered; transfers are claimed without");
                sleep(LATER).await;
            }
        }
    }
}
