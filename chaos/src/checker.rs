//! Compares what clients were told with what the ledger says afterwards. Pure: it calls nobody.

use std::collections::{BTreeMap, HashMap, HashSet};

use tidegate_domain::{event::EventType, rule::Action, status::TransferStatus};

/// The six totals, in the order of the wire.
pub type Totals = [i64; 6];

/// What a client was told in answer to a change.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Of which transfer.
    pub transfer: String,
    /// Its number of changes by then.
    pub revision: i64,
    /// Where it stood.
    pub status: TransferStatus,
    /// Absent where the answer says nothing of them.
    pub totals: Option<Totals>,
    /// Absent for progress, which is no transition.
    pub transition: Option<Transition>,
}

/// The transition that a client was told of.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The request that asked for it.
    pub request_id: String,
    /// What it is.
    pub event_type: EventType,
    /// Whether the answer is to a repetition, which shows the transfer as it is by then.
    pub repeated: bool,
}

/// Everything that the clients know.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Answers, in the order in which they came.
    pub acknowledged: Vec<Acknowledged>,
    /// Requests that were refused and can have had no effect.
    pub refused: Vec<String>,
}

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position.
    pub sequence: i64,
    /// Of which transfer.
    pub transfer: String,
    /// What happened.
    pub event_type: EventType,
    /// The status that was left.
    pub from: Option<TransferStatus>,
    /// The status that was entered.
    pub to: Option<TransferStatus>,
    /// The request that asked for it; empty when none did.
    pub request_id: String,
    /// The transfer's number of changes afterwards.
    pub revision: i64,
}

/// One stored transfer.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it stands.
    pub status: TransferStatus,
    /// Its number of changes.
    pub revision: i64,
    /// How far it is.
    pub totals: Totals,
}

/// Everything that the ledger says.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The log.
    pub entries: Vec<Entry>,
    /// The transfers that were asked for; `None` where there is none.
    pub rows: BTreeMap<String, Option<Row>>,
    /// How many transfers there are, where that was asked.
    pub row_count: Option<i64>,
}

/// What must not be.
#[expect(missing_docs, reason = "the fields are named by what they hold")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Sequences are not 1, 2, 3 and so on.
    Gap { wanted: i64, found: i64 },
    /// The events of a transfer are no legal path.
    IllegalPath {
        transfer: String,
        sequence: i64,
        problem: &'static str,
    },
    /// A row does not stand where its events left it.
    RowDiffers {
        transfer: String,
        problem: &'static str,
    },
    /// Something acknowledged is not there.
    Lost {
        transfer: String,
        revision: i64,
        problem: &'static str,
    },
    /// A request had another number of effects than its answer allows.
    Effects {
        request_id: String,
        wanted: &'static str,
        found: usize,
    },
    /// There are transfers that no event tells of, or the other way round.
    RowCount { wanted: usize, found: i64 },
}

/// Everything that is wrong.
pub fn check(history: &History, snapshot: &Snapshot) -> Vec<Fault> {
    let mut faults = Vec::new();
    sequences(snapshot, &mut faults);
    let mut by_transfer: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    // What happened to no transfer is part of the sequence alone.
    for entry in snapshot
        .entries
        .iter()
        .filter(|entry| !entry.transfer.is_empty())
    {
        by_transfer.entry(&entry.transfer).or_default().push(entry);
    }
    for (transfer, events) in &by_transfer {
        path(transfer, events, &mut faults);
    }
    for (transfer, row) in &snapshot.rows {
        let events = by_transfer
            .get(transfer.as_str())
            .map_or(&[][..], Vec::as_slice);
        row_agrees(transfer, *row, events, &mut faults);
    }
    for acknowledged in &history.acknowledged {
        let events = by_transfer
            .get(acknowledged.transfer.as_str())
            .map_or(&[][..], Vec::as_slice);
        check_acknowledged(acknowledged, events, snapshot, &mut faults);
    }
    effects(history, snapshot, &mut faults);
    totals(history, &mut faults);
    if let Some(found) = snapshot.row_count {
        let is_there = |events: &&Vec<&Entry>| {
            events
                .last()
                .is_some_and(|last| last.event_type != EventType::Deleted)
        };
        let wanted = by_transfer.values().filter(is_there).count();
        if usize::try_from(found) != Ok(wanted) {
            faults.push(Fault::RowCount { wanted, found });
        }
    }
    faults
}

fn sequences(snapshot: &Snapshot, faults: &mut Vec<Fault>) {
    for (wanted, entry) in (1..).zip(&snapshot.entries) {
        if entry.sequence != wanted {
            faults.push(Fault::Gap {
                wanted,
                found: entry.sequence,
            });
            return;
        }
    }
}

/// The line of the rule table that an event stands for; none for a creation.
fn rule_of(entry: &Entry) -> Option<Action> {
    let ran = entry.from == Some(TransferStatus::InProgress);
    Some(match entry.event_type {
        // Connections and credentials have tables of their own, and a refusal moves nothing.
        EventType::Created
        | EventType::ConnectionCreated
        | EventType::ConnectionUpdated
        | EventType::ConnectionApproved
        | EventType::ConnectionSuspended
        | EventType::ConnectionReactivated
        | EventType::ConnectionRevoked
        | EventType::ConnectionExpired
        | EventType::AgentRegistered
        | EventType::AgentRemoved
        | EventType::ConnectionDeleted
        | EventType::CredentialCreated
        | EventType::CredentialRotated
        | EventType::CredentialRevoked
        | EventType::SessionCreated
        | EventType::CredentialDeleted
        | EventType::SessionRedeemed
        | EventType::SessionDeleted
        | EventType::BulkOperationStarted
        | EventType::BulkOperationEnded
        | EventType::Refused => return None,
        EventType::ApprovalRequested => Action::RequestApproval,
        EventType::Approved => Action::Approve,
        EventType::Denied => Action::Deny,
        EventType::Expired => Action::Expire,
        EventType::Started => Action::Start,
        EventType::Completed => Action::Complete,
        EventType::Failed => Action::Fail,
        EventType::Requeued => Action::Requeue,
        EventType::Cancelled => Action::Cancel,
        // Asked for, and not done yet.
        EventType::CancelRequested | EventType::PauseRequested => Action::Pause,
        EventType::Paused if ran => Action::AcknowledgeStop,
        EventType::Paused => Action::Pause,
        EventType::Resumed => Action::Resume,
        // What has ended stays as it is, as before a deletion.
        EventType::Deleted | EventType::Retried | EventType::RetryPostponed => Action::Delete,
        EventType::ReceiptSubmitted => Action::SubmitReceipt,
    })
}

fn path(transfer: &str, events: &[&Entry], faults: &mut Vec<Fault>) {
    let mut before: Option<&Entry> = None;
    for entry in events {
        if let Some(problem) = step(before, entry) {
            let transfer = transfer.to_owned();
            faults.push(Fault::IllegalPath {
                transfer,
                sequence: entry.sequence,
                problem,
            });
        }
        before = Some(entry);
    }
}

fn step(before: Option<&Entry>, entry: &Entry) -> Option<&'static str> {
    let Some(before) = before else {
        let is_creation = entry.event_type == EventType::Created
            && entry.from.is_none()
            && entry.to == Some(TransferStatus::Pending)
            && entry.revision == 1;
        return (!is_creation).then_some("it does not begin with its creation");
    };
    let Some(action) = rule_of(entry) else {
        return Some("it is created twice");
    };
    if before.event_type == EventType::Deleted {
        return Some("it goes on after its deletion");
    }
    if entry.from != before.to {
        return Some("it does not leave the status that it had");
    }
    if !entry.from.is_some_and(|from| action.may_leave(from)) {
        return Some("the action may not leave that status");
    }
    let (to, rule) = (entry.to, action.rule());
    let leads_there = if rule.to.is_empty() {
        to == entry.from
    } else {
        to.is_some_and(|to| rule.to.contains(&to))
    };
    if !leads_there {
        return Some("the action does not lead to that status");
    }
    // A deletion leaves nothing that could have a revision of its own.
    let least = before.revision + i64::from(entry.event_type != EventType::Deleted);
    (entry.revision < least).then_some("its revision does not rise")
}

fn row_agrees(transfer: &str, row: Option<Row>, events: &[&Entry], faults: &mut Vec<Fault>) {
    let problem = match (row, events.last()) {
        (None, None) => return,
        (None, Some(last)) if last.event_type == EventType::Deleted => return,
        (None, Some(_)) => "it is gone without a deletion",
        (Some(_), None) => "it has no events",
        (Some(_), Some(last)) if last.event_type == EventType::Deleted => {
            "it is there after its deletion"
        }
        (Some(row), Some(last)) if Some(row.status) != last.to => {
            "its status is not that of its last event"
        }
        (Some(row), Some(last)) if row.revision < last.revision => {
            "its revision is below that of its last event"
        }
        (Some(row), Some(last)) if row.status.is_terminal() && row.revision != last.revision => {
            "it changed after its end"
        }
        (Some(row), Some(_)) if row.totals.iter().any(|total| *total < 0) => "a total is negative",
        (Some(_), Some(_)) => return,
    };
    faults.push(Fault::RowDiffers {
        transfer: transfer.to_owned(),
        problem,
    });
}

/// Whether an answer still holds.
fn check_acknowledged(
    told: &Acknowledged,
    events: &[&Entry],
    snapshot: &Snapshot,
    faults: &mut Vec<Fault>,
) {
    let mut lost = |problem| {
        let (transfer, revision) = (told.transfer.clone(), told.revision);
        faults.push(Fault::Lost {
            transfer,
            revision,
            problem,
        });
    };
    if let Some(transition) = &told.transition {
        let there = events.iter().any(|entry| {
            entry.request_id == transition.request_id
                && entry.event_type == transition.event_type
                && (entry.revision == told.revision
                    || transition.repeated && entry.revision <= told.revision)
        });
        if !there {
            lost("its event is missing");
        }
    }
    let then = events
        .iter()
        .rev()
        .find(|entry| entry.revision <= told.revision);
    if then.is_none_or(|entry| entry.to != Some(told.status)) {
        lost("its events do not lead to the status that was told");
    }
    let Some(Some(row)) = snapshot.rows.get(&told.transfer) else {
        return;
    };
    if row.revision < told.revision {
        lost("the stored revision is lower");
    }
    if row.revision == told.revision && row.status != told.status {
        lost("the same revision has another status");
    }
    if told.totals.is_some_and(|totals| {
        totals
            .iter()
            .zip(row.totals)
            .any(|(told, stored)| stored < *told)
    }) {
        lost("a stored total is lower");
    }
}

/// What was told of a later change never lies below what was told of an earlier one.
fn totals(history: &History, faults: &mut Vec<Fault>) {
    let mut told: Vec<_> = history
        .acknowledged
        .iter()
        .filter_map(|told| Some((&told.transfer, told.revision, told.totals?)))
        .collect();
    told.sort_unstable();
    for pair in told.windows(2) {
        let [(transfer, _, before), (same, revision, after)] = pair else {
            continue;
        };
        if transfer == same
            && before
                .iter()
                .zip(after)
                .any(|(before, after)| after < before)
        {
            faults.push(Fault::Lost {
                transfer: (*transfer).clone(),
                revision: *revision,
                problem: "a total went down",
            });
        }
    }
}

fn effects(history: &History, snapshot: &Snapshot, faults: &mut Vec<Fault>) {
    let mut found: HashMap<&str, usize> = HashMap::new();
    for entry in snapshot
        .entries
        .iter()
        .filter(|entry| !entry.request_id.is_empty())
    {
        *found.entry(&entry.request_id).or_default() += 1;
    }
    for (request_id, found) in found.iter().filter(|(_, found)| **found > 1) {
        let request_id = (*request_id).to_owned();
        faults.push(Fault::Effects {
            request_id,
            wanted: "at most one",
            found: *found,
        });
    }
    for request_id in &history.refused {
        let found = found.get(request_id.as_str()).copied().unwrap_or(0);
        if found > 0 {
            let request_id = request_id.clone();
            faults.push(Fault::Effects {
                request_id,
                wanted: "none",
                found,
            });
        }
    }
    let mut subjects: HashMap<&str, HashSet<&str>> = HashMap::new();
    for told in &history.acknowledged {
        if let Some(transition) = &told.transition {
            subjects
                .entry(&transition.request_id)
                .or_default()
                .insert(&told.transfer);
        }
    }
    for (request_id, subjects) in subjects.iter().filter(|(_, subjects)| subjects.len() > 1) {
        let request_id = (*request_id).to_owned();
        faults.push(Fault::Effects {
            request_id,
            wanted: "one transfer",
            found: subjects.len(),
        });
    }
}
