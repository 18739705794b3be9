use super::*;
use crate::{
    caller::Role,
    fixtures::{caller as known, connection as north, id, transfer as sample},
    outcome::Failure,
    status::Direction,
};

const SECOND: Duration = Duration::from_secs(1);
const NOW: Timestamp = Timestamp::from_micros(100_000_000);

fn failed(retryable: bool) -> Transfer {
    let mut transfer = sample();
    transfer.status = TransferStatus::Failed;
    transfer.failure = Some(Failure {
        code: None,
        retryable,
    });
    transfer.checkpoint = b"row 7".to_vec();
    transfer
}

fn again_by(earlier: &Transfer, caller: &Caller) -> Result<Transfer, Refusal> {
    again(id(8), earlier, None, Sides::default(), caller, NOW)
}

#[test]
fn another_try_is_of_the_same_after_the_end_of_the_first() {
    let mut earlier = sample();
    let stands_against = |earlier: &Transfer, new: &NewTransfer| match admit(earlier, new) {
        Err(Refusal::RetryNotAllowed { uuid, field, value }) => {
            assert_eq!((uuid, value.name), (earlier.uuid, field));
            Some((field, value.value))
        }
        other => {
            assert_eq!(other, Ok(()));
            None
        }
    };
    let same = earlier.declared.clone();
    for status in TransferStatus::ALL {
        earlier.status = *status;
        let running = (!status.is_terminal()).then(|| ("status", status.to_string()));
        assert_eq!(stands_against(&earlier, &same), running);
    }
    earlier.retried_by_uuid = Some(id(8));
    let twice = stands_against(&earlier, &same);
    assert_eq!(
        twice,
        Some(("retried_by_uuid", id::<TransferId>(8).to_string()))
    );
    earlier.retried_by_uuid = None;
    let mut elsewhere = same.clone();
    elsewhere.table_name = "users".to_owned();
    assert_eq!(
        stands_against(&earlier, &elsewhere),
        Some(("table_name", "characters".to_owned()))
    );
    let mut for_north = same.clone();
    for_north.connection_uuid = Some(north().uuid);
    let of_none = ("connection_uuid", String::new());
    assert_eq!(stands_against(&earlier, &for_north), Some(of_none));
    let mut of_another = same.clone();
    of_another.correlation_uuid = Some(id(9));
    let movement = ("correlation_uuid", earlier.uuid.to_string());
    assert_eq!(stands_against(&earlier, &of_another), Some(movement));
    of_another.correlation_uuid = Some(earlier.uuid.0);
    assert_eq!(stands_against(&earlier, &of_another), None);
    let mut backwards = same;
    backwards.direction = Direction::Receive;
    assert_eq!(
        stands_against(&earlier, &backwards),
        Some(("direction", "SEND".to_owned()))
    );
}

#[test]
fn another_try_is_as_the_one_before_was_declared() {
    let mut earlier = failed(false);
    earlier.declared.metadata.insert("a".to_owned(), 1.into());
    earlier.declared.max_attempts = Some(3);
    earlier.declared.plan_uuid = Some(id(6));
    earlier.declared.initiated_by_uuid = Some(id(5));
    earlier.declared.finish_by = Some(NOW);
    earlier.requires_approval = true;
    earlier.retry_number = 4;
    let anyone = Caller::anonymous(None);
    let tried = again_by(&earlier, &anyone).expect("it has ended");
    assert_eq!(tried.status, TransferStatus::Pending);
    assert_eq!((tried.retry_number, tried.revision), (5, 1));
    assert_eq!(tried.checkpoint, earlier.checkpoint);
    assert_eq!(tried.finish_expires_at, None, "that was for the one before");
    let mut declared = earlier.declared.clone();
    declared.retry_of_uuid = Some(earlier.uuid);
    declared.correlation_uuid = Some(earlier.uuid.0);
    declared.finish_by = None;
    declared.requires_approval = true;
    assert_eq!(tried.declared, declared);

    earlier.status = TransferStatus::Completed;
    let anew = again_by(&earlier, &anyone).expect("it has ended");
    assert_eq!(anew.checkpoint, Vec::<u8>::new(), "all was moved");

    let after = retried(&earlier, id(8), NOW);
    assert_eq!(after.revision, earlier.revision + 1);
    let refusal = again_by(&after, &anyone).expect_err("once is enough");
    assert_eq!(refusal.reason(), "RETRY_NOT_ALLOWED");
}

#[test]
fn who_asks_for_it_is_its_initiator() {
    let mut earlier = failed(false);
    earlier.declared.initiated_by_uuid = Some(id(5));
    let admin = known(Role::Admin, None);
    let tried = again_by(&earlier, &admin).expect("it has ended");
    assert_eq!(tried.declared.initiated_by_uuid, Some(id(99)));
    let stranger = known(Role::Agent, Some(north().uuid));
    let refusal = again_by(&earlier, &stranger).expect_err("it is not theirs");
    assert_eq!(refusal.reason(), "TRANSFER_NOT_FOUND");
}

#[test]
fn what_may_pass_is_tried_again_as_often_as_the_policy_wants() {
    let policy = |max_retries, retry_backoff| Policy {
        max_retries,
        retry_backoff,
        ..Policy::default()
    };
    let at = |failed: &Transfer, policy: &Policy| {
        let due = retry_at(failed, Some(policy), NOW);
        due.map(|at| at.since(NOW))
    };
    let wanted = policy(Some(3), Some(2 * SECOND));
    let mut transfer = failed(true);
    for wait in [Some(2), Some(4), Some(8), None] {
        assert_eq!(at(&transfer, &wanted), wait.map(|wait| wait * SECOND));
        transfer.retry_number += 1;
    }
    let endless = policy(Some(100), None);
    transfer.retry_number = 0;
    assert_eq!(at(&transfer, &endless), Some(BACKOFF));
    for far in [11, 40, 99] {
        transfer.retry_number = far;
        assert_eq!(at(&transfer, &endless), Some(LONGEST_BACKOFF), "{far}");
    }
    transfer.retry_number = 0;
    assert_eq!(at(&transfer, &policy(None, None)), None);
    assert_eq!(at(&transfer, &policy(Some(0), None)), None);
    assert_eq!(retry_at(&transfer, None, NOW), None, "it has no policy");
    assert_eq!(at(&failed(false), &endless), None, "it would not pass");
    transfer.status = TransferStatus::Cancelled;
    assert_eq!(at(&transfer, &endless), None);
}
