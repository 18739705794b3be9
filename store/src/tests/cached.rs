//! Transfers that are known, and what still has to be read of them.

use std::sync::Arc;

use sea_orm::ConnectionTrait as _;

use super::fixture::{Fixture, full, plain, shared};
use crate::StoreError;
use tidegate_domain::{fixtures::id, id::TransferId, transfer::Transfer};

/// A store with transfers 0 to 9, of which it knows all or none.
async fn with_ten(known: bool) -> Fixture {
    let fixture = Fixture::new().await;
    let ten: Vec<_> = (0..10).map(plain).collect();
    fixture.insert(&ten).await;
    if !known {
        fixture.store.clear_cache();
    }
    fixture
}

async fn change(fixture: &Fixture, sql: &str) {
    let writer = fixture.store.writer();
    let changed = writer.execute_unprepared(sql).await;
    assert!(changed.expect("changed").rows_affected() > 0, "{sql}");
}

/// Makes every row one without a meaning, so that whoever reads it whole is told so.
async fn damage(fixture: &Fixture) {
    change(fixture, "UPDATE transfer SET metadata = '[]'").await;
}

fn all() -> Vec<TransferId> {
    (0..10).map(id).collect()
}

async fn locked(fixture: &Fixture) -> Result<Vec<Arc<Transfer>>, StoreError> {
    let batch = fixture.store.begin().await.expect("a batch");
    let locked = batch.lock_transfers(&all()).await;
    batch.rollback().await.expect("rolled back");
    locked
}

#[tokio::test]
async fn what_is_known_is_not_read_whole() {
    for known in [true, false] {
        let fixture = with_ten(known).await;
        if !known {
            locked(&fixture).await.expect("they are read once");
        }
        damage(&fixture).await;
        let found = locked(&fixture).await.expect("they are known");
        assert!(found.iter().map(|it| it.uuid).eq(all()), "in their order");
        let one = fixture.store.transfer(id(3)).await.expect("it is known");
        assert_eq!(one.as_deref(), Some(&plain(3)));
        fixture.store.clear_cache();
        let found = locked(&fixture).await;
        assert!(matches!(found, Err(StoreError::Internal(_))), "{found:?}");
    }
}

#[tokio::test]
async fn what_somebody_else_has_changed_is_read_whole() {
    for version in ["revision = revision + 1", "updated_at = updated_at + 1"] {
        let fixture = with_ten(true).await;
        let sql = format!("UPDATE transfer SET table_name = 'other', {version}");
        change(&fixture, &format!("{sql} WHERE uuid = x'{:032x}'", 4)).await;
        for found in [
            locked(&fixture).await.expect("read"),
            fixture
                .store
                .existing_transfers(&all())
                .await
                .expect("read"),
        ] {
            assert_eq!(found.len(), 10);
            for transfer in found {
                let is_changed = transfer.uuid == id(4);
                let name = &transfer.declared.table_name;
                assert_eq!(name == "other", is_changed, "{version}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_gone_is_not_there() {
    let fixture = with_ten(true).await;
    change(&fixture, "DELETE FROM transfer WHERE revision > 0").await;
    assert_eq!(locked(&fixture).await.expect("read"), []);
    assert_eq!(fixture.store.transfer(id(1)).await.expect("read"), None);
}

#[tokio::test]
async fn what_was_not_committed_is_not_known() {
    let fixture = with_ten(true).await;
    let changed = Transfer {
        uuid: id(1),
        revision: plain(1).revision,
        updated_at: plain(1).updated_at,
        ..full(1)
    };
    let batch = fixture.store.begin().await.expect("a batch");
    batch.lock_transfers(&all()).await.expect("locked");
    let updated = batch.update_transfers(&shared(&[changed])).await;
    updated.expect("updated");
    batch.rollback().await.expect("rolled back");
    let one = fixture.store.transfer(id(1)).await.expect("read");
    assert_eq!(one.as_deref(), Some(&plain(1)));
}

#[tokio::test]
async fn what_was_committed_is_known_as_it_is_now() {
    let fixture = with_ten(true).await;
    let mut reported = plain(1);
    reported.totals = full(1).totals;
    reported.revision += 1;
    let batch = fixture.store.begin().await.expect("a batch");
    batch.lock_transfers(&all()).await.expect("locked");
    let updated = batch.update_progress(&shared(&[reported.clone()])).await;
    updated.expect("updated");
    batch.commit().await.expect("committed");
    damage(&fixture).await;
    let one = fixture.store.transfer(id(1)).await.expect("it is known");
    assert_eq!(one.as_deref(), Some(&reported));
}
