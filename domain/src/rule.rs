//! The rule table: which action may leave which status, and where it leads.
//!
//! It is the only place that says so. [`decide`](super::decide) obeys it, refusals quote it, `ARCHITECTURE.md` draws it
//! and a test compares the drawing.

use super::status::{TransferStatus, named};

named! {
    /// What can be done to an existing transfer.
    Action {
        /// Ask for a decision.
        RequestApproval = "REQUEST_APPROVAL",
        /// Say yes.
        Approve = "APPROVE",
        /// Say no.
        Deny = "DENY",
        /// Note that nobody decided or started it in time.
        Expire = "EXPIRE",
        /// Begin to move rows.
        Start = "START",
        /// Report totals.
        UpdateProgress = "UPDATE_PROGRESS",
        /// All rows were moved.
        Complete = "COMPLETE",
        /// Give up.
        Fail = "FAIL",
        /// Let somebody else start it after a lost heartbeat.
        Requeue = "REQUEUE",
        /// Call off.
        Cancel = "CANCEL",
        /// Let wait until it is resumed.
        Pause = "PAUSE",
        /// Take a pause back.
        Resume = "RESUME",
        /// Say that it runs no more, as was asked.
        AcknowledgeStop = "ACKNOWLEDGE_STOP",
        /// State what was counted and seen.
        SubmitReceipt = "SUBMIT_RECEIPT",
        /// Remove the row.
        Delete = "DELETE",
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The statuses that the action may leave.
    pub from: &'static [TransferStatus],
    /// The statuses that it may enter; none when it stays where it is or removes the row.
    pub to: &'static [TransferStatus],
}

impl Rule {
    /// Every pair of a status that it leaves and one that it enters.
    pub fn edges(self) -> impl Iterator<Item = (TransferStatus, TransferStatus)> {
        let to = self.to.iter();
        to.flat_map(move |to| self.from.iter().map(move |from| (*from, *to)))
    }
}

impl Action {
    /// The life of a transfer.
    pub const fn rule(self) -> Rule {
        use TransferStatus::{
            Approved, Cancelled, Completed, Denied, Expired, Failed, InProgress, Pending,
            PendingApproval,
        };
        let (from, to): (&'static [TransferStatus], &'static [TransferStatus]) = match self {
            Self::RequestApproval => (&[Pending], &[PendingApproval]),
            Self::Approve => (&[PendingApproval], &[Approved]),
            Self::Deny => (&[PendingApproval], &[Denied]),
            Self::Expire => (&[Pending, PendingApproval, Approved], &[Expired]),
            Self::Start => (&[Pending, Approved], &[InProgress]),
            Self::UpdateProgress => (&[InProgress], &[]),
            Self::Complete => (&[InProgress], &[Completed]),
            Self::Fail => (&[InProgress], &[Failed]),
            // To where it was started from.
            Self::Requeue => (&[InProgress], &[Pending, Approved]),
            Self::Cancel => (
                &[Pending, PendingApproval, Approved, InProgress],
                &[Cancelled],
            ),
            // Where it runs, only who runs it makes it leave.
            Self::Pause | Self::Resume => (&[Pending, PendingApproval, Approved, InProgress], &[]),
            Self::AcknowledgeStop => (&[InProgress], &[Cancelled, Pending, Approved]),
            Self::SubmitReceipt => (&[InProgress, Completed, Failed, Cancelled], &[]),
            Self::Delete => (&[Completed, Failed, Cancelled, Denied, Expired], &[]),
        };
        Rule { from, to }
    }

    /// Whether the table lets this action leave `status`.
    pub fn may_leave(self, status: TransferStatus) -> bool {
        self.rule().from.contains(&status)
    }
}

/// The table as a Mermaid state diagram, as `ARCHITECTURE.md` shows it.
pub fn diagram() -> String {
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        format!("    [*] --> {}: CREATE", TransferStatus::Pending),
    ];
    for action in Action::ALL {
        let rule = action.rule();
        for (from, to) in rule.edges() {
            lines.push(format!("    {from} --> {to}: {action}"));
        }
    }
    for status in Action::Delete.rule().from {
        lines.push(format!("    {status} --> [*]: {}", Action::Delete));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_statuses_are_left_by_deletion_alone() {
        for status in TransferStatus::ALL {
            // A receipt leaves none.
            let stays = [Action::Delete, Action::SubmitReceipt];
            let leaving: Vec<_> = Action::ALL
                .iter()
                .filter(|action| action.may_leave(*status) && !stays.contains(action))
                .collect();
            assert_eq!(
                leaving.is_empty(),
                status.is_terminal(),
                "{status}: {leaving:?}"
            );
            assert_eq!(
                Action::Delete.may_leave(*status),
                status.is_terminal(),
                "{status}"
            );
        }
    }

    #[test]
    fn the_drawing_begins_with_the_creation_and_ends_with_the_deletion() {
        let drawing = diagram();
        let lines: Vec<_> = drawing.lines().map(str::trim).collect();
        assert_eq!(lines[..2], ["stateDiagram-v2", "[*] --> PENDING: CREATE"]);
        assert!(
            lines.contains(&"APPROVED --> IN_PROGRESS: START"),
            "{drawing}"
        );
        assert_eq!(lines.last(), Some(&"EXPIRED --> [*]: DELETE"));
    }

    #[test]
    fn every_status_is_reachable() {
        for status in TransferStatus::ALL {
            let entered = Action::ALL
                .iter()
                .any(|action| action.rule().to.contains(status));
            assert!(entered || *status == TransferStatus::Pending, "{status}");
        }
    }

    #[test]
    fn the_edges_are_those_of_the_contract() {
        let mut edges: Vec<String> = Action::ALL
            .iter()
            .flat_map(|action| action.rule().edges())
            .map(|(from, to)| format!("{from} {to}"))
            .collect();
        edges.sort();
        assert_eq!(
            edges,
            [
                "APPROVED CANCELLED",
                "APPROVED EXPIRED",
                "APPROVED IN_PROGRESS",
                "IN_PROGRESS APPROVED",
                "IN_PROGRESS APPROVED",
                "IN_PROGRESS CANCELLED",
                "IN_PROGRESS CANCELLED",
                "IN_PROGRESS COMPLETED",
                "IN_PROGRESS FAILED",
                "IN_PROGRESS PENDING",
                "IN_PROGRESS PENDING",
                "PENDING CANCELLED",
                "PENDING EXPIRED",
                "PENDING IN_PROGRESS",
                "PENDING PENDING_APPROVAL",
                "PENDING_APPROVAL APPROVED",
                "PENDING_APPROVAL CANCELLED",
                "PENDING_APPROVAL DENIED",
                "PENDING_APPROVAL EXPIRED",
            ]
        );
    }
}
