//! Pages that fit into an answer.

use prost::Message;

use super::MESSAGE_OUT_MAX;
use tidegate_domain::{
    page::{Position, Scope},
    query::Window,
    validate::Check,
};

/// Room for what stands beside the rows: the token, and each row's tag and length.
const MARGIN: usize = 32 * 1024;
/// Tag and length of one row.
const ROW_OVERHEAD: usize = 8;

/// Where a page begins, after its token was checked.
pub(super) fn window(
    check: &mut Check,
    scope: &Scope,
    page_size: i32,
    page_token: &str,
    skip: u32,
) -> Window {
    let limit = check.page_size("page_size", page_size, 50);
    let after = if page_token.is_empty() {
        None
    } else {
        scope.open(page_token)
    };
    if after.is_none() && !page_token.is_empty() {
        check.add(
            "page_token",
            "is not one that this list gave for the same filter and order",
        );
    }
    Window { after, skip, limit }
}

/// One row more than the page holds, to know whether there is a next page.
pub(super) const fn one_more(window: Window) -> Window {
    Window {
        limit: window.limit + 1,
        ..window
    }
}

/// The rows that fit, and the token for what comes after them.
pub(super) fn fit<R, M: Message>(
    rows: &[R],
    limit: u32,
    scope: &Scope,
    position: impl Fn(&R) -> Position,
    message: impl Fn(&R) -> M,
) -> (Vec<M>, String) {
    let (messages, rest) = fit_messages(rows, limit, message);
    let last = messages
        .len()
        .checked_sub(1)
        .and_then(|index| rows.get(index));
    let token = match last {
        Some(row) if rest => scope.seal(position(row)),
        _ => String::new(),
    };
    (messages, token)
}

/// The rows that fit, and whether any were left out.
pub(super) fn fit_messages<R, M: Message>(
    rows: &[R],
    limit: u32,
    message: impl Fn(&R) -> M,
) -> (Vec<M>, bool) {
    let mut messages = Vec::new();
    let mut size = 0;
    for row in rows.iter().take(limit as usize) {
        let message = message(row);
        size += message.encoded_len() + ROW_OVERHEAD;
        // The first row always goes out: a row alone is far below the limit.
        if size > MESSAGE_OUT_MAX - MARGIN && !messages.is_empty() {
            break;
        }
        messages.push(message);
    }
    let rest = messages.len() < rows.len();
    (messages, rest)
}
