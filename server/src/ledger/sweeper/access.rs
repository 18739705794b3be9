//! Deletes credentials and sessions that were over for as long as they are to be kept, where that was asked for.

use super::{STRIDE, Sweeper};
use crate::error::Error;
use tidegate_domain::{
    caller::Caller,
    command::{CredentialCommand, DeleteSession},
    credential::CredentialVerb,
    time::Timestamp,
};

impl Sweeper {
    /// Deletes what had ended by then.
    pub(super) async fn delete_ended_access(&self, ended_before: Timestamp) -> Result<(), Error> {
        let credentials = self.delete_credentials(ended_before).await?;
        let sessions = self.delete_sessions(ended_before).await?;
        let swept = &self.metrics.swept;
        swept.inc_by("credential", credentials.unsigned_abs());
        swept.inc_by("session", sessions.unsigned_abs());
        if credentials + sessions > 0 {
            tracing::info!(credentials, sessions, "what had ended was deleted");
        }
        Ok(())
    }

    async fn delete_credentials(&self, ended_before: Timestamp) -> Result<i64, Error> {
        let mut total = 0;
        loop {
            let ended = self.store.ended_credentials(ended_before, STRIDE / 2);
            let ended = ended.await?;
            let commands = ended.iter().map(|uuid| CredentialCommand::Change {
                uuid: *uuid,
                verb: CredentialVerb::Delete { ended_before },
            });
            let deleted = self
                .carry_out(commands, &Caller::server(), |it| {
                    it.ends_at().is_some_and(|end| end < ended_before)
                })
                .await?;
            total += deleted;
            if deleted == 0 {
                return Ok(total);
            }
        }
    }

    async fn delete_sessions(&self, ended_before: Timestamp) -> Result<i64, Error> {
        let mut total = 0;
        loop {
            let ended = self.store.ended_sessions(ended_before, STRIDE).await?;
            let commands = ended.into_iter().map(|digest| DeleteSession {
                digest,
                ended_before,
            });
            let deleted = self
                .carry_out(commands, &Caller::server(), |deleted| *deleted)
                .await?;
            total += deleted;
            if deleted == 0 {
                return Ok(total);
            }
        }
    }
}
