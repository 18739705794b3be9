//! Compares what agents were told with the attempts that the ledger knows. Pure but for the reading of journals.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs, io,
    path::Path,
    time::Duration,
};

use tidegate_client::AttemptEnd;

/// How long an agent may be silent before its run goes to another.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Rows of each transfer.
pub const ROWS: i64 = 20;

/// What an agent was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A transfer is its own.
    Claimed,
    /// A report is stored.
    Reported,
    /// The transfer is complete.
    Completed,
    /// The transfer has gone to another.
    Lost,
}

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub instance: String,
    /// The transfer.
    pub transfer: String,
    /// The lease.
    pub epoch: i64,
    /// What it was told.
    pub what: What,
    /// How many rows are stored by then.
    pub rows: i64,
    /// When it asked, in microseconds since 1970.
    pub before: i64,
    /// When it knew.
    pub after: i64,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            transfer,
            epoch,
            what,
            rows,
            before,
            after,
            ..
        } = self;
        write!(f, "{what:?} {transfer} {epoch} {rows} {before} {after}")
    }
}

/// What the ledger knows of an attempt. Times in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The lease.
    pub epoch: i64,
    /// What its agent called itself.
    pub instance: String,
    /// When it began.
    pub started: i64,
    /// When it ended; `None` while it runs.
    pub ended: Option<i64>,
    /// How.
    pub end: AttemptEnd,
}

impl From<tidegate_client::Attempt> for Attempt {
    fn from(attempt: tidegate_client::Attempt) -> Self {
        Self {
            epoch: attempt.lease_epoch,
            instance: attempt.agent_instance.unwrap_or_default(),
            started: attempt.started_at.timestamp_micros(),
            ended: attempt.ended_at.map(|ended| ended.timestamp_micros()),
            end: attempt.end,
        }
    }
}

/// What must not be, of the transfer that it names.
#[expect(missing_docs, reason = "the fields are named by what they hold")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The leases are not 1, 2, 3 and so on.
    Epochs { transfer: String, found: Vec<i64> },
    /// An attempt did not end as its place among the others says.
    End {
        transfer: String,
        epoch: i64,
        end: AttemptEnd,
    },
    /// An attempt began before the one before it had ended.
    Overlap { transfer: String, epoch: i64 },
    /// An agent was told so of an attempt that is another's, or none.
    Stranger(Entry),
    /// An agent was told so after its attempt had ended.
    Late(Entry),
    /// An attempt ended although its agent had been heard less than a heartbeat before.
    Hasty(Entry),
    /// Rows that were stored before were not there for the next agent.
    Forgotten { claim: Entry, rows: i64 },
    /// Several agents were told that they completed it.
    CompletedTwice { transfer: String },
}

/// Everything that is wrong.
pub fn check(entries: &[Entry], ledger: &BTreeMap<String, Vec<Attempt>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (transfer, attempts) in ledger {
        sequence(transfer, attempts, &mut faults);
        let told: Vec<&Entry> = entries
            .iter()
            .filter(|it| it.transfer == *transfer)
            .collect();
        for entry in &told {
            faults.extend(against(entry, attempts));
        }
        for claim in told.iter().filter(|it| it.what == What::Claimed) {
            let earlier = told.iter().filter(|it| it.epoch < claim.epoch);
            let stored = earlier.map(|it| it.rows).max().unwrap_or(0);
            if claim.rows < stored {
                faults.push(Fault::Forgotten {
                    claim: (*claim).clone(),
                    rows: stored,
                });
            }
        }
        let completed = told.iter().filter(|it| it.what == What::Completed);
        if completed
            .map(|it| &it.instance)
            .collect::<HashSet<_>>()
            .len()
            > 1
        {
            faults.push(Fault::CompletedTwice {
                transfer: transfer.clone(),
            });
        }
    }
    let strangers = entries
        .iter()
        .filter(|it| !ledger.contains_key(&it.transfer));
    faults.extend(strangers.cloned().map(Fault::Stranger));
    faults
}

/// The attempts among themselves: one after the other, all but the last given to the next.
fn sequence(transfer: &str, attempts: &[Attempt], faults: &mut Vec<Fault>) {
    let epochs: Vec<i64> = attempts.iter().map(|it| it.epoch).collect();
    if epochs.is_empty()
        || !epochs
            .iter()
            .copied()
            .eq(1..=i64::try_from(epochs.len()).unwrap_or(0))
    {
        faults.push(Fault::Epochs {
            transfer: transfer.to_owned(),
            found: epochs,
        });
    }
    for (place, attempt) in attempts.iter().enumerate() {
        let wanted = match place + 1 == attempts.len() {
            true => AttemptEnd::Completed,
            false => AttemptEnd::Requeued,
        };
        if attempt.end != wanted {
            let (epoch, end) = (attempt.epoch, attempt.end);
            faults.push(Fault::End {
                transfer: transfer.to_owned(),
                epoch,
                end,
            });
        }
    }
    for pair in attempts.windows(2) {
        if pair[0].ended.is_none_or(|ended| ended > pair[1].started) {
            faults.push(Fault::Overlap {
                transfer: transfer.to_owned(),
                epoch: pair[1].epoch,
            });
        }
    }
}

/// What one agent was told, beside the attempt that it was told of.
fn against(entry: &Entry, attempts: &[Attempt]) -> Option<Fault> {
    let attempt = attempts.iter().find(|it| it.epoch == entry.epoch);
    let Some(attempt) = attempt.filter(|it| it.instance == entry.instance) else {
        return Some(Fault::Stranger(entry.clone()));
    };
    let ended = attempt.ended.unwrap_or(i64::MAX);
    // Whatever was done for it was done between both of its times.
    if entry.what == What::Lost {
        return (entry.after < ended).then(|| Fault::Late(entry.clone()));
    }
    if entry.before > ended || entry.after < attempt.started {
        return Some(Fault::Late(entry.clone()));
    }
    let heartbeat = i64::try_from(HEARTBEAT.as_micros()).unwrap_or(i64::MAX);
    let is_hasty = attempt.end == AttemptEnd::Requeued && entry.before + heartbeat > ended;
    is_hasty.then(|| Fault::Hasty(entry.clone()))
}

/// What the journal of `instance` says; nothing if it wrote none.
///
/// # Errors
/// When it cannot be read, or has a line that no agent writes.
pub fn read(path: &Path, instance: &str) -> io::Result<Vec<Entry>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let entries = text.lines().map(|line| {
        parsed(line, instance)
            .ok_or_else(|| io::Error::other(format!("no line of an agent: {line}")))
    });
    entries.collect()
}

/// Whether the last line of a journal is of a run that goes on.
pub fn has_run(journal: &str) -> bool {
    let last = journal.lines().last().and_then(|line| parsed(line, ""));
    last.is_some_and(|entry| matches!(entry.what, What::Claimed | What::Reported))
}

fn parsed(line: &str, instance: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let what = match words.next()? {
        "Claimed" => What::Claimed,
        "Reported" => What::Reported,
        "Completed" => What::Completed,
        "Lost" => What::Lost,
        _ => return None,
    };
    let transfer = words.next()?.to_owned();
    let mut number = || words.next()?.parse::<i64>().ok();
    Some(Entry {
        instance: instance.to_owned(),
        transfer,
        epoch: number()?,
        what,
        rows: number()?,
        before: number()?,
        after: number()?,
    })
}
