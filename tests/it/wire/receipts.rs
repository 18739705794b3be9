//! What the sides of a movement state, and whether they agree.

use tidegate_proto::v1::{
    self, Direction, EventType, FailureCode, ReconciliationState, VerificationResult,
    event::Detail, transfer_service_client::TransferServiceClient,
    watch_transfers_response::Update,
};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, done, plain, told, wire_time},
    request, soon,
};
use tonic::Code;

use crate::bad_input::bad_fields;

fn statement(records: i64) -> v1::ReceiptStatement {
    v1::ReceiptStatement {
        records_transferred: Some(records),
        ..v1::ReceiptStatement::default()
    }
}

fn submission(uuid: &str, own: v1::ReceiptStatement) -> v1::SubmitReceiptRequest {
    v1::SubmitReceiptRequest {
        uuid: uuid.to_owned(),
        own: Some(own),
        ..v1::SubmitReceiptRequest::default()
    }
}

async fn submit(raw: &mut Raw, request: v1::SubmitReceiptRequest) -> v1::Transfer {
    done(raw.transfers.submit_receipt(request)).await
}

/// A side of the movement, which has run to its end.
async fn ended(raw: &mut Raw, direction: Direction, correlation_uuid: &str) -> v1::Transfer {
    let side = v1::CreateTransferRequest {
        direction: direction.into(),
        correlation_uuid: correlation_uuid.to_owned(),
        ..plain()
    };
    let uuid = raw.create(side).await.uuid;
    raw.start(&uuid).await;
    raw.complete(&uuid, 10).await
}

async fn both(raw: &mut Raw) -> (v1::Transfer, v1::Transfer) {
    let sent = ended(raw, Direction::Send, "").await;
    let received = ended(raw, Direction::Receive, &sent.uuid).await;
    (raw.now(&sent.uuid).await, received)
}

fn known(transfer: &v1::Transfer) -> (ReconciliationState, &[String]) {
    let known = transfer.reconciliation.as_ref().expect("always present");
    (known.state(), &known.diverged_fields)
}

#[track_caller]
fn assert_stands(transfer: &v1::Transfer, state: ReconciliationState) {
    assert_eq!(known(transfer), (state, &[][..]));
}

/// A request with something in every field, and the receipt that it makes.
fn everything(uuid: &str) -> (v1::SubmitReceiptRequest, v1::Receipt) {
    let own = v1::ReceiptStatement {
        records_transferred: Some(10),
        records_created: Some(1),
        records_updated: Some(2),
        records_skipped: Some(3),
        records_failed: Some(4),
        bytes_transferred: Some(i64::MAX),
        digest: vec![7; 64],
        digest_algorithm: "sha-512".to_owned(),
        schema_digest: vec![0, 255],
    };
    let request = v1::SubmitReceiptRequest {
        peer: Some(statement(9)),
        consistency: "one snapshot".to_owned(),
        verification_level: "rows".to_owned(),
        verification: VerificationResult::Passed.into(),
        quarantined: vec![v1::QuarantinedRecords {
            code: FailureCode::Data.into(),
            count: 3,
        }],
        request_id: "receipt".to_owned(),
        ..submission(uuid, own)
    };
    let receipt = v1::Receipt {
        number: 1,
        lease_epoch: 1,
        own: request.own.clone(),
        peer: request.peer.clone(),
        consistency: request.consistency.clone(),
        verification_level: request.verification_level.clone(),
        verification: request.verification,
        quarantined: request.quarantined.clone(),
        ..v1::Receipt::default()
    };
    (request, receipt)
}

#[tokio::test]
async fn a_receipt_is_kept_with_all_that_it_says() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let sent = ended(&mut raw, Direction::Send, "").await;
    assert_stands(&sent, ReconciliationState::Pending);
    world.clock.advance(std::time::Duration::from_secs(60));
    let (request, receipt) = everything(&sent.uuid);
    let now = Some(wire_time(world.clock.now()));
    let receipt = v1::Receipt {
        submitted_at: now,
        ..receipt
    };
    let answer = submit(&mut raw, request.clone()).await;
    let expected = v1::Transfer {
        updated_at: now,
        revision: sent.revision + 1,
        reconciliation: Some(v1::Reconciliation {
            state: ReconciliationState::Diverged.into(),
            diverged_fields: vec!["records_transferred".to_owned()],
            receipt: Some(receipt.clone()),
        }),
        ..sent.clone()
    };
    assert_eq!(answer, expected);
    assert_eq!(raw.now(&sent.uuid).await, expected);
    assert_eq!(
        submit(&mut raw, request.clone()).await,
        expected,
        "it is the same call"
    );
    let events = raw.events_of(&sent.uuid).await;
    let last = events.last().expect("an event");
    assert_eq!(last.r#type(), EventType::ReceiptSubmitted);
    assert_eq!(
        (last.from_status, last.to_status),
        (sent.status, sent.status)
    );
    assert_eq!(last.detail, Some(Detail::Receipt(receipt.clone())));
    let other = v1::SubmitReceiptRequest {
        consistency: String::new(),
        ..request
    };
    let refused = raw.transfers.submit_receipt(other).await;
    let refused = refused.expect_err("the id is of another call");
    assert_refused(&refused, Code::AlreadyExists, "REQUEST_ID_REUSED");

    // A later one counts, and the earlier one stays in the log.
    let second = v1::SubmitReceiptRequest {
        peer: Some(statement(8)),
        ..submission(&sent.uuid, statement(8))
    };
    let second = submit(&mut raw, second).await;
    assert_stands(&second, ReconciliationState::Matched);
    let latest = second.reconciliation.and_then(|it| it.receipt);
    assert_eq!(latest.expect("a receipt").number, 2);
    let events = raw.events_of(&sent.uuid).await;
    let told = events.iter().filter_map(|event| match &event.detail {
        Some(Detail::Receipt(receipt)) => Some(receipt.number),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn both_sides_are_compared_whoever_comes_first() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for sender_first in [true, false] {
        let (sent, received) = both(&mut raw).await;
        let (first, late) = match sender_first {
            true => (&sent.uuid, &received.uuid),
            false => (&received.uuid, &sent.uuid),
        };
        let one = submit(&mut raw, submission(first, statement(10))).await;
        assert_stands(&one, ReconciliationState::OneSided);
        assert_stands(&raw.now(late).await, ReconciliationState::OneSided);
        let two = submit(&mut raw, submission(late, statement(10))).await;
        assert_stands(&two, ReconciliationState::Matched);
        assert_stands(&raw.now(first).await, ReconciliationState::Matched);
        let corrected = submit(&mut raw, submission(first, statement(9))).await;
        let diverged = ["records_transferred".to_owned()];
        let expected = (ReconciliationState::Diverged, &diverged[..]);
        assert_eq!(known(&corrected), expected);
        let across = raw.now(late).await;
        assert_eq!(known(&across), expected);
        assert_eq!(across.revision, two.revision + 1);
    }
}

#[tokio::test]
async fn in_two_ledgers_each_holds_what_it_heard_against_what_it_counted() {
    let worlds = [World::start().await, World::start().await];
    let (mut here, mut there) = (worlds[0].services().await, worlds[1].services().await);
    for (counted, state) in [
        (10, ReconciliationState::Matched),
        (9, ReconciliationState::Diverged),
    ] {
        let agreed = uuid::Uuid::new_v4().to_string();
        let sent = ended(&mut here, Direction::Send, &agreed).await;
        let received = ended(&mut there, Direction::Receive, &agreed).await;
        assert_eq!(
            (&*sent.counterpart_uuid, &*received.counterpart_uuid),
            ("", "")
        );
        for (raw, uuid, own, heard) in [
            (&mut here, &sent.uuid, 10, counted),
            (&mut there, &received.uuid, counted, 10),
        ] {
            let request = v1::SubmitReceiptRequest {
                peer: Some(statement(heard)),
                ..submission(uuid, statement(own))
            };
            assert_eq!(known(&submit(raw, request).await).0, state);
        }
    }
}

#[tokio::test]
async fn a_receipt_counts_for_the_try_that_it_is_about() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let (sent, received) = both(&mut raw).await;
    submit(&mut raw, submission(&received.uuid, statement(10))).await;
    let again = v1::RetryTransferRequest {
        uuid: sent.uuid.clone(),
        ..v1::RetryTransferRequest::default()
    };
    let again = done(raw.transfers.retry_transfer(again)).await;
    assert_stands(&again, ReconciliationState::OneSided);
    // Late, of the first try: it is compared with what that try has heard, and with nobody else.
    let late = v1::SubmitReceiptRequest {
        peer: Some(statement(9)),
        ..submission(&sent.uuid, statement(9))
    };
    let late = submit(&mut raw, late).await;
    assert_stands(&late, ReconciliationState::Matched);
    assert_stands(
        &raw.now(&received.uuid).await,
        ReconciliationState::OneSided,
    );
    raw.start(&again.uuid).await;
    raw.complete(&again.uuid, 10).await;
    let second = submit(&mut raw, submission(&again.uuid, statement(10))).await;
    assert_stands(&second, ReconciliationState::Matched);
    assert_stands(&raw.now(&received.uuid).await, ReconciliationState::Matched);
    assert_stands(&raw.now(&sent.uuid).await, ReconciliationState::Matched);
}

#[tokio::test]
async fn a_receipt_is_taken_from_who_runs_it_and_after_the_end_from_its_connection() {
    let (world, actors) = crate::auth::actors().await;
    let mut transfers = TransferServiceClient::new(world.channel().await);
    let uuid = done(transfers.create_transfer(actors.agent.asks(plain())))
        .await
        .uuid;
    let receipt = || submission(&uuid, statement(0));
    let early = transfers.submit_receipt(actors.agent.asks(receipt()));
    let early = early.await.expect_err("it has not run");
    assert_refused(&early, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
    let start = request::starting(&uuid);
    done(transfers.start_transfer(actors.agent.asks(start))).await;
    let mut of_another = receipt();
    of_another.lease_epoch = 2;
    for (token, request) in [
        (&actors.agent.token, of_another),
        (&actors.admin, receipt()),
    ] {
        let refused = transfers.submit_receipt(tidegate_tests::actors::bearing(token, request));
        let refused = refused.await.expect_err("it is not theirs to say");
        assert_refused(&refused, Code::Aborted, "LEASE_LOST");
    }
    let running = done(transfers.submit_receipt(actors.agent.asks(receipt()))).await;
    let stated = running.reconciliation.and_then(|it| it.receipt);
    let stated = stated.expect("a receipt");
    assert_eq!(stated.submitted_by_uuid, actors.agent.uuid);
    let completion = request::completion(&uuid);
    done(transfers.complete_transfer(actors.agent.asks(completion))).await;
    let strange = transfers.submit_receipt(actors.stranger.asks(receipt()));
    let strange = strange.await.expect_err("they do not see it");
    assert_refused(&strange, Code::NotFound, "TRANSFER_NOT_FOUND");
    let by_admin = tidegate_tests::actors::bearing(&actors.admin, receipt());
    done(transfers.submit_receipt(by_admin)).await;
}

#[tokio::test]
async fn a_filter_means_what_diverged() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let (sent, received) = both(&mut raw).await;
    submit(&mut raw, submission(&sent.uuid, statement(10))).await;
    submit(&mut raw, submission(&received.uuid, statement(9))).await;
    let alone = ended(&mut raw, Direction::Send, "").await;
    submit(&mut raw, submission(&alone.uuid, statement(10))).await;
    raw.declared().await;
    for (state, expected) in [
        (ReconciliationState::Unspecified, 4),
        (ReconciliationState::Pending, 1),
        (ReconciliationState::OneSided, 1),
        (ReconciliationState::Matched, 0),
        (ReconciliationState::Diverged, 2),
    ] {
        let filter = Some(v1::TransferFilter {
            reconciliation: state.into(),
            ..v1::TransferFilter::default()
        });
        let count = v1::CountTransfersRequest {
            filter: filter.clone(),
        };
        let counted = told(raw.transfers.count_transfers(count)).await.count;
        assert_eq!(counted, expected, "{state:?}");
        if state != ReconciliationState::Unspecified {
            let watch = v1::WatchTransfersRequest {
                filter,
                ..v1::WatchTransfersRequest::default()
            };
            let named = bad_fields(raw.transfers.watch_transfers(watch)).await;
            assert_eq!(named, ["filter.reconciliation"]);
        }
    }
}

#[tokio::test]
async fn what_a_receipt_cannot_say_is_refused_field_by_field() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let bad = v1::ReceiptStatement {
        records_created: Some(-1),
        digest: vec![0; 65],
        schema_digest: vec![0; 65],
        ..v1::ReceiptStatement::default()
    };
    let aside = |code: FailureCode, count| v1::QuarantinedRecords {
        code: code.into(),
        count,
    };
    let request = v1::SubmitReceiptRequest {
        peer: Some(v1::ReceiptStatement {
            digest_algorithm: "sha-256".to_owned(),
            ..statement(-1)
        }),
        consistency: "x".repeat(256),
        verification_level: "x".repeat(65),
        verification: 9,
        quarantined: vec![
            aside(FailureCode::Data, 1),
            aside(FailureCode::Data, 0),
            aside(FailureCode::HeartbeatLost, 1),
        ],
        lease_epoch: -1,
        ..submission("", bad)
    };
    let mut named = bad_fields(raw.transfers.submit_receipt(request)).await;
    named.sort();
    let expected = [
        "consistency",
        "lease_epoch",
        "own.digest",
        "own.digest_algorithm",
        "own.records_created",
        "own.records_transferred",
        "own.schema_digest",
        "peer.digest",
        "peer.records_transferred",
        "quarantined[1].code",
        "quarantined[1].count",
        "quarantined[2].code",
        "uuid",
        "verification",
        "verification_level",
    ];
    assert_eq!(named, expected);
    let empty = v1::SubmitReceiptRequest {
        uuid: NOBODY.to_owned(),
        quarantined: vec![aside(FailureCode::Data, 1); 17],
        ..v1::SubmitReceiptRequest::default()
    };
    let mut named = bad_fields(raw.transfers.submit_receipt(empty)).await;
    named.sort();
    assert_eq!(named, ["own", "quarantined"]);
}

/// A watcher through `there` is told what became of the side across.
async fn is_told_of_the_side_across(mut here: Raw, mut there: Raw) {
    let (sent, received) = both(&mut here).await;
    let log = here.log().await;
    let position = log.last().expect("an event").sequence;
    let mut live = v1::WatchTransfersRequest::default();
    let mut live_watch = told(there.transfers.watch_transfers(live.clone())).await;
    submit(&mut here, submission(&received.uuid, statement(10))).await;
    live.after_sequence = Some(position);
    let mut resumed = told(there.transfers.watch_transfers(live)).await;
    for watch in [&mut live_watch, &mut resumed] {
        soon("the side across", async {
            loop {
                let message = watch.message().await.expect("no refusal");
                let message = message.expect("it goes on");
                if let Some(Update::Transfer(it)) = message.update
                    && it.uuid == sent.uuid
                    && known(&it).0 == ReconciliationState::OneSided
                {
                    return;
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn watchers_are_told_of_the_side_across() {
    let world = World::start().await;
    is_told_of_the_side_across(world.services().await, world.services().await).await;
}

mod postgres_only {
    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn watchers_of_another_replica_are_told_of_the_side_across() {
        let world = World::start().await;
        let replica = world.replica().await;
        is_told_of_the_side_across(world.services().await, replica.services().await).await;
    }

    /// Each side is compared with the other, whichever replica they come to.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn receipts_that_come_at_once_to_two_replicas_are_compared() {
        let world = World::start().await;
        let replica = world.replica().await;
        let (mut here, mut there) = (world.services().await, replica.services().await);
        for _ in 0..20 {
            let (sent, received) = both(&mut here).await;
            tokio::join!(
                submit(&mut here, submission(&sent.uuid, statement(10))),
                submit(&mut there, submission(&received.uuid, statement(10)))
            );
            for uuid in [&sent.uuid, &received.uuid] {
                assert_stands(&here.now(uuid).await, ReconciliationState::Matched);
            }
        }
    }
}
