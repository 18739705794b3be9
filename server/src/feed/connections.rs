//! Word of connections that have changed, for whoever waits until something of theirs may be started.

use tokio::sync::broadcast;

use tidegate_domain::{
    event::{Event, EventSubject},
    id::ConnectionId,
};

/// Words that may wait; whoever falls further behind has to look for themselves.
const WAITING: usize = 1_024;

/// Passes the words on.
pub(super) struct Connections(broadcast::Sender<ConnectionId>);

impl Default for Connections {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Connections {
    pub(super) fn tell(&self, events: &[Event]) {
        let about = |event: &&Event| event.body.event_type.subject() == EventSubject::Connection;
        for uuid in events
            .iter()
            .filter(about)
            .filter_map(|it| it.connection_uuid)
        {
            // Nobody may be waiting.
            _ = self.0.send(uuid);
        }
    }

    pub(super) fn listen(&self) -> ConnectionNews {
        ConnectionNews(self.0.subscribe())
    }
}

/// The words that come from now on.
pub struct ConnectionNews(broadcast::Receiver<ConnectionId>);

impl ConnectionNews {
    /// Resolves once this connection has changed, or may have.
    pub async fn next(&mut self, uuid: ConnectionId) {
        loop {
            match self.0.recv().await {
                Ok(changed) if changed != uuid => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The feed goes last.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
