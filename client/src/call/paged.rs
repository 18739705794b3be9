//! Pages, and the stream that follows them to the end.

use std::future::IntoFuture;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::Error;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// What is on the page, in the order asked for. May be empty on a page that is not the last.
    pub items: Vec<T>,
    /// Pass it on to the same request for the next page; `None` at the end.
    pub next_page_token: Option<String>,
}

/// The beginning of a list that has no further pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing<T> {
    /// What is in it, in its order.
    pub items: Vec<T>,
    /// There are more than these.
    pub more: bool,
}

/// A request whose answer is a page.
pub(super) trait Paged:
    IntoFuture<Output = Result<Page<Self::Item>, Error>, IntoFuture: Send> + Clone + Send + 'static
{
    type Item: Send;

    /// The request for the page that `token` names.
    fn go_on(self, token: String) -> Self;
}

/// Every item of every page. Fetches a page when the one before is used up; ends at the first error.
pub(super) fn items<R: Paged>(
    request: R,
) -> impl Stream<Item = Result<R::Item, Error>> + Send + Unpin + 'static {
    stream::try_unfold(Some(request), |request| async {
        let Some(request) = request else {
            return Ok::<_, Error>(None);
        };
        let page = request.clone().await?;
        let next = page.next_page_token.map(|token| request.go_on(token));
        Ok(Some((stream::iter(page.items).map(Ok), next)))
    })
    .try_flatten()
    .boxed()
}
