//! Refusals that are too many for the log: they are counted, and told with the caller's next one. Where none comes for a
//! minute, the last of them is noted after all, and tells the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_domain::{
    command::{Note, Submission},
    id::CredentialId,
};

/// How long the last of them waits for another one.
const QUIET: Duration = Duration::from_secs(60);

/// By caller, those since the last that was noted. There are no more callers than credentials.
#[derive(Default)]
pub(super) struct DroppedRefusals(Mutex<HashMap<CredentialId, Left>>);

struct Left {
    count: i64,
    last: Submission<Note>,
}

impl DroppedRefusals {
    /// Notes one with the number of those that were left out before; `note` says whether there was room.
    pub(super) fn tell(
        &self,
        caller: CredentialId,
        mut refusal: Submission<Note>,
        note: impl FnOnce(Submission<Note>) -> bool,
    ) -> bool {
        let mut left = self.left();
        let count = left.get(&caller).map_or(0, |left| left.count);
        set_dropped(&mut refusal, count);
        let told = note(refusal);
        if told {
            left.remove(&caller);
        }
        told
    }

    /// Leaves one out for now.
    pub(super) fn keep(
        self: &Arc<Self>,
        caller: CredentialId,
        refusal: Submission<Note>,
        note: impl Fn(Submission<Note>) -> bool + Send + 'static,
    ) {
        let mut left = self.left();
        if let Some(left) = left.get_mut(&caller) {
            left.count += 1;
            left.last = refusal;
            return;
        }
        let first = Left {
            count: 1,
            last: refusal,
        };
        left.insert(caller, first);
        let dropped = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut told = false;
            while !told {
                tokio::time::sleep(QUIET).await;
                let Some(dropped) = dropped.upgrade() else {
                    return;
                };
                told = dropped.tell_last(caller, &note);
            }
        });
    }

    /// Notes the last one with the number of the others, unless they were told meanwhile.
    fn tell_last(&self, caller: CredentialId, note: impl FnOnce(Submission<Note>) -> bool) -> bool {
        let mut left = self.left();
        let Some(Left { count, last }) = left.get(&caller) else {
            return true;
        };
        let mut last = last.clone();
        set_dropped(&mut last, count - 1);
        let told = note(last);
        if told {
            left.remove(&caller);
        }
        told
    }

    fn left(&self) -> MutexGuard<'_, HashMap<CredentialId, Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set_dropped(refusal: &mut Submission<Note>, count: i64) {
    if let Note::Refusal { dropped, .. } = &mut refusal.command {
        *dropped = count;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use tidegate_domain::{
        caller::Role,
        fixtures::{caller, id},
    };

    fn refusal(method: &str) -> Submission<Note> {
        Submission {
            command: Note::Refusal {
                reason: "PERMISSION_DENIED",
                method: method.to_owned(),
                target: Box::default(),
                dropped: 0,
            },
            caller: caller(Role::Viewer, None),
            request: None,
        }
    }

    /// The call of a note, and how many it says were left out.
    fn said(note: Submission<Note>) -> (String, i64) {
        match note.command {
            Note::Refusal {
                method, dropped, ..
            } => (method, dropped),
            Note::Use { .. } => panic!("no refusal: {note:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_were_left_out_are_told_with_the_next_one() {
        let dropped = Arc::<DroppedRefusals>::default();
        let (sender, noted) = mpsc::channel();
        let note = move |note| sender.send(said(note)).is_ok();
        let one = id(1);
        for _ in 0..3 {
            dropped.keep(one, refusal("a"), note.clone());
        }
        assert!(!dropped.tell(one, refusal("b"), |_| false), "no room");
        assert!(dropped.tell(id(2), refusal("c"), &note), "of somebody else");
        assert!(dropped.tell(one, refusal("d"), &note));
        assert!(dropped.tell(one, refusal("e"), &note));
        tokio::time::sleep(QUIET * 3).await;
        let told: Vec<_> = noted.try_iter().collect();
        let wanted = [("c", 0), ("d", 3), ("e", 0)];
        assert_eq!(told, wanted.map(|(call, count)| (call.to_owned(), count)));
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_comes_the_last_one_tells_the_others() {
        let dropped = Arc::<DroppedRefusals>::default();
        let (sender, noted) = mpsc::channel();
        let tries = Mutex::new(0);
        // There is no room at first.
        let note = move |note| {
            let mut tries = tries.lock().expect("a count");
            *tries += 1;
            *tries > 1 && sender.send(said(note)).is_ok()
        };
        dropped.keep(id(1), refusal("a"), note);
        dropped.keep(id(1), refusal("b"), |_| false);
        tokio::time::sleep(QUIET + QUIET / 2).await;
        assert_eq!(noted.try_recv().ok(), None);
        tokio::time::sleep(QUIET).await;
        assert_eq!(noted.try_recv().ok(), Some(("b".to_owned(), 1)));
        assert!(dropped.left().is_empty());
    }
}
