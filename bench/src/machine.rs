//! What the processes of a run cost, by the books of the kernel.

use std::{fs, path::Path};

/// Clock ticks of a second in `/proc`, which has the same on every Linux.
const TICKS: f64 = 100.0;

/// The processes that are watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Servers and echo servers.
    pub(crate) servers: Vec<u32>,
    /// The first process of PostgreSQL, whose children count with it.
    pub(crate) postgres: Option<u32>,
}

/// Processor time so far, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) server: f64,
    pub(crate) database: f64,
    pub(crate) generator: f64,
    /// Everything on this machine, whoever it was spent on.
    pub(crate) all: f64,
}

impl Cpu {
    /// As of now.
    pub(crate) fn now(watched: &Watched) -> Self {
        Self {
            server: watched.servers.iter().map(|pid| of_process(*pid)).sum(),
            database: watched.postgres.map_or(0.0, of_family),
            // Programs that it ran to their end included.
            generator: ticks(&stat(std::process::id()), &[11, 12, 13, 14]),
            all: of_machine(),
        }
    }

    /// What was spent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            server: self.server - earlier.server,
            database: self.database - earlier.database,
            generator: self.generator - earlier.generator,
            all: self.all - earlier.all,
        }
    }

    /// The share of this machine that others took, over `seconds`.
    pub(crate) fn foreign(self, seconds: f64) -> f64 {
        let ours = self.server + self.database + self.generator;
        ((self.all - ours) / (seconds * processors())).max(0.0)
    }
}

/// The number of processors.
#[expect(clippy::cast_precision_loss, reason = "no machine has so many")]
pub(crate) fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// The memory that a process has, in MiB.
pub(crate) fn memory_now(pid: u32) -> f64 {
    memory(pid, "VmRSS:")
}

/// The first process of the PostgreSQL in `folder`.
pub(crate) fn postmaster(folder: &Path) -> Option<u32> {
    let file = fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
    file.lines().next()?.trim().parse().ok()
}

fn memory(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The numbers of `/proc/PID/stat` from the third on: those before may hold any character.
fn stat(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let numbers = stat.rsplit(") ").next().unwrap_or_default();
    numbers.split(' ').map(str::to_owned).collect()
}

fn ticks(stat: &[String], fields: &[usize]) -> f64 {
    let of = |field: &usize| stat.get(*field).and_then(|text| text.parse::<f64>().ok());
    fields.iter().filter_map(of).sum::<f64>() / TICKS
}

fn of_process(pid: u32) -> f64 {
    ticks(&stat(pid), &[11, 12])
}

/// A process with its children, those that have ended included.
fn of_family(pid: u32) -> f64 {
    let own = ticks(&stat(pid), &[11, 12, 13, 14]);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = pids
        .map(stat)
        .filter(|stat| stat.get(1).is_some_and(|parent| *parent == pid.to_string()));
    own + children.map(|stat| ticks(&stat, &[11, 12])).sum::<f64>()
}

/// All time that was neither idle nor spent waiting for a disk.
fn of_machine() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let mut numbers = line.split_whitespace().skip(1);
    // user, nice, system, (idle, iowait,) irq, softirq; what the host took follows and is nobody's here.
    let wanted = [0, 1, 2, 5, 6];
    let numbers: Vec<f64> = numbers.by_ref().filter_map(|it| it.parse().ok()).collect();
    wanted.iter().filter_map(|at| numbers.get(*at)).sum::<f64>() / TICKS
}
