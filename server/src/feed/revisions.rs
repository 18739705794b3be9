//! The newest revisions told in the last moments, so that a state that was read earlier is not told later.
//!
//! Whatever is told was read within seconds, so older revisions need not be remembered.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use tidegate_domain::id::TransferId;

/// Revisions are remembered for at least this time and at most twice as long.
const REMEMBERED: Duration = Duration::from_secs(10);

/// What was told of which transfer.
#[derive(Debug)]
pub struct Revisions {
    recent: HashMap<TransferId, i64>,
    earlier: HashMap<TransferId, i64>,
    turned: Instant,
}

impl Default for Revisions {
    fn default() -> Self {
        Self {
            recent: HashMap::new(),
            earlier: HashMap::new(),
            turned: Instant::now(),
        }
    }
}

impl Revisions {
    /// Whether no newer revision was told; if so, this one is remembered as told.
    pub fn admit(&mut self, uuid: TransferId, revision: i64) -> bool {
        let admitted = !self.knows_newer(uuid, revision);
        if admitted {
            self.recent.insert(uuid, revision);
        }
        admitted
    }

    /// Whether a newer revision was told.
    pub fn knows_newer(&mut self, uuid: TransferId, revision: i64) -> bool {
        if self.turned.elapsed() >= REMEMBERED {
            self.earlier = mem::take(&mut self.recent);
            self.turned = Instant::now();
        }
        self.told(uuid).is_some_and(|told| told > revision)
    }

    /// The newest revision that is remembered as told.
    pub fn told(&self, uuid: TransferId) -> Option<i64> {
        let told = self.recent.get(&uuid).or_else(|| self.earlier.get(&uuid));
        told.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_domain::fixtures::id;

    #[test]
    fn an_older_revision_is_not_admitted_for_a_while() {
        let mut revisions = Revisions::default();
        let (one, other) = (id(1), id(2));
        assert!(revisions.admit(one, 5) && revisions.admit(one, 5));
        assert!(!revisions.admit(one, 4) && revisions.admit(other, 4));
        let past = |revisions: &mut Revisions| {
            revisions.turned = revisions.turned.checked_sub(REMEMBERED).expect("a time");
        };
        past(&mut revisions);
        assert!(
            !revisions.admit(one, 4),
            "it is remembered at least once over"
        );
        past(&mut revisions);
        assert!(revisions.admit(one, 4));
        assert_eq!(revisions.earlier.len() + revisions.recent.len(), 1);
    }
}
