//! Faults of what a server stands on: its files, its disk and its clock.
//!
//! The network between it and its database is a [`Relay`](crate::relay::Relay), its PostgreSQL a
//! [`Cluster`](crate::cluster::Cluster).

pub mod clock;
pub mod disk;
pub mod shim;

pub use clock::FakeClock;
pub use disk::SmallDisk;
pub use shim::{Failure, Op, Shim};

/// Variables of a process.
pub type Variables = Vec<(&'static str, String)>;

/// The variables of several pieces together: what each wants preloaded is preloaded.
pub fn together(pieces: impl IntoIterator<Item = Variables>) -> Variables {
    let mut all = Variables::new();
    for (name, value) in pieces.into_iter().flatten() {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if name == "LD_PRELOAD" => *known = format!("{known}:{value}"),
            Some((_, known)) => *known = value,
            None => all.push((name, value)),
        }
    }
    all
}
