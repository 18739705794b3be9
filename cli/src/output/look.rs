//! How single values are shown: in full for programs and pipes, short and in local time for a person at a terminal.

use std::{cell::RefCell, collections::BTreeSet};

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use uuid::Uuid;

use crate::text;

/// So many digits of an id are shown at least. They are its last ones: the first are the time, and alike.
const SHORTEST: usize = 8;
/// So many columns of a name are shown in a line with other things.
const NAME: usize = 24;
/// All digits of an id.
const WHOLE: usize = 32;

/// What the reader sees best.
pub(crate) struct Look {
    /// The present time, against which ages are told.
    pub(crate) now: DateTime<Utc>,
    /// For a person at a terminal who did not ask for more.
    short: bool,
    /// So many digits tell the ids apart.
    digits: usize,
    /// The ids that were shown.
    ids: RefCell<BTreeSet<Uuid>>,
}

impl Look {
    /// For a person at a terminal, or for anything else.
    pub(crate) fn new(short: bool) -> Self {
        Self::at(short, text::now())
    }

    /// The same at another time.
    pub(crate) fn at(short: bool, now: DateTime<Utc>) -> Self {
        Self {
            now,
            short,
            digits: SHORTEST,
            ids: RefCell::default(),
        }
    }

    /// Whether the reader is at a terminal and did not ask for more.
    pub(crate) fn is_short(&self) -> bool {
        self.short
    }

    /// An id, or as many of its last digits as tell it from the others.
    pub(crate) fn id(&self, uuid: Uuid) -> String {
        if !self.short {
            return uuid.to_string();
        }
        self.ids.borrow_mut().insert(uuid);
        last(uuid, self.digits)
    }

    /// Takes more digits where those shown so far do not tell the ids apart; whether that was so.
    pub(crate) fn widened(&mut self) -> bool {
        let ids = self.ids.borrow();
        let apart = |digits: &usize| {
            let shown: BTreeSet<_> = ids.iter().map(|id| last(*id, *digits)).collect();
            shown.len() == ids.len()
        };
        let wanted = (self.digits..WHOLE).find(apart).unwrap_or(WHOLE);
        drop(ids);
        let widened = wanted > self.digits;
        self.digits = wanted;
        widened
    }

    /// A name in a line with other things.
    pub(crate) fn name(&self, name: &str) -> String {
        if self.short {
            text::cut(&text::escape(name), NAME)
        } else {
            name.to_owned()
        }
    }

    /// How long ago something was.
    pub(crate) fn age(&self, then: DateTime<Utc>) -> String {
        text::age(then, self.now)
    }

    /// A point in time, exactly and as an age.
    pub(crate) fn moment(&self, then: DateTime<Utc>) -> String {
        let exact = self.time(then);
        if then > self.now {
            exact
        } else {
            format!("{exact} ({})", text::age(then, self.now))
        }
    }

    /// A point in time to the second: where a person looks, as their clock shows it.
    pub(crate) fn time(&self, then: DateTime<Utc>) -> String {
        if self.short {
            let local = then.with_timezone(&Local);
            local.format("%Y-%m-%d %H:%M:%S %:z").to_string()
        } else {
            then.to_rfc3339_opts(SecondsFormat::Secs, true)
        }
    }

    /// The same for a line of a log: a person needs the day only when it is another one.
    pub(crate) fn clock(&self, then: DateTime<Utc>) -> String {
        if !self.short {
            return then.to_rfc3339_opts(SecondsFormat::Millis, true);
        }
        let (then, now) = (then.with_timezone(&Local), self.now.with_timezone(&Local));
        let form = if then.date_naive() == now.date_naive() {
            "%H:%M:%S"
        } else {
            "%m-%d %H:%M:%S"
        };
        then.format(form).to_string()
    }
}

fn last(uuid: Uuid, digits: usize) -> String {
    let whole = uuid.simple().to_string();
    whole
        .get(WHOLE.saturating_sub(digits)..)
        .unwrap_or_default()
        .to_owned()
}

/// The colour of a status: it says whether somebody has to do something.
pub(crate) fn colour(status: &str) -> Style {
    // Of a change of status, the one after.
    let colour = match status.rsplit(' ').next().unwrap_or_default() {
        "completed" | "approved" | "active" | "alive" | "healthy" => AnsiColor::Green,
        "in_progress" => AnsiColor::Cyan,
        "pending_approval" | "suspended" | "cancelled" | "expired" | "cancelling" | "pausing"
        | "paused" | "slow" => AnsiColor::Yellow,
        "failed" | "denied" | "revoked" | "refused" | "overdue" | "no_progress" | "silent" => {
            AnsiColor::Red
        }
        _ => return Style::new(),
    };
    colour.on_default()
}

/// Text in a style; where there are no colours it comes out as it is.
pub(crate) fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_short_as_tells_them_apart() {
        let id = |text: &str| text.parse::<Uuid>().unwrap();
        let one = id("01a21351-4946-7033-8908-041dd227f4fb");
        let mut look = Look::new(true);
        assert_eq!(look.id(one), "d227f4fb");
        assert!(!look.widened());
        look.id(id("01a21351-4946-7033-8908-051dd227f4fb"));
        assert!(look.widened());
        assert_eq!(look.id(one), "41dd227f4fb");
        assert!(!look.widened());
        assert_eq!(Look::new(false).id(one), one.to_string());
    }

    #[test]
    fn programs_get_utc() {
        let look = Look::new(false);
        let then = DateTime::from_timestamp(1_000_000_000, 5_000_000).unwrap();
        assert_eq!(look.time(then), "2001-09-09T01:46:40Z");
        assert_eq!(look.clock(then), "2001-09-09T01:46:40.005Z");
        assert!(look.moment(then).starts_with("2001-09-09T01:46:40Z ("));
    }

    #[test]
    fn a_change_has_the_colour_of_what_it_led_to() {
        assert_eq!(colour("in_progress -> failed"), colour("denied"));
        assert_ne!(colour("failed"), colour("completed"));
        assert_eq!(colour("pending"), Style::new());
    }
}
