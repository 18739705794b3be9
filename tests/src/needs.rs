//! What some tests need beside the Rust toolchain. Where it is missing they are skipped with a printed reason, unless nothing
//! may be skipped.

use std::{env, io::Write as _, path::Path};

use crate::{
    fault::{FakeClock, Shim, SmallDisk},
    process::PREPARED,
    tools,
};

/// Something that a machine may lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A tool that `scripts/tools` fetches.
    Tool(&'static str),
    /// `systemd-analyze`, for the unit of the server.
    Systemd,
    /// libfaketime, for a [`FakeClock`].
    Faketime,
    /// A C compiler, for a [`Shim`].
    Compiler,
    /// The right to mount a [`SmallDisk`].
    Mount,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Tool(name) => tools::path(name).exists(),
            Self::Systemd => Path::new("/usr/bin/systemd-analyze").exists(),
            Self::Faketime => FakeClock::is_available(),
            Self::Compiler => Shim::is_available(),
            Self::Mount => SmallDisk::is_available(),
        }
    }

    fn reason(self) -> String {
        match self {
            Self::Tool(name) => format!("{name} is missing: scripts/tools fetches it"),
            Self::Systemd => "systemd-analyze is missing: scripts/tools installs it".to_owned(),
            Self::Faketime => "libfaketime is missing: scripts/tools installs it".to_owned(),
            Self::Compiler => "a C compiler is missing: scripts/tools installs it".to_owned(),
            Self::Mount => {
                "a tmpfs cannot be mounted: that takes root (in a container: CAP_SYS_ADMIN)"
                    .to_owned()
            }
        }
    }
}

/// Whether the calling test has to be skipped for want of something, which is said then. See
/// [`skip_without`](crate::skip_without).
///
/// # Panics
/// When something is missing where nothing may be: with scripts/test, and where `CI` is set.
pub fn is_missing(needs: &[Need]) -> bool {
    let Some(need) = needs.iter().find(|need| !need.is_met()) else {
        return false;
    };
    let reason = need.reason();
    let complete = [PREPARED, "CI"]
        .into_iter()
        .any(|name| env::var_os(name).is_some());
    assert!(!complete, "{reason}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("{test} skipped: {reason}\n");
    // Not captured, as what tests print is; at once, since others print too.
    _ = std::io::stderr().write_all(line.as_bytes());
    true
}

/// Ends a test, with a printed reason, when the machine lacks what it needs.
#[macro_export]
macro_rules! skip_without {
    ($($need:expr),+) => {
        if $crate::needs::is_missing(&[$($need),+]) {
            return;
        }
    };
}
