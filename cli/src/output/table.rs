//! Tables that fit: on a terminal columns give way, and long names are cut in the middle. Elsewhere nothing is lost.

use anstyle::Style;

use super::look::{Look, colour, painted};
use crate::text::{cut, escape, width};

/// What stands between two columns.
const GAP: &str = "  ";
/// A long name is not cut to less, as long as other columns can go instead.
const READABLE: usize = 12;
/// Nothing is cut to less.
const SHORTEST: usize = 6;

/// When a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Always,
    /// Unless the terminal is too narrow for it; those with a higher number go first.
    IfRoom(u8),
    /// When it is asked for.
    Wide,
}

/// A column of a table of `T`: its title and how its cells are made.
pub(crate) struct Column<T> {
    title: &'static str,
    cell: fn(&T, &Look) -> String,
    is_number: bool,
    is_status: bool,
    /// A long name is cut to no less; none where nothing is cut.
    least: Option<usize>,
    shown: Shown,
}

impl<T> Column<T> {
    /// A column of words.
    pub(crate) const fn text(title: &'static str, cell: fn(&T, &Look) -> String) -> Self {
        Self {
            title,
            cell,
            is_number: false,
            is_status: false,
            least: None,
            shown: Shown::Always,
        }
    }

    /// A column of numbers.
    pub(crate) const fn number(title: &'static str, cell: fn(&T, &Look) -> String) -> Self {
        let mut column = Self::text(title, cell);
        column.is_number = true;
        column
    }

    /// A column of statuses, in their colours.
    pub(crate) const fn status(title: &'static str, cell: fn(&T, &Look) -> String) -> Self {
        let mut column = Self::text(title, cell);
        column.is_status = true;
        column
    }

    /// A column of names that may be cut.
    pub(crate) const fn name(title: &'static str, cell: fn(&T, &Look) -> String) -> Self {
        let mut column = Self::text(title, cell);
        column.least = Some(READABLE);
        column
    }

    /// Of a name that may be cut to less than others.
    pub(crate) const fn least(mut self, width: usize) -> Self {
        self.least = Some(width);
        self
    }

    /// Left out of a terminal that is too narrow, before those with a lower number.
    pub(crate) const fn if_room(mut self, number: u8) -> Self {
        self.shown = Shown::IfRoom(number);
        self
    }

    /// Shown when everything is asked for.
    pub(crate) const fn wide(mut self) -> Self {
        self.shown = Shown::Wide;
        self
    }
}

/// A table whose columns have their widths: cells are cut and padded.
pub(crate) struct Grid {
    titles: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What stands in a row and a column.
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) is_status: bool,
}

impl Grid {
    /// The line of titles.
    pub(crate) fn titles(&self) -> String {
        self.titles.join(GAP)
    }
}

/// The things in lines of their own, below the titles; within `limit` columns of a terminal where there is one.
pub(super) fn table<T>(
    things: &[T],
    columns: &[Column<T>],
    wide: bool,
    limit: Option<usize>,
    look: Look,
) -> String {
    let grid = grid(things, columns, wide, limit, look);
    let mut text = format!("{}\n", grid.titles().trim_end());
    for row in grid.rows {
        let cells = row.iter().map(|cell| {
            let style = if cell.is_status {
                colour(cell.text.trim_end())
            } else {
                Style::new()
            };
            let bare = cell.text.trim();
            cell.text.replacen(bare, &painted(bare, style), 1)
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The things in columns that fit a terminal.
pub(crate) fn lay_out<T>(
    things: &[T],
    columns: &[Column<T>],
    limit: Option<usize>,
    look: Look,
) -> Grid {
    grid(things, columns, false, limit, look)
}

fn grid<T>(
    things: &[T],
    columns: &[Column<T>],
    wide: bool,
    limit: Option<usize>,
    mut look: Look,
) -> Grid {
    let columns: Vec<&Column<T>> = columns
        .iter()
        .filter(|column| wide || column.shown != Shown::Wide)
        .collect();
    let cells = |look: &Look| -> Vec<Vec<String>> {
        let cell = |column: &&Column<T>, thing| escape(&(column.cell)(thing, look));
        let row = |thing| columns.iter().map(|column| cell(column, thing)).collect();
        things.iter().map(row).collect()
    };
    let mut rows = cells(&look);
    while look.widened() {
        rows = cells(&look);
    }
    let wish = |(index, column): (usize, &&Column<T>)| {
        Wish::of(column, rows.iter().filter_map(|row| row.get(index)))
    };
    let wishes: Vec<Wish> = columns.iter().enumerate().map(wish).collect();
    let widths = match limit {
        Some(limit) => fit(&wishes, limit),
        None => wishes.iter().map(|wish| Some(wish.width)).collect(),
    };
    let titles = columns.iter().map(|column| column.title.to_owned());
    Grid {
        titles: padded(&columns, &widths, titles)
            .map(|cell| cell.text)
            .collect(),
        rows: rows
            .into_iter()
            .map(|row| padded(&columns, &widths, row.into_iter()).collect())
            .collect(),
    }
}

/// The cells of a row that are shown, each as wide as its column.
fn padded<T>(
    columns: &[&Column<T>],
    widths: &[Option<usize>],
    row: impl Iterator<Item = String>,
) -> impl Iterator<Item = Cell> {
    let all = columns.iter().zip(widths).zip(row);
    all.filter_map(|((column, shown), cell)| {
        let room = (*shown)?;
        let cell = cut(&cell, room);
        let blank = " ".repeat(room.saturating_sub(width(&cell)));
        let text = if column.is_number {
            blank + &cell
        } else {
            cell + &blank
        };
        Some(Cell {
            text,
            is_status: column.is_status,
        })
    })
}

/// How many columns of a terminal a line takes, whatever its colours.
pub(super) fn width_of(line: &str) -> usize {
    width(&anstream::adapter::strip_str(line).to_string())
}

/// How much room a column takes.
#[derive(Clone, Copy, Debug)]
struct Wish {
    width: usize,
    least: usize,
    is_blank: bool,
    shown: Shown,
}

impl Wish {
    fn of<'a, T>(column: &Column<T>, cells: impl Iterator<Item = &'a String>) -> Self {
        let title = width(column.title);
        let longest = cells.map(|cell| width(cell)).max().unwrap_or(0);
        let width = longest.max(title);
        Self {
            width,
            least: match column.least {
                Some(least) => width.min(least.max(title)),
                None => width,
            },
            is_blank: longest == 0,
            shown: column.shown,
        }
    }
}

/// The widths at which the columns fit into `limit`, and none for those that are left out.
fn fit(wishes: &[Wish], limit: usize) -> Vec<Option<usize>> {
    let mut kept: Vec<Option<Wish>> = wishes.iter().copied().map(Some).collect();
    // Nobody misses a column without a value.
    for wish in &mut kept {
        wish.take_if(|wish| wish.is_blank);
    }
    while total(&kept, |wish| wish.least) > limit
        && let Some(column) = least_wanted(&mut kept)
    {
        *column = None;
    }
    // A terminal so narrow that even what is left does not fit: everything is cut.
    if total(&kept, |wish| wish.least) > limit {
        for wish in kept.iter_mut().flatten() {
            wish.least = wish.least.min(SHORTEST);
        }
    }
    while total(&kept, |wish| wish.width) > limit
        && let Some(widest) = widest(&mut kept)
    {
        widest.width -= 1;
    }
    kept.iter()
        .map(|wish| wish.map(|wish| wish.width))
        .collect()
}

fn total(kept: &[Option<Wish>], of: impl Fn(&Wish) -> usize) -> usize {
    let widths = kept.iter().flatten().map(|wish| of(wish) + GAP.len());
    widths.sum::<usize>().saturating_sub(GAP.len())
}

fn least_wanted(kept: &mut [Option<Wish>]) -> Option<&mut Option<Wish>> {
    let number = |wish: &Option<Wish>| match wish.map(|wish| wish.shown) {
        Some(Shown::IfRoom(number)) => Some(number),
        _ => None,
    };
    let candidates = kept.iter_mut().filter(|wish| number(wish).is_some());
    candidates.max_by_key(|wish| number(wish))
}

fn widest(kept: &mut [Option<Wish>]) -> Option<&mut Wish> {
    let can_give = kept
        .iter_mut()
        .flatten()
        .filter(|wish| wish.width > wish.least);
    can_give.max_by_key(|wish| wish.width)
}

/// Named values under each other; where the line of a terminal is too short for one, it goes on below itself.
pub(super) fn details(values: &[(&'static str, String)], limit: Option<usize>) -> String {
    let names = values
        .iter()
        .map(|(name, _)| width(name))
        .max()
        .unwrap_or(0)
        + GAP.len();
    let room = limit.map(|limit| limit.saturating_sub(names).max(SHORTEST));
    let mut text = String::new();
    for (name, value) in values {
        let value = escape(value);
        let style = match *name {
            "status" | "revoked" => colour(if *name == "status" { &value } else { name }),
            _ => Style::new(),
        };
        let mut name = *name;
        for line in lines(&value, room) {
            let blank = " ".repeat(names.saturating_sub(width(name)));
            let line = format!("{name}{blank}{}", painted(&line, style));
            text.push_str(line.trim_end());
            text.push('\n');
            name = "";
        }
    }
    text
}

/// A text in lines of at most `room` columns.
fn lines(text: &str, room: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for c in text.chars() {
        let mut encoded = [0; 4];
        let next = width(c.encode_utf8(&mut encoded));
        let last = lines.last().map_or(0, |line| width(line));
        if room.is_some_and(|room| last + next > room) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column<(&str, &str)>] = &[
        Column::name("NAME", |thing: &(&str, &str), _| thing.0.to_owned()),
        Column::status("STATUS", |thing, _| thing.1.to_owned()),
        Column::number("LENGTH", |thing: &(&str, &str), _| {
            thing.0.len().to_string()
        })
        .if_room(1),
        Column::text("MORE", |_: &(&str, &str), _| "more".to_owned()).if_room(2),
        Column::text("ALL", |_: &(&str, &str), _| "all".to_owned()).wide(),
    ];
    const THINGS: &[(&str, &str)] = &[
        ("warehouse.a_rather_long_name_2026", "pending_approval"),
        ("表表", "failed"),
    ];

    fn drawn(limit: Option<usize>, wide: bool) -> String {
        let text = table(THINGS, COLUMNS, wide, limit, Look::new(limit.is_some()));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_table_without_limits_shows_everything_in_full() {
        assert_eq!(
            drawn(None, true),
            "\
NAME                               STATUS            LENGTH  MORE  ALL
warehouse.a_rather_long_name_2026  pending_approval      33  more  all
表表                               failed                 6  more  all
"
        );
        assert!(!drawn(None, false).contains("ALL"));
    }

    #[test]
    fn columns_give_way_before_names_are_unreadable() {
        assert_eq!(
            drawn(Some(47), false),
            "\
NAME             STATUS            LENGTH  MORE
warehou…me_2026  pending_approval      33  more
表表             failed                 6  more
"
        );
        assert_eq!(
            drawn(Some(36), false),
            "\
NAME                STATUS
warehouse…ame_2026  pending_approval
表表                failed
"
        );
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        for limit in 14..90 {
            for line in drawn(Some(limit), false).lines() {
                assert!(width(line) <= limit, "{limit}: {line}");
            }
        }
    }

    #[test]
    fn a_terminal_shows_no_column_without_a_value() {
        let text = table(&[("", "failed")], COLUMNS, false, Some(80), Look::new(true));
        assert!(text.starts_with("STATUS  LENGTH  MORE\n"), "{text}");
    }

    #[test]
    fn long_values_go_on_below_themselves() {
        let values = [
            ("name", "abcdefgh".to_owned()),
            ("status", "failed".to_owned()),
        ];
        let text = details(&values, Some(14));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "name    abcdef\n        gh\nstatus  failed\n"
        );
        assert!(text.contains("\u{1b}[31mfailed"), "{text:?}");
    }
}
