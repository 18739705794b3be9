//! What the keys of `tidegate top` do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Asked, Order, Pane, Top, Verb};

/// As long as the contract lets a reason be.
const LONGEST_TEXT: usize = 1_000;

impl Top {
    /// What is to be done after a key.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Option<Order> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control {
            return (key.code == KeyCode::Char('c')).then_some(Order::Quit);
        }
        if self.asked.is_some() {
            return self.type_key(key.code);
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Order::Quit),
            KeyCode::Tab | KeyCode::BackTab => self.is_in_waiting = !self.is_in_waiting,
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Char('a') => self.ask(Verb::Approve),
            KeyCode::Char('d') => self.ask(Verb::Deny),
            KeyCode::Char('c') => self.ask(Verb::Cancel),
            _ => {}
        }
        None
    }

    fn step(&mut self, by: isize) {
        let pane = self.pane();
        let uuids = self.uuids(pane);
        let Some(row) = self.chosen_row(pane) else {
            return;
        };
        let row = row.saturating_add_signed(by).min(uuids.len() - 1);
        if let Some(chosen) = self.chosen.get_mut(pane as usize) {
            *chosen = uuids.get(row).copied();
        }
    }

    fn ask(&mut self, verb: Verb) {
        let decides = matches!(verb, Verb::Approve | Verb::Deny);
        if decides && self.pane() == Pane::Active {
            self.say("choose one that waits for approval: Tab", true);
            return;
        }
        let Some(transfer) = self.chosen_transfer() else {
            self.say("there is none to choose", true);
            return;
        };
        let look = self.look();
        let id = look.id(transfer.uuid);
        let about = format!("{id} {}", look.name(&transfer.table_name));
        let (uuid, revision) = (transfer.uuid, transfer.revision);
        // It stays the chosen one, whatever comes before it.
        let pane = self.pane();
        if let Some(chosen) = self.chosen.get_mut(pane as usize) {
            *chosen = Some(uuid);
        }
        self.asked = Some(Asked {
            verb,
            uuid,
            revision,
            about,
            typed: String::new(),
        });
        self.say("", false);
    }

    fn type_key(&mut self, code: KeyCode) -> Option<Order> {
        let asked = self.asked.as_mut()?;
        match code {
            KeyCode::Esc => {
                self.asked = None;
                self.say("nothing was done", false);
            }
            KeyCode::Backspace => _ = asked.typed.pop(),
            KeyCode::Char(c) if asked.typed.len() < LONGEST_TEXT => asked.typed.push(c),
            KeyCode::Enter => {
                let text = asked.typed.trim().to_owned();
                // Nothing is called off without a word.
                if text.is_empty() && asked.verb != Verb::Approve {
                    return None;
                }
                let Asked {
                    verb,
                    uuid,
                    revision,
                    ..
                } = self.asked.take()?;
                return Some(Order::Do {
                    verb,
                    uuid,
                    revision,
                    text,
                });
            }
            _ => {}
        }
        None
    }
}
