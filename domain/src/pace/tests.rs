//! Agents of many kinds, with a clock that the test moves.

use proptest::prelude::*;

use super::*;
use crate::{
    command::Verb, fixtures::stop_order, outcome::PhaseStart, progress::Report, stop::StopKind,
};
use TransferHealth::{Healthy, NoProgress, Silent, Slow};
use simulated::{START, Simulated};

mod simulated;

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(60);

fn near(value: f64, wanted: f64, part: f64) -> bool {
    (value - wanted).abs() <= wanted * part
}

/// How long agents wait between reports.
fn intervals() -> [Duration; 6] {
    [7, 50, 130, 1_000, 20_000, 50_000].map(Duration::from_millis)
}

#[test]
fn the_rate_of_a_steady_run_is_its_speed() {
    for interval in intervals() {
        let mut run = Simulated::start(10_000_000, None);
        run.go(1_000.0, WARM_UP, interval);
        let since = run.standing().since;
        for _ in 0..60 {
            run.go(1_000.0, 5 * SECOND, interval);
            let rates = run.rates();
            assert!(near(rates.records, 1_000.0, 0.1), "{interval:?} {rates:?}");
            assert!(near(rates.bytes, 10_000.0, 0.1), "{interval:?} {rates:?}");
            assert!(run.expects(1_000.0), "{interval:?}");
            let latest = run.transfer.estimate(run.now).map(|it| it.latest);
            let left = latest.expect("an estimate").since(run.now).as_secs_f64();
            assert!(
                left < 1.25 * (10_000.0 - run.done / 1_000.0),
                "{interval:?}"
            );
            let standing = run.standing();
            assert_eq!((standing.health, standing.since), (Healthy, since));
        }
    }
}

#[test]
fn the_rate_follows_within_30_s_when_the_speed_halves() {
    for interval in intervals() {
        let mut run = Simulated::start(10_000_000, None);
        run.go(1_000.0, 300 * SECOND, interval);
        run.go(500.0, 30 * SECOND, interval);
        assert!(near(run.rate(), 500.0, 0.2), "{interval:?} {}", run.rate());
        for _ in 0..60 {
            run.go(500.0, SECOND, interval);
            assert!(run.expects(500.0), "{interval:?}");
            // Half of the speed is no alarm yet.
            assert_eq!(run.health(), Healthy, "{interval:?}");
        }
    }
}

#[test]
fn a_run_far_below_its_average_is_slow_until_it_has_recovered() {
    let mut run = Simulated::start(10_000_000, None);
    run.go(1_000.0, 300 * SECOND, SECOND);
    run.go(100.0, 30 * SECOND, SECOND);
    assert_eq!(run.health(), Healthy, "a while is no reason");
    run.go(100.0, 60 * SECOND, SECOND);
    let standing = run.standing();
    assert_eq!(standing.health, Slow);
    let after = standing.since.since(START);
    assert!((330 * SECOND..390 * SECOND).contains(&after), "{after:?}");
    run.go(100.0, 10 * SECOND, SECOND);
    assert_eq!(
        run.standing(),
        standing,
        "since then, and not since the last report"
    );
    run.go(1_000.0, 120 * SECOND, SECOND);
    let standing = run.standing();
    assert_eq!(standing.health, Healthy);
    assert!(standing.since > START.after(400 * SECOND));
}

#[test]
fn beats_without_movement_are_no_progress() {
    let mut run = Simulated::start(1_000_000, Some(TIMEOUT));
    run.go(1_000.0, 100 * SECOND, SECOND);
    let last = run.now;
    for second in 1..=90 {
        run.now = run.now.after(SECOND);
        if second % 2 == 0 {
            run.beat();
        } else {
            run.report();
        }
        let expected = if second < 30 { Healthy } else { NoProgress };
        assert_eq!(run.health(), expected, "{second}");
    }
    assert_eq!(run.standing().since, last);
    assert!(run.rate().abs() < f64::EPSILON);
    assert_eq!(run.unknown(), EstimateUnknownReason::NoProgress);
    // It goes on, well below its average for now.
    run.go(1_000.0, SECOND, SECOND);
    assert_eq!(run.health(), Slow);
    assert_eq!(run.standing().since, run.now);
    run.go(1_000.0, 120 * SECOND, SECOND);
    assert_eq!(run.health(), Healthy);
}

#[test]
fn who_does_not_report_is_silent_before_the_lease_ends() {
    for (timeout, silent_after) in [(Some(TIMEOUT), 30), (Some(10 * SECOND), 5), (None, 60)] {
        let mut run = Simulated::start(1_000_000, timeout);
        run.go(1_000.0, 10 * SECOND, SECOND);
        let last = run.now;
        run.now = last.after(silent_after * SECOND).before(TICK);
        assert_ne!(run.health(), Silent, "{timeout:?}");
        run.now = last.after(silent_after * SECOND);
        let silent = Standing {
            health: Silent,
            since: last,
        };
        assert_eq!(run.standing(), silent, "{timeout:?}");
        assert_eq!(run.transfer.rates(run.now), None);
        assert_eq!(run.unknown(), EstimateUnknownReason::Silent);
        let lease = run.transfer.heartbeat_expires_at;
        assert!(lease.is_none_or(|end| run.now < end), "{timeout:?}");
        run.done += 1_000.0;
        run.report();
        let healthy = Standing {
            health: Healthy,
            since: run.now,
        };
        assert_eq!(run.standing(), healthy, "{timeout:?}");
    }
}

#[test]
fn an_agent_that_need_not_report_is_heard_without_a_write_for_each_report() {
    let mut run = Simulated::start(0, None);
    let mut noted = 0;
    for _ in 0..120 {
        run.now = run.now.after(SECOND);
        let before = run.transfer.revision;
        run.beat();
        noted += run.transfer.revision - before;
    }
    assert_eq!(noted, 12);
    assert_eq!(run.health(), NoProgress);
}

#[test]
fn bursts_do_not_go_to_and_fro() {
    // So long it moves, and so long it does not, with beats and without.
    for (busy, idle) in [(1, 9), (5, 20), (10, 25), (2, 28)] {
        for beats in [false, true] {
            let mut run = Simulated::start(100_000_000, Some(TIMEOUT));
            for _ in 0..40 {
                run.go(5_000.0, busy * SECOND, SECOND / 5);
                for _ in 0..idle {
                    run.now = run.now.after(SECOND);
                    if beats {
                        run.beat();
                    }
                    assert_eq!(run.health(), Healthy, "{busy} {idle} {beats}");
                }
            }
            assert_eq!(run.standing().since, START);
        }
    }
}

#[test]
fn who_reports_once_in_a_while_is_not_taken_to_stand_still() {
    for minutes in [1, 3] {
        let interval = minutes * 60 * SECOND;
        let mut run = Simulated::start(10_000_000, None);
        run.now = run.now.after(interval);
        run.done += 60_000.0;
        run.report();
        for _ in 0..10 {
            run.now = run.now.after(interval).before(SECOND);
            assert_eq!(run.health(), Healthy, "{minutes}");
            run.now = run.now.after(SECOND);
            run.done += 60_000.0;
            run.report();
            let speed = 60_000.0 / interval.as_secs_f64();
            assert!(near(run.rate(), speed, 0.1), "{minutes}");
        }
        run.now = run.now.after(2 * interval);
        assert_ne!(run.health(), Silent);
        run.now = run.now.after(2 * interval);
        assert_eq!(run.health(), Silent);
    }
}

#[test]
fn reports_that_come_at_once_count_as_one() {
    let mut alone = Simulated::start(1_000_000, None);
    alone.go(1_000.0, 60 * SECOND, 20 * SECOND);
    let mut joined = Simulated::start(1_000_000, None);
    joined.go(1_000.0, 40 * SECOND, 20 * SECOND);
    // Held up on the way.
    joined.now = joined.now.after(20 * SECOND);
    for _ in 0..20 {
        joined.done += 1_000.0;
        joined.report();
    }
    assert_eq!(joined.transfer.totals, alone.transfer.totals);
    assert!(near(joined.rate(), alone.rate(), 1e-9));
}

#[test]
fn a_later_run_is_not_credited_with_what_the_one_before_has_moved() {
    // Totals of the later run begin at 0, or at its checkpoint.
    for resumed_at in [0.0, 200_000.0] {
        let mut run = Simulated::start(1_000_000, Some(TIMEOUT));
        run.go(2_000.0, 100 * SECOND, SECOND);
        run.change(&Verb::Stop(stop_order(StopKind::Pause)));
        assert_eq!(run.transfer.status, TransferStatus::Pending);
        assert_eq!(run.transfer.health(run.now), None);
        assert_eq!(run.transfer.rates(run.now), None);
        assert_eq!(run.unknown(), EstimateUnknownReason::NotRunning);
        run.now = run.now.after(3_600 * SECOND);
        run.change(&Verb::Resume { only: None });
        run.run(Some(TIMEOUT));
        let started = run.now;
        run.done = resumed_at;
        for second in 1..=100 {
            run.now = run.now.after(SECOND);
            run.done += 500.0;
            let records = format!("{:.0}", run.done).parse().ok();
            run.change(&Verb::UpdateProgress {
                report: Report {
                    records_transferred: records,
                    ..Report::default()
                },
                checkpoint: None,
                lease_epoch: Some(2),
            });
            if second < 3 {
                assert_eq!(run.unknown(), EstimateUnknownReason::TooFewReports);
            } else {
                assert!(near(run.rate(), 500.0, 0.1), "{resumed_at} {second}");
                assert!(run.expects(500.0), "{resumed_at} {second}");
            }
            assert_eq!(run.standing().since, started);
        }
        run.now = run.now.after(SECOND);
        run.change(&Verb::Fail {
            lease_epoch: Some(2),
            error_message: String::new(),
            failure: crate::outcome::Failure {
                code: None,
                retryable: false,
            },
            report: Report::default(),
        });
        assert!(near(run.rate(), 500.0, 0.02), "{resumed_at}");
    }
}

#[test]
fn at_the_end_the_rate_is_the_average_of_the_run() {
    let mut run = Simulated::start(1_000_000, None);
    run.go(1_000.0, 100 * SECOND, SECOND);
    run.go(100.0, 100 * SECOND, SECOND);
    run.change(&Verb::Complete {
        lease_epoch: None,
        report: Report {
            records_transferred: Some(220_000),
            ..Report::default()
        },
    });
    assert!(near(run.rate(), 1_100.0, 1e-9));
    assert_eq!(run.transfer.health(run.now), None);
    assert_eq!(run.unknown(), EstimateUnknownReason::NotRunning);
    // Of a run that reports at its end alone, too.
    let mut run = Simulated::start(0, None);
    run.now = run.now.after(10 * SECOND);
    run.change(&Verb::Complete {
        lease_epoch: None,
        report: Report {
            bytes_transferred: Some(50),
            ..Report::default()
        },
    });
    assert!(near(run.rates().bytes, 5.0, 1e-9));
}

#[test]
fn what_is_not_known_is_said_to_be_so() {
    let mut run = Simulated::start(0, None);
    run.go(1_000.0, 10 * SECOND, SECOND);
    assert_eq!(run.unknown(), EstimateUnknownReason::TotalUnknown);
    let mut run = Simulated::start(1_000, None);
    assert_eq!(run.unknown(), EstimateUnknownReason::TooFewReports);
    assert_eq!(run.transfer.rates(run.now), None);
    run.go(10.0, SECOND, SECOND);
    assert_eq!(run.unknown(), EstimateUnknownReason::TooFewReports);
    run.go(10.0, 98 * SECOND, SECOND);
    assert!(run.expects(10.0));
    // Late, it may be done at any moment.
    run.now = run.now.after(20 * SECOND);
    let late = run.transfer.estimate(run.now).expect("an estimate");
    assert_eq!((late.earliest, late.latest), (run.now, run.now));
    run.go(10.0, SECOND, SECOND);
    assert_eq!(run.unknown(), EstimateUnknownReason::AllRecordsMoved);
}

#[test]
fn nothing_is_expected_to_move_before_and_after_the_agent_moves_it() {
    let mut run = Simulated::start(1_000_000, Some(TIMEOUT));
    let enter = |run: &mut Simulated, phase| {
        run.tell(Report {
            phase: Some(phase),
            ..Report::default()
        });
        assert_eq!(
            run.transfer.phases.last(),
            Some(&PhaseStart { phase, at: run.now })
        );
    };
    enter(&mut run, Phase::Preparing);
    run.go(0.0, 300 * SECOND, SECOND);
    assert_eq!(run.health(), Healthy);
    enter(&mut run, Phase::Transferring);
    run.go(0.0, 29 * SECOND, SECOND);
    assert_eq!(run.health(), Healthy);
    run.go(0.0, SECOND, SECOND);
    assert_eq!(run.health(), NoProgress);
    assert_eq!(run.standing().since, START.after(300 * SECOND));
    run.go(1_000.0, 60 * SECOND, SECOND);
    enter(&mut run, Phase::Verifying);
    assert_eq!(run.unknown(), EstimateUnknownReason::AllRecordsMoved);
    run.go(0.0, 300 * SECOND, SECOND);
    assert_eq!(run.health(), Healthy);
    run.now = run.now.after(30 * SECOND);
    assert_eq!(
        run.health(),
        Silent,
        "who does not report is silent in any phase"
    );
}

#[test]
fn the_largest_totals_in_the_shortest_time_are_kept_as_numbers() {
    let mut run = Simulated::start(i64::MAX, None);
    for micros in [0, 1, 100_000, 2_000_000] {
        run.now = START.after(Duration::from_micros(micros));
        run.tell(Report {
            records_transferred: Some(i64::MAX - 3_000_000 + i64::try_from(micros).unwrap_or(0)),
            bytes_transferred: Some(i64::MAX),
            ..Report::default()
        });
        let pace = run.transfer.pace.expect("it runs");
        let text = serde_json::to_string(&pace).expect("it is written");
        assert_eq!(
            serde_json::from_str::<Pace>(&text).expect("it is read"),
            pace,
            "{text}"
        );
    }
    assert!(run.rate() > 1e17);
    assert!(run.transfer.estimate(run.now).is_ok());
}

proptest! {
    #[test]
    fn whatever_is_reported_can_be_stored_and_answered(
        reports in prop::collection::vec((0..100_000_000_u64, 0..1_000_000_u32), 1..40),
        timeout in proptest::option::of(1..100_u64),
    ) {
        let mut run = Simulated::start(1_000_000_000, timeout.map(Duration::from_secs));
        let fastest = reports.iter().map(|(_, records)| f64::from(*records)).sum::<f64>();
        for (micros, records) in reports {
            run.now = run.now.after(Duration::from_micros(micros));
            run.done += f64::from(records);
            run.report();
            let pace = run.transfer.pace.expect("it runs");
            let text = serde_json::to_string(&pace).expect("it is written");
            prop_assert_eq!(serde_json::from_str::<Pace>(&text).expect("it is read"), pace);
            if let Some(rates) = run.transfer.rates(run.now) {
                prop_assert!((0.0..=fastest).contains(&rates.records), "{:?}", rates);
            }
            if let Ok(estimate) = run.transfer.estimate(run.now) {
                prop_assert!(run.now <= estimate.earliest);
                prop_assert!(estimate.earliest <= estimate.at && estimate.at <= estimate.latest);
            }
            let standing = run.standing();
            prop_assert!(START <= standing.since && standing.since <= run.now);
        }
    }
}
