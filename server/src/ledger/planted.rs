//! The deliberate faults of the writer; see [`planted`](crate::planted).

use std::borrow::Cow;

use super::{draft::Draft, writer::Writer};
use crate::{
    domain::command::Order,
    planted::{Bug, DELAY, is},
    store::{Batch, StoreError},
};

/// The order without what would have to be remembered, if nothing is.
pub(super) fn forgetful(order: &Order) -> Cow<'_, Order> {
    if is(Bug::RequestForgotten) {
        let request = None;
        return Cow::Owned(Order {
            request,
            ..order.clone()
        });
    }
    Cow::Borrowed(order)
}

/// Breaks a promise before the commit; `None` when the commit is left to somebody else.
pub(super) async fn before_commit(
    writer: &Writer,
    draft: &Draft,
    transaction: Batch,
) -> Option<Batch> {
    if is(Bug::AnswerFirst) {
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            transaction.commit().await
        });
        return None;
    }
    if is(Bug::PublishFirst) {
        writer.feed.committed(&draft.changes(), draft.appended());
        tokio::time::sleep(DELAY).await;
    }
    Some(transaction)
}

/// Does after the commit what belonged into it.
pub(super) async fn after_commit(writer: &Writer, draft: &mut Draft) -> Result<(), StoreError> {
    if is(Bug::EventOutside) && !draft.events().is_empty() {
        let transaction = writer.store.begin().await?;
        draft.append(&transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
