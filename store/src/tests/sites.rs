//! Connections.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use sea_orm::ConnectionTrait as _;

use super::fixture::{Fixture, at, connection, plain};
use tidegate_domain::{
    caller::Role,
    connection::{Connection, ConnectionDirection, ConnectionStatus, Usage},
    credential::{Credential, NewCredential, NewToken},
    fixtures::id,
    page::Position,
    policy::{ApprovalMode, Policy, parse_block},
    query::{ConnectionFilter, Window},
    status::{ConflictStrategy, TransferStatus},
    table::TableCase,
};

#[tokio::test]
async fn connections_are_listed_newest_first() {
    let fixture = Fixture::new().await;
    let rows: Vec<_> = (0..25)
        .map(|number| connection(number, i64::try_from(number / 4).expect("small")))
        .collect();
    let batch = fixture.store.begin().await.expect("a batch");
    batch.insert_connections(&rows).await.expect("inserted");
    let some: Vec<_> = (20..40).map(id).collect();
    let existing = batch.existing_connections(&some).await.expect("read");
    let existing: BTreeSet<_> = existing.into_iter().map(|each| each.uuid).collect();
    assert!(existing.into_iter().eq((20..25).map(id)));
    batch.commit().await.expect("committed");

    for direction in [
        None,
        Some(ConnectionDirection::Sender),
        Some(ConnectionDirection::Receiver),
    ] {
        let mut wanted: Vec<_> = rows
            .iter()
            .filter(|each| direction.is_none_or(|wanted| wanted == each.declared.direction))
            .cloned()
            .collect();
        wanted.sort_by_key(|each| std::cmp::Reverse((each.inserted_at, each.uuid)));
        let filter = ConnectionFilter {
            direction,
            status: Vec::new(),
        };
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let window = Window {
                after,
                skip: 0,
                limit: 4,
            };
            let page = fixture
                .store
                .connections(&filter, window)
                .await
                .expect("read");
            let Some(last) = page.last() else { break };
            after = Some(Position {
                micros: last.inserted_at.as_micros(),
                uuid: last.uuid.into(),
            });
            found.extend(page);
        }
        assert_eq!(found, wanted);
    }
    let window = Window {
        after: None,
        skip: 24,
        limit: 4,
    };
    assert_eq!(
        fixture
            .store
            .connections(&ConnectionFilter::default(), window)
            .await
            .expect("read")
            .len(),
        1
    );
}

#[tokio::test]
async fn the_connections_of_transfers_come_once_each() {
    let fixture = Fixture::new().await;
    let batch = fixture.store.begin().await.expect("a batch");
    let rows: Vec<_> = (0..3).map(|number| connection(number, 1)).collect();
    batch.insert_connections(&rows).await.expect("inserted");
    batch.commit().await.expect("committed");
    let with = |number, connection: Option<u128>| {
        let mut transfer = plain(number);
        transfer.declared.connection_uuid = connection.map(id);
        transfer
    };
    let transfers = [
        with(1, Some(2)),
        with(2, None),
        with(3, Some(2)),
        with(4, Some(77)),
    ];
    let found = fixture
        .store
        .connections_of(&transfers)
        .await
        .expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!(found.get(&id(2)), Some(&rows[2]));
    assert!(
        fixture
            .store
            .connections_of(&transfers[..0])
            .await
            .expect("read")
            .is_empty()
    );
    let one = fixture.store.connection(id(1)).await.expect("read");
    assert_eq!(one.as_ref(), Some(&rows[1]));
    assert_eq!(
        fixture.store.connection(id(u128::MAX)).await.expect("read"),
        None
    );
}

/// A connection with a value in every field that can change.
fn rich(number: u128) -> Connection {
    let mut site = connection(number, 1);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    site.declared.name = "a \"name\"".to_owned();
    site.declared.site_url = "http://elsewhere.example".to_owned();
    site.declared.metadata.insert("a".to_owned(), 1.into());
    site.declared.policy = Policy {
        max_attempts: Some(3),
        stop_grace: Some(Duration::from_millis(2_500)),
        limit_to_requested: true,
        max_running: Some(1),
        max_running_per_agent: Some(2),
        start_within: Some(Duration::from_secs(1)),
        max_retries: Some(4),
        retry_backoff: Some(Duration::from_secs(5)),
        finish_within: Some(Duration::from_secs(2)),
        approval_mode: ApprovalMode::PerTable,
        allowed_tables: names(&["a", "b,c", "\"d\""]),
        excluded_tables: names(&["e"]),
        auto_approve_tables: names(&["a"]),
        table_case: Some(TableCase::Insensitive),
        expires_at: Some(at(77)),
        max_transfers: Some(0),
        max_records_total: Some(i64::MAX),
        max_records_per_request: Some(5),
        rate_limit_requests_per_minute: Some(1_000_000),
        ip_allowlist: ["192.0.2.0/24", "2001:db8::7"]
            .map(|text| parse_block(text).expect(text))
            .to_vec(),
        allowed_hours: "22:00-06:00".parse().ok(),
        default_conflict_strategy: Some(ConflictStrategy::Merge),
        heartbeat_timeout: Some(Duration::from_millis(1_500)),
        self_approval: true,
    };
    site.status = ConnectionStatus::Suspended;
    site.status_reason = "noise".to_owned();
    site.updated_at = at(9);
    site.revision = 4;
    site.used = Usage {
        transfers: 3,
        records: i64::MAX,
    };
    site
}

#[tokio::test]
async fn a_change_stores_every_field_and_usage_only_its_own() {
    let fixture = Fixture::new().await;
    let rows: Vec<_> = (0..70).map(|number| connection(number, 1)).collect();
    let batch = fixture.store.begin().await.expect("a batch");
    batch.insert_connections(&rows).await.expect("inserted");
    let changed: Vec<_> = (0..66).map(rich).collect();
    batch.update_connections(&changed).await.expect("updated");
    batch.commit().await.expect("committed");
    for number in 0..66 {
        let uuid = id(number);
        let found = fixture.store.connection(uuid).await.expect("read");
        assert_eq!(found, Some(rich(number)));
    }

    let mut counted = rich(67);
    counted.uuid = id(67);
    let batch = fixture.store.begin().await.expect("a batch");
    batch.update_usage(&[counted]).await.expect("updated");
    let gone = [id(0), id(69)];
    batch.delete_connections(&gone).await.expect("deleted");
    batch.commit().await.expect("committed");
    let found = fixture.store.connection(id(67)).await;
    let mut wanted = rows[67].clone();
    wanted.used = rich(67).used;
    assert_eq!(found.expect("read"), Some(wanted));
    for uuid in gone {
        let found = fixture.store.connection(uuid).await.expect("read");
        assert_eq!(found, None);
    }
}

#[tokio::test]
async fn connections_are_found_by_their_status_and_their_end() {
    let fixture = Fixture::new().await;
    let all = ConnectionStatus::ALL;
    let rows: Vec<_> = all
        .iter()
        .zip(1..)
        .map(|(status, number)| {
            let mut site = connection(number, 1);
            site.status = *status;
            site.declared.policy.expires_at = Some(at(100));
            site
        })
        .collect();
    let batch = fixture.store.begin().await.expect("a batch");
    batch.insert_connections(&rows).await.expect("inserted");
    batch.commit().await.expect("committed");
    let window = Window {
        after: None,
        skip: 0,
        limit: 9,
    };
    let filter = ConnectionFilter {
        direction: None,
        status: vec![ConnectionStatus::Revoked, ConnectionStatus::Pending],
    };
    let found = fixture.store.connections(&filter, window).await;
    let found: Vec<_> = found.expect("read").iter().map(|it| it.status).collect();
    assert_eq!(
        found,
        [ConnectionStatus::Revoked, ConnectionStatus::Pending]
    );

    for (now, wanted) in [(99, 0), (100, 2), (500, 2)] {
        let due = fixture.store.due_connections(at(now), None, 9).await;
        assert_eq!(due.expect("read").len(), wanted, "{now}");
    }
    // Those whose transfers have yet to follow, in whatever status.
    let mut changed = rows.clone();
    changed.iter_mut().for_each(|site| site.settling = true);
    let batch = fixture.store.begin().await.expect("a batch");
    batch.update_usage(&changed[2..]).await.expect("updated");
    batch.commit().await.expect("committed");
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|last: &Connection| last.uuid);
        let page = fixture.store.due_connections(at(99), after, 1).await;
        match page.expect("read").pop() {
            Some(one) => found.push(one),
            None => break,
        }
    }
    assert_eq!(found, changed[2..]);
}

#[tokio::test]
async fn the_rows_tell_what_was_used_up_and_what_is_open() {
    let fixture = Fixture::new().await;
    let transfers: Vec<_> = TransferStatus::ALL
        .iter()
        .zip(0_u8..)
        .map(|(status, number)| {
            let mut transfer = plain(u128::from(number));
            transfer.status = *status;
            transfer.declared.connection_uuid = Some(id(u128::from(number % 2)));
            // Number 3 waits for its second start.
            transfer.lease_epoch = i64::from(number > 2);
            transfer.started_at = (number > 3).then_some(at(5));
            transfer.totals.records_transferred = i64::MAX / 4 + i64::from(number);
            transfer
        })
        .collect();
    fixture.insert(&transfers).await;
    let batch = fixture.store.begin().await.expect("a batch");
    for uuid in [0, 1, 2].map(id) {
        let its: Vec<_> = transfers
            .iter()
            .filter(|it| it.declared.connection_uuid == Some(uuid))
            .collect();
        let records = its.iter().map(|it| it.totals.records_transferred);
        let wanted = Usage {
            transfers: its.iter().filter(|it| it.lease_epoch > 0).count() as i64,
            records: records.fold(0, i64::saturating_add),
        };
        let found = batch.usage_on_record(uuid).await.expect("read");
        assert_eq!(found, wanted);
        let open: BTreeSet<_> = its
            .iter()
            .filter(|it| !it.status.is_terminal())
            .map(|it| it.uuid)
            .collect();
        let found = batch.open_transfers(uuid, 99).await.expect("read");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), open);
        let limited = batch.open_transfers(uuid, 1).await.expect("read");
        assert_eq!(limited.len(), open.len().min(1));
    }
    // A connection that is gone is named all the same, each once.
    let uuids: Vec<_> = transfers.iter().map(|it| it.uuid).collect();
    let peeks = batch.peek_connections(&uuids).await.expect("read");
    assert_eq!(peeks.len(), 2);
    assert!(peeks.iter().all(|it| !it.has_budget));
    // One that is there says whether it counts.
    let mut counting = connection(0, 1);
    counting.declared.policy.max_transfers = Some(7);
    let there = [counting, connection(1, 1)];
    batch.insert_connections(&there).await.expect("inserted");
    let mut peeks = batch.peek_connections(&uuids).await.expect("read");
    peeks.sort_by_key(|it| it.uuid);
    let budgets: Vec<_> = peeks.iter().map(|it| it.has_budget).collect();
    assert_eq!(budgets, [true, false]);
}

#[tokio::test]
async fn a_policy_that_says_more_than_is_known_is_an_error() {
    let fixture = Fixture::new().await;
    let site = connection(1, 1);
    let declared = NewCredential {
        name: "north".to_owned(),
        role: Role::Agent,
        connection_uuid: Some(site.uuid),
        acts_for_others: false,
        session_code: String::new(),
    };
    let token = NewToken {
        id: "token".to_owned(),
        digest: vec![1; 32],
        expires_in: Duration::from_secs(60),
    };
    let agent = Credential::create(id(2), declared, &token, at(0));
    let batch = fixture.store.begin().await.expect("a batch");
    let site = std::slice::from_ref(&site);
    batch.insert_connections(site).await.expect("inserted");
    let agents = [Arc::new(agent)];
    batch.insert_credentials(&agents).await.expect("inserted");
    batch.commit().await.expect("committed");
    for (policy, is_good) in [
        ("{}", true),
        (r#"{"weekdays": "MON-FRI"}"#, false),
        ("", false),
    ] {
        let sql = format!("UPDATE connection SET policy = '{policy}'");
        let done = fixture.store.writer().execute_unprepared(&sql).await;
        done.expect("it is changed");
        let read = fixture.store.connection(site[0].uuid).await;
        assert_eq!(read.is_ok(), is_good, "{policy}: {read:?}");
        let read = fixture.store.credential_of_token("token").await;
        assert_eq!(read.is_ok(), is_good, "{policy}: {read:?}");
    }
}
