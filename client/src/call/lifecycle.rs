//! Running a transfer: start, progress, and its ends.

use std::{future::IntoFuture, time::Duration};

use futures_util::future::BoxFuture;
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, request};
use crate::{
    Attempt, Client, Error, FailureCode, Progress, QuarantinedRecords, ReceiptStatement,
    RecordProblems, Run, Transfer, Transfers, VerificationResult, convert, model::Wire as _,
    transport::Stubs,
};

request! {
    /// Starts a transfer; made by [`Transfers::start`].
    change StartTransfer(StartTransferRequest) by transfers.start_transfer,
    StartTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Lists the attempts at a transfer; made by [`Transfers::list_attempts`].
    read ListAttempts(ListAttemptsRequest) by transfers.list_attempts,
    ListAttemptsResponse => Vec<Attempt> {
        |answer| answer.attempts.into_iter().map(convert::attempt).collect()
    }
}

request! {
    /// Reports progress once; made by [`Transfers::update_progress`].
    change UpdateProgress(UpdateProgressRequest) by transfers.update_progress,
    UpdateProgressResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Completes a transfer; made by [`Transfers::complete`].
    change CompleteTransfer(CompleteTransferRequest) by transfers.complete_transfer,
    CompleteTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// Gives a transfer up; made by [`Transfers::fail`].
    change FailTransfer(FailTransferRequest) by transfers.fail_transfer,
    FailTransferResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

request! {
    /// States what one side of a movement counted and saw; made by [`Transfers::submit_receipt`].
    change SubmitReceipt(SubmitReceiptRequest) by transfers.submit_receipt,
    SubmitReceiptResponse => Transfer { |answer| convert::transfer(answer.transfer) }
}

impl Transfers {
    /// Starts a transfer that is `Pending` and needs no approval, or is `Approved`. Of several callers one wins; the
    /// others are refused with `ILLEGAL_TRANSITION`, whose metadata says who runs it and until when. Without a needed
    /// approval: `APPROVAL_REQUIRED`.
    ///
    /// The answer names the lease: give it on to [`report_progress`](crate::Transfers::report_progress) and the like, so that an
    /// agent that has lost it cannot disturb the next one. Its `checkpoint` is where to resume.
    pub fn start(&self, uuid: Uuid) -> StartTransfer {
        StartTransfer {
            client: self.client.clone(),
            message: v1::StartTransferRequest {
                uuid: uuid.to_string(),
                ..v1::StartTransferRequest::default()
            },
        }
    }

    /// Lists the newest attempts at a transfer, at most 100, in their order. Empty before its first start. There are earlier
    /// ones when the first one's `lease_epoch` is not 1: see [`before`](ListAttempts::before).
    pub fn list_attempts(&self, uuid: Uuid) -> ListAttempts {
        ListAttempts {
            client: self.client.clone(),
            message: v1::ListAttemptsRequest {
                uuid: uuid.to_string(),
                ..v1::ListAttemptsRequest::default()
            },
        }
    }

    /// Reports progress of a transfer that is `InProgress`, and renews its heartbeat. For a report now and then; an
    /// agent under way uses [`Transfers::report_progress`].
    ///
    /// Totals below the stored ones are refused with `PROGRESS_REGRESSED`, a lease that was lost with `LEASE_LOST`.
    pub fn update_progress(&self, run: impl Into<Run>, progress: Progress) -> UpdateProgress {
        let run = run.into();
        UpdateProgress {
            client: self.client.clone(),
            message: v1::UpdateProgressRequest {
                uuid: run.uuid.to_string(),
                lease_epoch: run.epoch(),
                progress: Some(convert::to_progress(progress)),
                ..v1::UpdateProgressRequest::default()
            },
        }
    }

    /// Completes a transfer that is `InProgress`. A lease that was lost is refused with `LEASE_LOST`.
    pub fn complete(&self, run: impl Into<Run>) -> CompleteTransfer {
        let run = run.into();
        CompleteTransfer {
            client: self.client.clone(),
            message: v1::CompleteTransferRequest {
                uuid: run.uuid.to_string(),
                lease_epoch: run.epoch(),
                ..v1::CompleteTransferRequest::default()
            },
        }
    }

    /// Gives up a transfer that is `InProgress`. `error_message` says why, in 1 to 2,000 characters.
    /// A lease that was lost is refused with `LEASE_LOST`.
    pub fn fail(&self, run: impl Into<Run>, error_message: impl Into<String>) -> FailTransfer {
        let run = run.into();
        FailTransfer {
            client: self.client.clone(),
            message: v1::FailTransferRequest {
                uuid: run.uuid.to_string(),
                lease_epoch: run.epoch(),
                error_message: error_message.into(),
                ..v1::FailTransferRequest::default()
            },
        }
    }

    /// States what this side of a movement counted and saw, and what it heard from the other, of a transfer that runs or has
    /// run to an end. The latest receipt of each side counts for [`Transfer::reconciliation`].
    ///
    /// While it runs, only whoever holds its lease may: `LEASE_LOST`. Before its first start: `ILLEGAL_TRANSITION`.
    pub fn submit_receipt(&self, run: impl Into<Run>, own: ReceiptStatement) -> SubmitReceipt {
        let run = run.into();
        SubmitReceipt {
            client: self.client.clone(),
            message: v1::SubmitReceiptRequest {
                uuid: run.uuid.to_string(),
                lease_epoch: run.epoch(),
                own: Some(convert::to_statement(own)),
                ..v1::SubmitReceiptRequest::default()
            },
        }
    }
}

impl SubmitReceipt {
    /// What it heard from the other side.
    pub fn peer(mut self, peer: ReceiptStatement) -> Self {
        self.message.peer = Some(convert::to_statement(peer));
        self
    }

    /// Of which moment the rows are, such as one snapshot of the source; at most 255 characters.
    pub fn consistency(mut self, consistency: impl Into<String>) -> Self {
        self.message.consistency = consistency.into();
        self
    }

    /// How thoroughly the rows were compared, as both sides call it, at most 64 characters; and what came of it.
    pub fn verification(mut self, level: impl Into<String>, result: VerificationResult) -> Self {
        self.message.verification_level = level.into();
        self.message.verification = result.to_wire();
        self
    }

    /// Rows that were put aside, by reason; at most 16.
    pub fn quarantined(mut self, records: impl IntoIterator<Item = QuarantinedRecords>) -> Self {
        let records = records.into_iter().map(|it| v1::QuarantinedRecords {
            code: it.code.to_wire(),
            count: it.count,
        });
        self.message.quarantined = records.collect();
        self
    }
}

impl StartTransfer {
    /// Ends the lease when its agent is silent for so long: 1 s to 24 h. By default as the connection's policy says, or
    /// else as the server is set, which is a minute.
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.message.heartbeat_timeout = Some(convert::to_duration(timeout));
        self
    }
}

impl StartTransfer {
    /// What the agent calls itself, such as a host and a process, at most 255 characters: tells agents of one credential
    /// apart. With it every report must name the lease.
    pub fn agent_instance(mut self, name: impl Into<String>) -> Self {
        self.message.agent_instance = name.into();
        self
    }
}

impl ListAttempts {
    /// Only attempts with a lower `lease_epoch`.
    pub fn before(mut self, lease_epoch: i64) -> Self {
        self.message.before_epoch = lease_epoch;
        self
    }
}

impl UpdateProgress {
    /// Where the agent would resume, at most 4,096 bytes; what is stored stays by default.
    pub fn checkpoint(mut self, checkpoint: impl Into<Vec<u8>>) -> Self {
        self.message.checkpoint = Some(checkpoint.into());
        self
    }
}

impl CompleteTransfer {
    /// Final totals; what is stored stays by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.message.progress = Some(convert::to_progress(progress));
        self
    }
}

impl FailTransfer {
    /// Final totals; what is stored stays by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.message.progress = Some(convert::to_progress(progress));
        self
    }

    /// Where the cause lies.
    pub fn code(mut self, code: FailureCode) -> Self {
        self.message.code = code.to_wire();
        self
    }

    /// The same transfer may well succeed if it is tried again.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.message.retryable = retryable;
        self
    }
}

/// Gives the calls that end or go on with a run what they have in common.
macro_rules! record_problems {
    ($($call:ident),+) => { $(
        impl $call {
            /// Records that made trouble, all since the start: at most 16 kinds, and 4,096 bytes as JSON. What is stored
            /// stays by default.
            pub fn record_problems(
                mut self,
                problems: impl IntoIterator<Item = RecordProblems>,
            ) -> Self {
                let problems = problems.into_iter().map(convert::to_record_problems);
                self.message.record_problems = problems.collect();
                self
            }
        }
    )+ };
}

record_problems!(UpdateProgress, CompleteTransfer, FailTransfer);
