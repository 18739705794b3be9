//! Word of events that may end somebody's rights, for whoever keeps their streams open.

use tokio::sync::broadcast;

use tidegate_domain::{
    event::{Event, EventType},
    id::{ConnectionId, CredentialId},
};

/// Words that may wait; whoever falls further behind has to look at everybody.
const WAITING: usize = 1_024;

/// Whose rights may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// This credential's.
    Credential(CredentialId),
    /// The agents' of this connection.
    Connection(ConnectionId),
    /// Anybody's.
    Anybody,
}

impl Concern {
    /// Whose rights an event may have ended, if anybody's.
    pub fn of(event: &Event) -> Option<Self> {
        match event.body.event_type {
            EventType::CredentialRotated | EventType::CredentialRevoked => {
                event.subject_uuid.map(CredentialId).map(Self::Credential)
            }
            EventType::ConnectionRevoked | EventType::ConnectionDeleted => {
                event.connection_uuid.map(Self::Connection)
            }
            _ => None,
        }
    }
}

/// Passes the words on.
pub(super) struct Rights(broadcast::Sender<Concern>);

impl Default for Rights {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Rights {
    pub(super) fn tell(&self, events: &[Event]) {
        for concern in events.iter().filter_map(Concern::of) {
            // Nobody listens where authentication is off.
            _ = self.0.send(concern);
        }
    }

    /// Anybody's may have ended.
    pub(super) fn doubt(&self) {
        _ = self.0.send(Concern::Anybody);
    }

    pub(super) fn listen(&self) -> RightsNews {
        RightsNews(self.0.subscribe())
    }
}

/// The words that come from now on.
pub struct RightsNews(broadcast::Receiver<Concern>);

impl RightsNews {
    /// The next word; `None` when no more can come.
    pub async fn next(&mut self) -> Option<Concern> {
        match self.0.recv().await {
            Ok(concern) => Some(concern),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Concern::Anybody),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
