//! Calls of a server on chosen files that fail, by way of `tests/shim/faults.c`, which is preloaded into it.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;

use super::Variables;
use crate::process::folder;

/// Rules that a control file has room for, and the size of each.
const RULES: u64 = 16;
const RULE: u64 = 256;
/// Where in a rule its counter of calls that failed is, and its pattern.
const STRUCK: u64 = 40;
const PATTERN: usize = 48;

/// What the log of a server goes to, as a pattern.
pub const LOG: &str = "fd:2";

/// Kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `write`, `pwrite`, `writev`.
    Write = 1,
    /// `fsync`.
    Fsync = 1 << 1,
    /// `fdatasync`.
    Fdatasync = 1 << 2,
    /// `sync_file_range`.
    SyncRange = 1 << 3,
    /// `rename`, by the new name.
    Rename = 1 << 4,
    /// `open`, `openat`.
    Open = 1 << 5,
    /// `ftruncate`.
    Truncate = 1 << 6,
    /// `unlink`.
    Unlink = 1 << 7,
    /// `read`, `pread`.
    Read = 1 << 8,
}

/// Whatever makes data durable.
pub const SYNC: [Op; 3] = [Op::Fsync, Op::Fdatasync, Op::SyncRange];

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Input/output error.
    Eio = 5,
    /// No space left on device.
    Enospc = 28,
    /// Disk quota exceeded.
    Edquot = 122,
    /// Half of it is written or read.
    Short = -1,
    /// It does not return before the fault is over; then it succeeds.
    Hang = -2,
}

/// Rules for one server after another. Any number of processes may be started with its variables.
#[derive(Debug)]
pub struct Shim {
    control: File,
    path: PathBuf,
    next: AtomicU64,
    _folder: TempDir,
}

impl Default for Shim {
    fn default() -> Self {
        Self::new()
    }
}

impl Shim {
    /// Whether there is a C compiler to make it.
    pub fn is_available() -> bool {
        let version = Command::new("cc").arg("--version").output();
        version.is_ok_and(|said| said.status.success())
    }

    /// One without rules: every call goes through. Compiles it when it has changed.
    ///
    /// # Panics
    /// When there is no C compiler.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("faults");
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .expect("a control file");
        control.set_len(RULES * RULE).expect("room for the rules");
        library();
        Self {
            control,
            path,
            next: AtomicU64::new(0),
            _folder: folder,
        }
    }

    /// What a process needs to be subject to the rules.
    pub fn variables(&self) -> Variables {
        vec![
            ("LD_PRELOAD", library().display().to_string()),
            ("TIDEGATE_FAULTS", self.path.display().to_string()),
        ]
    }

    /// Lets every such call on files whose whole path matches `pattern` fail from now on. A pattern is as a shell has them
    /// (`*-wal`), but `*` matches `/` too; `fd:2` is the log, whatever it goes to.
    pub fn fail(&self, ops: &[Op], pattern: &str, failure: Failure) {
        self.fail_some(ops, pattern, failure, 0, 0);
    }

    /// As [`fail`](Self::fail), but lets `skip` calls through first, and then fails only `times`, or all where that is 0.
    ///
    /// # Panics
    /// When the pattern is too long or no rule is free.
    pub fn fail_some(&self, ops: &[Op], pattern: &str, failure: Failure, skip: u64, times: u64) {
        let number = self.next.fetch_add(1, Ordering::SeqCst) % RULES;
        let at = number * RULE;
        assert_eq!(self.number(at) & 0xFFFF_FFFF, 0, "too many faults at once");
        let mask = ops.iter().fold(0_u32, |mask, op| mask | *op as u32);
        let struck = self.number(at + STRUCK);
        let mut rule = Vec::new();
        rule.extend_from_slice(&0_u32.to_ne_bytes());
        rule.extend_from_slice(&mask.to_ne_bytes());
        rule.extend_from_slice(&(failure as i32).to_ne_bytes());
        rule.extend_from_slice(&0_u32.to_ne_bytes());
        for number in [skip, times, 0, struck] {
            rule.extend_from_slice(&number.to_ne_bytes());
        }
        assert_eq!(rule.len(), PATTERN, "the layout of the library");
        rule.extend_from_slice(pattern.as_bytes());
        // At least one byte ends the pattern.
        let room = usize::try_from(RULE).expect("it is small");
        assert!(rule.len() < room, "{pattern} is too long");
        rule.resize(room, 0);
        self.write(at, &rule);
        self.write(at, &1_u32.to_ne_bytes());
    }

    /// Ends every fault.
    pub fn heal(&self) {
        for number in 0..RULES {
            self.write(number * RULE, &0_u32.to_ne_bytes());
        }
    }

    /// How many calls have failed so far, hung or were cut short.
    pub fn struck(&self) -> u64 {
        let counters = (0..RULES).map(|number| number * RULE + STRUCK);
        counters.map(|at| self.number(at)).sum()
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let written = self.control.write_all_at(bytes, at);
        written.expect("the control file can be written");
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        let read = self.control.read_exact_at(&mut bytes, at);
        read.expect("the control file can be read");
        u64::from_ne_bytes(bytes)
    }
}

/// The compiled library, beside the programs of this build.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/faults.c");
        let library = folder().join("libtidegate_faults.so");
        if !is_newer(&library, &source) {
            // Others may be compiling it too, and others may be loading it.
            let own = folder().join(format!("libtidegate_faults.{}.so", std::process::id()));
            let compiled = Command::new("cc")
                .args([
                    "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
                ])
                .args([&own, &source])
                .arg("-ldl")
                .status()
                .expect("a C compiler is needed (Debian package gcc)");
            assert!(compiled.success(), "{} does not compile", source.display());
            fs::rename(&own, &library).expect("the library can be put in its place");
        }
        library
    })
}

fn is_newer(one: &Path, other: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    changed(one) > changed(other)
}
