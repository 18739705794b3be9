//! Removes agents that have said nothing for as long as they are kept.

use super::{STRIDE, Sweeper};
use crate::error::Error;
use tidegate_domain::{
    agent::{KEPT, RemoveAgent},
    caller::Caller,
    time::Timestamp,
};

impl Sweeper {
    /// Removes those that are gone; how many.
    pub(super) async fn remove_gone_agents(&self, now: Timestamp) -> Result<i64, Error> {
        let gone_before = now.before(KEPT);
        let mut total = 0;
        loop {
            let gone = self.store.gone_agents(gone_before, STRIDE).await?;
            let commands = gone.iter().map(|&uuid| RemoveAgent { uuid, gone_before });
            let removed = self
                .carry_out(commands, &Caller::server(), |removed| *removed)
                .await?;
            total += removed;
            if gone.len() < STRIDE as usize || removed == 0 {
                return Ok(total);
            }
        }
    }
}
