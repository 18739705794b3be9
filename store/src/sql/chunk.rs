//! Cuts work into statements of a few fixed sizes, so that the statement caches hold them and no statement has more
//! variables than a database takes (32,766 on SQLite, 65,535 on PostgreSQL).

use sea_orm::{
    ColumnTrait, DbBackend,
    sea_query::{Expr, Value, postgres_array::NotU8},
};
use uuid::Uuid;

/// Rows of one multi-row statement. No row has more than 80 columns.
const ROWS: [usize; 4] = [64, 16, 4, 1];
/// Keys of one list.
const KEYS: [usize; 4] = [1, 16, 128, 1_024];

/// Cuts `rows` into pieces of the fixed sizes, largest first, in their order.
pub(crate) fn rows<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// Cuts `keys` into lists of the fixed sizes; the last key is repeated where one would be too short.
fn lists<T: Clone>(keys: &[T]) -> impl Iterator<Item = Vec<T>> {
    keys.chunks(KEYS[KEYS.len() - 1]).map(|piece| {
        let size = KEYS
            .into_iter()
            .find(|size| piece.len() <= *size)
            .unwrap_or(piece.len());
        let mut list = piece.to_vec();
        if let Some(last) = piece.last() {
            list.resize(size, last.clone());
        }
        list
    })
}

/// Conditions that mean together, in a statement each, the rows whose `column` is one of `keys`. PostgreSQL takes all keys as
/// one value, and so needs one statement at most.
pub(crate) fn one_of<T: Clone + Into<Value> + NotU8>(
    backend: DbBackend,
    column: impl ColumnTrait,
    keys: &[T],
) -> Vec<Expr> {
    match backend {
        _ if keys.is_empty() => Vec::new(),
        DbBackend::Postgres => vec![column.eq_any(keys.iter().cloned())],
        _ => lists(keys).map(|list| column.is_in(list)).collect(),
    }
}

/// As [`one_of`], of texts.
pub(crate) fn one_of_texts(
    backend: DbBackend,
    column: impl ColumnTrait,
    texts: &[&str],
) -> Vec<Expr> {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    one_of(backend, column, &texts)
}

/// As [`one_of`], of identities.
pub(crate) fn one_of_ids(
    backend: DbBackend,
    column: impl ColumnTrait,
    ids: &[impl Copy + Into<Uuid>],
) -> Vec<Expr> {
    let ids: Vec<Uuid> = ids.iter().map(|id| (*id).into()).collect();
    one_of(backend, column, &ids)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_is_in_one_piece_of_a_fixed_size(count in 0_usize..700) {
            let all: Vec<_> = (0..count).collect();
            let pieces: Vec<_> = rows(&all).collect();
            prop_assert!(pieces.iter().all(|piece| ROWS.contains(&piece.len())));
            prop_assert_eq!(&pieces.concat(), &all);
        }

        #[test]
        fn every_key_is_in_a_list_of_a_fixed_size(count in 0_usize..3_000) {
            let all: Vec<_> = (0..count).collect();
            let mut found = Vec::new();
            for list in lists(&all) {
                prop_assert!(KEYS.contains(&list.len()));
                found.extend(list);
            }
            found.dedup();
            prop_assert_eq!(found, all);
        }
    }
}
