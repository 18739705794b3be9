//! The kinds of faults, and how one of a kind is drawn.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use tidegate_tests::{
    database::Kind,
    fault::{Failure, Op},
    relay::Direction,
};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Calls on the files of the database fail.
    DiskFails,
    /// The disk of the database is full.
    DiskFull,
    /// Another program holds the lock of the file.
    FileLocked,
    /// The reader of the log has gone.
    LogDead,
    /// The reader of the log does not read.
    LogStuck,
    /// The disk of the log is full.
    LogFull,
    /// The log cannot be written.
    LogFails,
    /// The wall clock is wrong for a while.
    ClockWrong,
    /// The server's process stands still.
    ProcessStopped,
    /// Nothing comes through to the database, or from it.
    Silent,
    /// A firewall forgets the connections to the database.
    Forgotten,
    /// Connections to the database are reset, once.
    Reset,
    /// Connections to the database are reset whenever they are made.
    Refused,
    /// Nobody answers who connects to the database; nothing comes through on connections that are there.
    Ignored,
    /// The way to the database is long.
    Delayed,
    /// It is long for every other connection.
    Overtaken,
    /// PostgreSQL ends its sessions.
    SessionsKilled,
    /// PostgreSQL's sessions stand still.
    SessionsStopped,
    /// PostgreSQL is stopped hard and started again.
    DatabaseStopped,
    /// PostgreSQL is read-only for a while.
    ReadOnly,
    /// PostgreSQL lets nobody in.
    LoginRefused,
    /// Rows are locked by somebody else.
    RowsLocked,
    /// The counter of events is locked by somebody else.
    CounterLocked,
}

use FaultKind as F;

static BOTH: [(FaultKind, &str); 6] = [
    (F::LogDead, "log-dead"),
    (F::LogStuck, "log-stuck"),
    (F::LogFull, "log-full"),
    (F::LogFails, "log-fails"),
    (F::ClockWrong, "clock-wrong"),
    (F::ProcessStopped, "process-stopped"),
];
/// The first comes in many forms.
static SQLITE: [(FaultKind, &str); 6] = [
    (F::DiskFails, "disk-fails"),
    (F::DiskFails, "disk-fails"),
    (F::DiskFails, "disk-fails"),
    (F::DiskFails, "disk-fails"),
    (F::DiskFull, "disk-full"),
    (F::FileLocked, "file-locked"),
];
static POSTGRES: [(FaultKind, &str); 14] = [
    (F::Silent, "silent"),
    (F::Forgotten, "forgotten"),
    (F::Reset, "reset"),
    (F::Refused, "refused"),
    (F::Ignored, "ignored"),
    (F::Delayed, "delayed"),
    (F::Overtaken, "overtaken"),
    (F::SessionsKilled, "sessions-killed"),
    (F::SessionsStopped, "sessions-stopped"),
    (F::DatabaseStopped, "database-stopped"),
    (F::ReadOnly, "read-only"),
    (F::LoginRefused, "login-refused"),
    (F::RowsLocked, "rows-locked"),
    (F::CounterLocked, "counter-locked"),
];

impl FaultKind {
    /// Those that servers on such a database can meet, some of them more than once.
    pub fn all(kind: Kind) -> Vec<Self> {
        let own = match kind {
            Kind::Sqlite => &SQLITE[..],
            Kind::Postgres => &POSTGRES[..],
        };
        own.iter().chain(&BOTH).map(|(kind, _)| *kind).collect()
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        let mut all = BOTH.iter().chain(&SQLITE).chain(&POSTGRES);
        let found = all.find(|(kind, _)| *kind == self);
        found.map_or("nameless", |(_, name)| name)
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// All names, when there is none.
    pub fn parse(name: &str) -> Result<Self, String> {
        let all = BOTH.iter().chain(&SQLITE).chain(&POSTGRES);
        let found = all.clone().find(|(_, known)| *known == name);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let mut names: Vec<_> = all.map(|(_, name)| *name).collect();
            names.dedup();
            format!("is one of {}", names.join(", "))
        })
    }
}

/// How calls on files fail.
#[derive(Clone, Copy, Debug)]
pub struct DiskFault {
    /// Which calls.
    pub ops: &'static [Op],
    /// On which files.
    pub files: &'static str,
    /// How.
    pub failure: Failure,
    /// After how many of them.
    pub skip: u64,
    /// How many of them; 0 is all.
    pub times: u64,
}

/// One fault in all its details.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What fails.
    pub kind: FaultKind,
    /// For how long.
    pub lasts: Duration,
    /// What is delayed, by how much.
    pub delay: Duration,
    /// In which direction.
    pub direction: Direction,
    /// How wrong the clock is, in seconds.
    pub ahead: i64,
    /// What the disk does.
    pub disk: DiskFault,
}

static OPS: [&[Op]; 6] = [
    &[Op::Fsync, Op::Fdatasync, Op::SyncRange],
    &[Op::Write],
    &[
        Op::Write,
        Op::Fsync,
        Op::Fdatasync,
        Op::SyncRange,
        Op::Truncate,
    ],
    &[Op::Fsync, Op::Fdatasync, Op::Open],
    &[Op::Write, Op::Open, Op::Unlink],
    &[Op::Read],
];

impl Fault {
    /// One of a kind. The same draws are made whatever the kind is.
    ///
    /// # Panics
    /// Never: there are things to choose from.
    pub fn draw(kind: FaultKind, random: &mut StdRng) -> Self {
        let failures = [
            Failure::Eio,
            Failure::Enospc,
            Failure::Edquot,
            Failure::Eio,
            Failure::Hang,
        ];
        let few = random.random_bool(0.4);
        let (skip, times) = (random.random_range(0..20), random.random_range(1..4));
        let disk = DiskFault {
            ops: OPS.choose(random).expect("some"),
            files: ["*.db-wal", "*.db", "*.db*", "*.db-wal", "*/.tmp*"]
                .choose(random)
                .expect("some"),
            failure: *failures.choose(random).expect("some"),
            skip: if few { skip } else { 0 },
            times: if few { times } else { 0 },
        };
        Self {
            kind,
            lasts: Duration::from_millis(random.random_range(200..1_800)),
            delay: Duration::from_millis(random.random_range(5..300)),
            direction: *[Direction::Both, Direction::ToServer, Direction::ToClient]
                .choose(random)
                .expect("some"),
            ahead: *[5, 3_600, 21_600, -5, -3_600].choose(random).expect("some"),
            disk,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} ms", self.kind.name(), self.lasts.as_millis())?;
        match self.kind {
            F::DiskFails => {
                let DiskFault {
                    ops,
                    files,
                    failure,
                    skip,
                    times,
                } = self.disk;
                write!(f, " ({failure:?} of {ops:?} on {files}")?;
                match times {
                    0 => write!(f, ")"),
                    _ => write!(f, ", {times} times after {skip})"),
                }
            }
            F::ClockWrong => write!(f, " ({:+} s)", self.ahead),
            F::Silent => write!(f, " ({:?})", self.direction),
            F::Delayed => write!(f, " ({:?}, {} ms)", self.direction, self.delay.as_millis()),
            F::Overtaken => write!(f, " ({} ms)", self.delay.as_millis()),
            _ => Ok(()),
        }
    }
}
