//! The deliberate faults of the writer; see [`planted`](crate::planted).

use std::borrow::Cow;

use super::{batch::BatchState, writer::Writer};
use crate::{
    domain::command::Submission,
    planted::{Bug, DELAY, is},
    store::{StoreError, WriteTransaction},
};

/// The command without what would have to be remembered, if nothing is.
pub(super) fn forgetful(submission: &Submission) -> Cow<'_, Submission> {
    if is(Bug::RequestForgotten) {
        let request = None;
        return Cow::Owned(Submission {
            request,
            ..submission.clone()
        });
    }
    Cow::Borrowed(submission)
}

/// Breaks a promise before the commit; `None` when the commit is left to somebody else.
pub(super) async fn before_commit(
    writer: &Writer,
    state: &BatchState,
    transaction: WriteTransaction,
) -> Option<WriteTransaction> {
    if is(Bug::AnswerFirst) {
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            transaction.commit().await
        });
        return None;
    }
    if is(Bug::PublishFirst) {
        writer.feed.committed(&state.changes(), state.appended());
        tokio::time::sleep(DELAY).await;
    }
    Some(transaction)
}

/// Does after the commit what belonged into it.
pub(super) async fn after_commit(
    writer: &Writer,
    state: &mut BatchState,
) -> Result<(), StoreError> {
    if is(Bug::EventOutside) && !state.events().is_empty() {
        let transaction = writer.store.begin().await?;
        state.append(&transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
