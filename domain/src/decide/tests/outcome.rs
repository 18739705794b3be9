//! Phases and problems of a run.

use super::*;
use crate::outcome::{Phase, RecordProblems};

fn entering(transfer: &Transfer, phase: Phase) -> Result<Change, Refusal> {
    let report = Report {
        phase: Some(phase),
        ..Report::default()
    };
    let update = Verb::UpdateProgress {
        lease_epoch: None,
        report,
        checkpoint: None,
    };
    decide(transfer, &update, NOW)
}

#[test]
fn a_run_goes_on_to_later_phases_alone() {
    let running = standing(TransferStatus::InProgress);
    let Ok(Change::Progress(verifying)) = entering(&running, Phase::Verifying) else {
        panic!("it enters the phase");
    };
    let start = PhaseStart {
        phase: Phase::Verifying,
        at: NOW,
    };
    assert_eq!(verifying.phases, [start]);
    assert_eq!(entering(&verifying, Phase::Verifying), Ok(Change::Nothing));
    assert!(entering(&verifying, Phase::Finalizing).is_ok());
    let back = entering(&verifying, Phase::Preparing).expect_err("it does not go back");
    assert_eq!(back.reason(), "PHASE_REGRESSED");
}

#[test]
fn the_next_run_begins_without_those_of_the_one_before() {
    let mut queued = standing(TransferStatus::Pending);
    queued.lease_epoch = 1;
    queued.phases.push(PhaseStart {
        phase: Phase::Finalizing,
        at: NOW,
    });
    queued.problems.push(RecordProblems {
        code: FailureCode::Data,
        count: 1,
        samples: Vec::new(),
    });
    let start = Verb::Start {
        heartbeat_timeout: None,
        owner_uuid: None,
        agent_instance: String::new(),
    };
    let Ok(Change::Transition(running, _)) = decide(&queued, &start, NOW) else {
        panic!("it starts");
    };
    assert!(running.phases.is_empty() && running.problems.is_empty());
}
