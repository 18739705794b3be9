//! The torture runs find what they are made to find: each deliberate fault of a server that is built to have it.
//!
//! Needs `tidegate-server-torture`, which scripts/test builds.

use tidegate_tests::torture::planted::{BUGS, hunt};

macro_rules! found {
    ($($test:ident $bug:literal)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let report = hunt($bug, true, rand::random()).await;
            eprintln!("{report}");
            assert!(report.is_red(), "{} went unnoticed: {report}", $bug);
        })+

        const FOUND: &[&str] = &[$($bug),+];
    };
}

found! {
    an_action_that_ignores_the_status_is_found "table-ignored"
    a_deadline_that_counts_the_wrong_way_is_found "deadline-reversed"
    a_revision_that_does_not_rise_is_found "revision-stuck"
    progress_that_falls_is_found "progress-falls"
    a_request_that_is_not_remembered_is_found "request-forgotten"
    an_event_outside_of_its_transaction_is_found "event-outside"
    a_watcher_that_is_told_too_early_is_found "publish-first"
    an_answer_before_the_commit_is_found "answer-first"
    a_watcher_that_silently_misses_something_is_found "lag-skipped"
    positions_that_are_taken_without_a_lock_are_found "counter-unlocked"
    a_commit_that_does_not_wait_for_the_disk_is_found "unsynced"
}

#[test]
fn every_fault_has_its_test() {
    assert_eq!(FOUND.len(), BUGS.len());
    assert!(BUGS.iter().all(|bug| FOUND.contains(bug)));
}
