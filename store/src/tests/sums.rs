//! Counts and sums.

use sea_orm::EntityTrait as _;
use tidegate_entity::transfer_stats;
use uuid::Uuid;

use super::fixture::{Fixture, at, plain, shared, url};
use crate::{Options, Snapshot};
use tidegate_domain::{
    caller::ConnectionScope,
    fixtures::id,
    id::ConnectionId,
    query::{ConnectionStats, StatsFilter, TableStats},
    stats::{CLASSES, Durations, NO_CLASS, Period},
    status::{Direction, TransferStatus},
    transfer::Transfer,
};

const SITE: ConnectionId = ConnectionId(Uuid::from_u128(8));

fn moved(number: u128, status: TransferStatus, table: &str, records: i64, bytes: i64) -> Transfer {
    let mut transfer = plain(number);
    transfer.declared.connection_uuid = Some(SITE);
    transfer.declared.table_name = table.to_owned();
    transfer.status = status;
    transfer.totals.records_transferred = records;
    transfer.totals.bytes_transferred = bytes;
    transfer
}

/// That transfer, completed so long after its start.
fn ran(mut transfer: Transfer, micros: i64) -> Transfer {
    transfer.started_at = Some(at(1_000_000));
    transfer.completed_at = Some(at(1_000_000 + micros));
    transfer
}

fn only(connection_uuid: ConnectionId) -> StatsFilter {
    StatsFilter {
        connections: ConnectionScope::Only(connection_uuid),
        ..StatsFilter::default()
    }
}

async fn stats_of(fixture: &Fixture, connection_uuid: ConnectionId) -> ConnectionStats {
    let filter = only(connection_uuid);
    fixture.store.connection_stats(&filter).await.expect("read")
}

#[tokio::test]
async fn a_connection_is_summed_up_by_status() {
    let fixture = Fixture::new().await;
    let odd = 3 * (1_i64 << 32) - 1;
    let mut elsewhere = moved(9, TransferStatus::Completed, "a", 1_000, 1_000);
    elsewhere.declared.connection_uuid = None;
    fixture
        .insert(&[
            moved(1, TransferStatus::Failed, "a", 5, 0),
            ran(
                moved(2, TransferStatus::Completed, "a", odd, i64::MAX - 10),
                2_500_000,
            ),
            ran(moved(3, TransferStatus::Completed, "b", odd, 10), 4_500_000),
            moved(4, TransferStatus::Pending, "b", 0, 0),
            elsewhere,
        ])
        .await;
    let stats = stats_of(&fixture, SITE).await;
    let wanted = ConnectionStats {
        by_status: vec![
            (TransferStatus::Pending, 1),
            (TransferStatus::Completed, 2),
            (TransferStatus::Failed, 1),
        ],
        total_records: odd + odd + 5,
        total_bytes: i64::MAX,
        durations: Durations::new([(7 * CLASSES + 4, 1), (7 * CLASSES + 7, 1)], 7_000_000),
        last_completed_at: Some(at(5_500_000)),
    };
    assert_eq!(stats, wanted);
    let nobody = stats_of(&fixture, id(u128::MAX)).await;
    assert_eq!(nobody, ConnectionStats::default());
}

#[tokio::test]
async fn sums_saturate() {
    let fixture = Fixture::new().await;
    let transfers: Vec<_> = (0..40)
        .map(|number| moved(number, TransferStatus::Completed, "a", i64::MAX, i64::MAX))
        .collect();
    fixture.insert(&transfers).await;
    let stats = stats_of(&fixture, SITE).await;
    assert_eq!(
        (stats.total_records, stats.total_bytes),
        (i64::MAX, i64::MAX)
    );
    let tables = fixture
        .store
        .table_stats(&StatsFilter::default(), 9)
        .await
        .expect("read");
    let wanted = TableStats {
        table_name: "a".to_owned(),
        count: 40,
        records: i64::MAX,
        bytes: i64::MAX,
        ended: 40,
        durations: Durations::new([(NO_CLASS, 40)], 0),
        last_completed_at: None,
    };
    assert_eq!(tables, [wanted]);
}

/// Asks for the sums by table and compares them, each as name, count, records and bytes.
async fn ranks(
    fixture: &Fixture,
    filter: &StatsFilter,
    limit: u32,
    wanted: &[(&str, i64, i64, i64)],
) {
    let found = fixture
        .store
        .table_stats(filter, limit)
        .await
        .expect("read");
    let found: Vec<_> = found
        .iter()
        .map(|each| {
            (
                each.table_name.as_str(),
                each.count,
                each.records,
                each.bytes,
            )
        })
        .collect();
    assert_eq!(found, wanted, "{filter:?}");
}

async fn done_and_failed() -> Fixture {
    let fixture = Fixture::new().await;
    let done = TransferStatus::Completed;
    let mut late = moved(6, done, "b", 1, 100);
    late.inserted_at = at(9_000_000);
    late.declared.direction = Direction::Receive;
    late.declared.connection_uuid = None;
    fixture
        .insert(&[
            moved(1, done, "c", 1, 1),
            moved(2, done, "Z", 2, 2),
            moved(3, done, "b", 3, 3),
            moved(4, done, "c", 4, 4),
            moved(5, TransferStatus::Failed, "b", 5, 5),
            late,
        ])
        .await;
    fixture
}

#[tokio::test]
async fn tables_are_ranked_by_completed_transfers_then_name() {
    let fixture = done_and_failed().await;
    let all = StatsFilter::default();
    let wanted = [("b", 2, 4, 103), ("c", 2, 5, 5), ("Z", 1, 2, 2)];
    ranks(&fixture, &all, 9, &wanted).await;
    ranks(&fixture, &all, 1, &wanted[..1]).await;
}

#[tokio::test]
async fn sums_by_table_can_be_narrowed() {
    let fixture = done_and_failed().await;
    let all = StatsFilter::default();
    let end = Some(at(1_000_000));
    let early = StatsFilter {
        to: end,
        ..all.clone()
    };
    ranks(
        &fixture,
        &early,
        9,
        &[("c", 2, 5, 5), ("Z", 1, 2, 2), ("b", 1, 3, 3)],
    )
    .await;
    let late = StatsFilter {
        from: Some(at(1_000_001)),
        ..all.clone()
    };
    ranks(&fixture, &late, 9, &[("b", 1, 1, 100)]).await;
    let received = StatsFilter {
        direction: Some(Direction::Receive),
        ..all.clone()
    };
    ranks(&fixture, &received, 9, &[("b", 1, 1, 100)]).await;
    let site = StatsFilter {
        connections: ConnectionScope::Only(SITE),
        from: end,
        to: end,
        ..all.clone()
    };
    ranks(&fixture, &site, 1, &[("c", 2, 5, 5)]).await;
    let nobody = StatsFilter {
        connections: ConnectionScope::Only(id(u128::MAX)),
        ..all
    };
    ranks(&fixture, &nobody, 9, &[]).await;
}

#[tokio::test]
async fn durations_are_at_most_12_percent_off() {
    let fixture = Fixture::new().await;
    let mut durations: Vec<i64> = (0..=30).chain([99, 100, 101]).collect();
    durations.extend((1..500).map(|number| 7_919 * number * number * number));
    let number = |index: usize| u128::try_from(index).expect("a small number") + 1;
    let mut transfers = Vec::new();
    for (index, micros) in durations.iter().enumerate() {
        let mut transfer = moved(number(index), TransferStatus::Completed, "a", 0, 0);
        transfer.declared.connection_uuid = Some(id(number(index)));
        transfers.push(ran(transfer, *micros));
    }
    fixture.insert(&transfers).await;
    for (index, micros) in durations.iter().enumerate() {
        let stats = stats_of(&fixture, id(number(index))).await;
        let told = stats.durations.expect("there is one");
        assert_eq!(
            told.mean.as_micros(),
            u128::try_from(*micros).expect("positive")
        );
        let exact = std::time::Duration::from_micros(micros.unsigned_abs());
        let off = told.p95.abs_diff(exact).as_secs_f64();
        // There is no half of a microsecond.
        let limit = 0.12 * exact.as_secs_f64() + 1.1e-6;
        assert!(off <= limit, "{exact:?} is told as {:?}", told.p95);
        assert_eq!(told.p50, told.p95);
    }
}

/// Transfers of two tables over some days, in all statuses.
fn history() -> Vec<Transfer> {
    let all = TransferStatus::ALL;
    let transfer = |number: u32| {
        let status = all[number as usize % all.len()];
        let table = if number.is_multiple_of(5) { "b" } else { "a" };
        let mut transfer = moved(number.into(), status, table, number.into(), 10);
        // Prime to an hour and to a day, before 1970 and after.
        transfer.inserted_at = at(i64::from(number) * 1_234_567_891 - 2 * Period::Day.micros());
        ran(transfer, number.into())
    };
    (1..400).map(transfer).collect()
}

/// The same by other means.
fn counted(transfers: &[Transfer], filter: &StatsFilter) -> (i64, i64, usize) {
    let mut sums = (0, 0, 0);
    for transfer in transfers {
        let at = transfer.inserted_at;
        if filter.from.is_none_or(|from| from <= at) && filter.to.is_none_or(|to| at <= to) {
            sums.0 += 1;
            sums.1 += transfer.totals.records_transferred;
            sums.2 += usize::from(transfer.status == TransferStatus::Completed);
        }
    }
    sums
}

async fn every_span_is_exact(fixture: &Fixture, transfers: &[Transfer]) {
    let hour = Period::Hour.micros();
    let places = [
        -49 * hour,
        -1,
        0,
        1,
        hour,
        9 * hour - 1,
        24 * hour,
        51 * hour + 7,
    ];
    let ends = || {
        places
            .into_iter()
            .map(|micros| Some(at(micros)))
            .chain([None])
    };
    for (from, to) in ends().flat_map(|from| ends().map(move |to| (from, to))) {
        let filter = StatsFilter {
            from,
            to,
            ..only(SITE)
        };
        let stats = fixture.store.connection_stats(&filter).await.expect("read");
        let completed = stats.count(TransferStatus::Completed);
        let told = (
            stats.total(),
            stats.total_records,
            usize::try_from(completed).expect("positive"),
        );
        assert_eq!(told, counted(transfers, &filter), "{from:?} {to:?}");
        let tables = fixture.store.table_stats(&filter, 9).await.expect("read");
        let of_tables: i64 = tables.iter().map(|table| table.count).sum();
        assert_eq!(of_tables, completed, "{from:?} {to:?}");
    }
}

#[tokio::test]
async fn spans_are_exact_and_a_deletion_changes_nothing() {
    let (fixture, transfers) = (Fixture::new().await, history());
    fixture.insert(&transfers).await;
    every_span_is_exact(&fixture, &transfers).await;
    let ended = transfers.iter().filter(|it| it.status.is_terminal());
    let ended: Vec<&Transfer> = ended.collect();
    let uuids: Vec<_> = ended.iter().map(|transfer| transfer.uuid).collect();
    let batch = fixture.store.begin().await.expect("a batch");
    batch.delete_transfers(&uuids).await.expect("deleted");
    batch.keep_deleted(&ended).await.expect("kept");
    batch.commit().await.expect("committed");
    every_span_is_exact(&fixture, &transfers).await;
    assert_eq!(wrong_sums(&fixture).await, nothing());
}

#[tokio::test]
async fn sums_that_are_made_anew_are_those_that_were_kept() {
    let (fixture, transfers) = (Fixture::new().await, history());
    fixture.insert(&transfers).await;
    let before = all_sums(&fixture).await;
    let made = fixture.store.rebuild_sums().await.expect("made");
    assert_eq!(usize::try_from(made), Ok(before.len()));
    assert!(before.len() > 100);
    assert_eq!(all_sums(&fixture).await, before);
}

async fn all_sums(fixture: &Fixture) -> Vec<transfer_stats::Model> {
    let all = transfer_stats::Entity::find();
    let mut sums = all.all(&fixture.store.reader()).await.expect("read");
    sums.sort_by_key(|row| format!("{row:?}"));
    sums
}

const fn nothing() -> [String; 0] {
    []
}

async fn wrong_sums(fixture: &Fixture) -> Vec<String> {
    let snapshot = Snapshot::open(&url(&fixture.path()), &Options::default()).await;
    let snapshot = snapshot.expect("a snapshot");
    let wrong = snapshot.wrong_sums(100).await.expect("read");
    snapshot.close().await.expect("closed");
    wrong.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn sums_that_are_wrong_are_found() {
    let fixture = Fixture::new().await;
    let mut transfer = ran(moved(1, TransferStatus::Completed, "a", 7, 0), 2_500_000);
    transfer.inserted_at = at(Period::Day.micros() + 1);
    fixture.insert(&[transfer.clone()]).await;
    assert_eq!(wrong_sums(&fixture).await, nothing());
    let batch = fixture.store.begin().await.expect("a batch");
    transfer.totals.records_transferred = 8;
    let updated = batch.update_transfers(&shared(&[transfer.clone()])).await;
    updated.expect("updated");
    batch.commit().await.expect("committed");
    let place = format!(
        ", connection {SITE}, table \"a\", SEND, COMPLETED, duration class 88: 1 counted, "
    );
    let differ = "but records, bytes or times differ";
    let wanted = [
        "all time",
        "DAY 1970-01-02T00:00:00.000000Z",
        "HOUR 1970-01-02T00:00:00.000000Z",
    ];
    assert_eq!(
        wrong_sums(&fixture).await,
        wanted.map(|period| format!("{period}{place}1 found, {differ}"))
    );
    let batch = fixture.store.begin().await.expect("a batch");
    batch
        .delete_transfers(&[transfer.uuid])
        .await
        .expect("deleted");
    batch.commit().await.expect("committed");
    assert_eq!(
        wrong_sums(&fixture).await,
        wanted.map(|period| format!("{period}{place}0 found"))
    );
    assert_eq!(fixture.store.rebuild_sums().await.expect("made"), 0);
    assert_eq!(wrong_sums(&fixture).await, nothing());
}
