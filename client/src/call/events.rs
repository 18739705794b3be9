//! Reading the log of transitions.

use std::future::IntoFuture;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, request};
use crate::{
    Client, Error, Event, Events, LogPosition, LogVerification, convert, transport::Stubs,
};

request! {
    /// Reads the log; made by [`Events::list`].
    read ListEvents(ListEventsRequest) by events.list_events,
    ListEventsResponse => Vec<Event> {
        |answer| answer.events.into_iter().map(convert::event).collect()
    }
}

request! {
    /// Verifies the chain of hashes; made by [`Events::verify`].
    read VerifyLog(VerifyLogRequest) by events.verify_log,
    VerifyLogResponse => LogVerification { |answer| Ok(convert::verification(answer)) }
}

impl Events {
    /// Verifies a part of the log: recomputes its hashes from what is stored. [`VerifyLog::to_the_end`] verifies all of it.
    pub fn verify(&self) -> VerifyLog {
        VerifyLog {
            client: self.client.clone(),
            message: v1::VerifyLogRequest::default(),
        }
    }

    /// Lists events in ascending sequence. An answer may hold fewer than asked for; only an empty one is the end.
    pub fn list(&self) -> ListEvents {
        ListEvents {
            client: self.client.clone(),
            message: v1::ListEventsRequest::default(),
        }
    }
}

impl ListEvents {
    /// Only those of this transfer.
    pub fn transfer_uuid(mut self, uuid: Uuid) -> Self {
        self.message.transfer_uuid = uuid.to_string();
        self
    }

    /// Only those of this connection.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Only those after this position in the log; 0, the default, is the beginning. A bare number is enough, but only a
    /// position with its hash is refused, with `LOG_DIVERGED`, when the log has another event there by now.
    pub fn after(mut self, position: impl Into<LogPosition>) -> Self {
        let position = position.into();
        self.message.after_sequence = position.sequence;
        self.message.after_hash = position.to_wire();
        self
    }

    /// At most so many in one answer: 50 by default, 1,000 at most.
    pub fn page_size(mut self, size: u32) -> Self {
        self.message.page_size = convert::count(size);
        self
    }

    /// All events up to the present end of the log, fetched as they are read. Ends with `LOG_DIVERGED` when the log turns
    /// out to be another one than that of the events given before.
    pub fn items(self) -> impl Stream<Item = Result<Event, Error>> + Send + Unpin + 'static {
        stream::try_unfold(self, |request| async {
            let events = request.clone().await?;
            let Some(last) = events.last() else {
                return Ok::<_, Error>(None);
            };
            // A position that does not move would be asked for again and again.
            if last.sequence <= request.message.after_sequence {
                return Err(Error::malformed(
                    "the log does not go on after after_sequence",
                ));
            }
            let position = last.position();
            let next = request.after(position);
            Ok(Some((stream::iter(events).map(Ok), next)))
        })
        .try_flatten()
        .boxed()
    }
}

impl VerifyLog {
    /// Only what comes after this position; 0, the default, is the oldest event that is kept. With a hash that was kept
    /// elsewhere, a log that was rewritten is refused with `LOG_DIVERGED`.
    pub fn after(mut self, position: impl Into<LogPosition>) -> Self {
        let position = position.into();
        self.message.after_sequence = position.sequence;
        self.message.after_hash = position.to_wire();
        self
    }

    /// Verifies on until the present end of the log, or until something is wrong.
    pub async fn to_the_end(self) -> Result<LogVerification, Error> {
        let first = self.clone().await?;
        let (mut found, began) = (first.clone(), first.after_sequence);
        while !found.done {
            let from = found.sequence;
            found = self.clone().after(found.position()).await?;
            if !found.done && found.sequence <= from {
                return Err(Error::malformed("the verification does not go on"));
            }
        }
        found.after_sequence = began;
        Ok(found)
    }
}
