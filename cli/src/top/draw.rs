//! What `tidegate top` shows: two lists, and a line for what is asked or was done.

use anstyle::AnsiColor;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{Asked, Pane, Top};
use crate::output::{Grid, colour};
use crate::text;

/// Title, frame and at least a line of the lists, and two lines at the end.
const LEAST_LINES: u16 = 10;

const KEYS: &str = "↑↓ move  Tab other list  a approve  d deny  c cancel  q quit";

/// Draws all of it.
pub(crate) fn draw(frame: &mut Frame<'_>, top: &mut Top, has_colour: bool) {
    let area = frame.area();
    if area.height < LEAST_LINES {
        frame.render_widget("the terminal is too low", area);
        return;
    }
    // The waiting ones get what they need, up to a half.
    let lists = area.height - 3;
    let waiting = u16::try_from(top.waiting().len()).unwrap_or(u16::MAX);
    let waiting = waiting.max(1).saturating_add(2).min(lists / 2);
    let [head, active, below, line, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(waiting),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(header(top, usize::from(head.width)), head);
    for (pane, area) in [(Pane::Active, active), (Pane::Waiting, below)] {
        list(frame, top, pane, area, has_colour);
    }
    frame.render_widget(asked(top, usize::from(line.width), has_colour), line);
    let help = Line::from(text::cut_end(KEYS, keys.width.into()));
    frame.render_widget(help.style(Modifier::DIM), keys);
}

fn header(top: &Top, width: usize) -> Line<'static> {
    let mut words = format!("tidegate top  {}", text::escape(top.address()));
    if let Some(why) = top.interruption() {
        words = format!("{words}  reconnecting: {}", text::escape(why));
    } else if !top.has_begun() {
        words.push_str("  …");
    }
    Line::from(text::cut_end(&words, width)).style(Modifier::BOLD)
}

fn list(frame: &mut Frame<'_>, top: &mut Top, pane: Pane, area: Rect, has_colour: bool) {
    let is_chosen = top.pane() == pane;
    let width = usize::from(area.width);
    let (name, none, grid) = match pane {
        Pane::Active => ("Active", "no transfer is active", top.active_grid(width)),
        Pane::Waiting => (
            "Waiting for approval",
            "no transfer waits for a decision",
            top.waiting_grid(width),
        ),
    };
    let title = format!(" {name} ({}) ", grid.rows.len());
    let mut style = Style::new();
    if is_chosen {
        style = style.add_modifier(Modifier::BOLD);
    }
    let block = Block::new()
        .borders(Borders::TOP)
        .title(Span::styled(title, style));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let chosen = top.chosen_row(pane).filter(|_| is_chosen);
    let room = usize::from(inside.height).saturating_sub(1);
    let lines = if grid.rows.is_empty() {
        vec![Line::from(none).style(Modifier::DIM)]
    } else {
        lines(&grid, chosen, room, width, has_colour)
    };
    frame.render_widget(Paragraph::new(lines), inside);
}

/// The titles, and as many rows as there is room for, so that the chosen one is among them.
fn lines(
    grid: &Grid,
    chosen: Option<usize>,
    room: usize,
    width: usize,
    has_colour: bool,
) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(grid.titles()).style(Modifier::DIM)];
    let first = first_row(grid.rows.len(), chosen, room);
    for (index, row) in grid.rows.iter().enumerate().skip(first).take(room) {
        let mut line = Line::default();
        for (place, cell) in row.iter().enumerate() {
            if place > 0 {
                line.push_span("  ");
            }
            let style = if cell.is_status && has_colour {
                colour_of(cell.text.trim())
            } else {
                Style::new()
            };
            line.push_span(Span::styled(cell.text.clone(), style));
        }
        if chosen == Some(index) {
            // To the edge, so that it is seen as one.
            line.push_span(" ".repeat(width.saturating_sub(line.width())));
            line = line.style(Modifier::REVERSED);
        }
        lines.push(line);
    }
    lines
}

/// The first row that is shown.
pub(super) fn first_row(rows: usize, chosen: Option<usize>, room: usize) -> usize {
    let last_start = rows.saturating_sub(room);
    let chosen = chosen.unwrap_or(0);
    (chosen + 1).saturating_sub(room).min(last_start)
}

fn asked(top: &Top, width: usize, has_colour: bool) -> Line<'static> {
    match top.asked() {
        Some(Asked {
            verb, about, typed, ..
        }) => {
            let question = format!("{} {about}, {}: ", verb.word(), verb.wants());
            // What is typed is seen at its end.
            let room = width.saturating_sub(text::width(&question) + 1).max(8);
            let typed: String = text::escape(typed);
            let skipped = text::width(&typed).saturating_sub(room);
            let shown: String = typed.chars().skip(skipped).collect();
            Line::from(vec![
                Span::styled(question, Modifier::BOLD),
                Span::raw(shown),
                Span::styled(" ", Modifier::REVERSED),
            ])
        }
        None => {
            let (said, failed) = top.said();
            let style = if failed && has_colour {
                Style::new().fg(Color::Red)
            } else {
                Style::new()
            };
            Line::from(text::cut_end(&text::escape(said), width)).style(style)
        }
    }
}

/// The colour of a status, in the words of what draws here.
fn colour_of(status: &str) -> Style {
    match colour(status).get_fg_color() {
        Some(anstyle::Color::Ansi(AnsiColor::Green)) => Style::new().fg(Color::Green),
        Some(anstyle::Color::Ansi(AnsiColor::Cyan)) => Style::new().fg(Color::Cyan),
        Some(anstyle::Color::Ansi(AnsiColor::Yellow)) => Style::new().fg(Color::Yellow),
        Some(anstyle::Color::Ansi(AnsiColor::Red)) => Style::new().fg(Color::Red),
        _ => Style::new(),
    }
}
