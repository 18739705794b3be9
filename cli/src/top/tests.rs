use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::Color,
};
use tidegate_client::{Direction, Transfer, TransferHealth, TransferStatus};
use uuid::Uuid;

use super::*;

fn clock() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + number * 0x1111_1111)
}

fn transfer(number: u128, table: &str, status: TransferStatus) -> Transfer {
    let created = clock() - TimeDelta::minutes(5);
    let mut transfer = Transfer::example(id(number), Direction::Send, table, status, created);
    transfer.updated_at = clock();
    transfer
}

fn running(number: u128, table: &str, done: i64, of: i64) -> Transfer {
    let mut transfer = transfer(number, table, TransferStatus::InProgress);
    transfer.progress.records_transferred = done;
    transfer.records_requested = of;
    transfer
}

/// One of which the server knows how fast it is.
fn paced(number: u128, table: &str, done: i64, of: i64, rate: u32) -> Transfer {
    let mut transfer = running(number, table, done, of);
    transfer.records_per_second = Some(rate.into());
    let left = TimeDelta::seconds((of - done) / i64::from(rate));
    transfer.estimated_completion = Some(clock() + left);
    transfer.health = Some(TransferHealth::Healthy);
    transfer
}

fn waiting(number: u128, table: &str, minutes: i64) -> Transfer {
    let mut transfer = transfer(number, table, TransferStatus::PendingApproval);
    transfer.approval_expires_at = Some(clock() + TimeDelta::minutes(minutes));
    transfer.records_requested = 34_924;
    transfer.connection_uuid = Some(id(100));
    transfer.acted_by_uuid = Some(id(101));
    transfer.revision = 2;
    transfer
}

/// Three that run, one of them in silence, and two that wait.
fn busy() -> Top {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut top = Top::new("http://127.0.0.1:50051".to_owned());
    top.begin();
    top.tell(
        running(3, "warehouse.a_rather_long_table_name_of_orders", 7, 0),
        start,
    );
    top.tell(paced(1, "public.orders", 5_000, 34_924, 1_000), after(6));
    let mut slow = paced(2, "customers", 5_000_000, 90_000_000, 1_000_000);
    slow.health = Some(TransferHealth::Slow);
    top.tell(slow, after(6));
    top.tell(waiting(4, "invoices", 90), start);
    top.tell(waiting(5, "payroll.salaries", 4), start);
    top.name(id(100), "Warehouse North".to_owned());
    top.tick(after(8), clock());
    top
}

fn screen(top: &mut Top, columns: u16, lines: u16, has_colour: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).expect("a terminal");
    terminal
        .draw(|frame| draw(frame, top, has_colour))
        .expect("it is drawn");
    terminal.backend().clone()
}

fn press(top: &mut Top, code: KeyCode) -> Option<Order> {
    top.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn write(top: &mut Top, text: &str) {
    for c in text.chars() {
        assert_eq!(press(top, KeyCode::Char(c)), None);
    }
}

#[test]
fn both_lists_are_on_a_small_screen() {
    insta::assert_snapshot!(screen(&mut busy(), 80, 24, true));
}

#[test]
fn nothing_to_show_is_said() {
    let mut top = Top::new("http://127.0.0.1:50051".to_owned());
    top.interrupted(Some("connection refused".to_owned()));
    insta::assert_snapshot!(screen(&mut top, 80, 12, true));
}

#[test]
fn nothing_is_called_off_without_a_reason() {
    let mut top = busy();
    press(&mut top, KeyCode::Down);
    assert_eq!(press(&mut top, KeyCode::Char('c')), None);
    assert_eq!(press(&mut top, KeyCode::Enter), None);
    write(&mut top, "wrong tableq");
    press(&mut top, KeyCode::Backspace);
    insta::assert_snapshot!(screen(&mut top, 80, 24, true));
    let wanted = Order::Do {
        verb: Verb::Cancel,
        uuid: id(1),
        revision: 1,
        text: "wrong table".to_owned(),
    };
    assert_eq!(press(&mut top, KeyCode::Enter), Some(wanted));
    // And the keys are themselves again.
    assert_eq!(press(&mut top, KeyCode::Char('q')), Some(Order::Quit));
}

#[test]
fn what_was_looked_at_is_decided_about() {
    let mut top = busy();
    press(&mut top, KeyCode::Char('a'));
    assert!(top.said().1 && top.asked().is_none(), "it runs already");
    press(&mut top, KeyCode::Tab);
    press(&mut top, KeyCode::Char('a'));
    // The nearest deadline is first; another one that comes before it changes nothing.
    top.tell(waiting(6, "urgent", 1), Instant::now());
    let mut changed = waiting(5, "payroll.salaries", 4);
    changed.revision = 3;
    top.tell(changed, Instant::now());
    let wanted = Order::Do {
        verb: Verb::Approve,
        uuid: id(5),
        revision: 2,
        text: String::new(),
    };
    assert_eq!(press(&mut top, KeyCode::Enter), Some(wanted));
    press(&mut top, KeyCode::Char('d'));
    write(&mut top, "no");
    assert_eq!(press(&mut top, KeyCode::Esc), None);
    assert_eq!(top.said().0, "nothing was done");
}

#[test]
fn what_has_ended_or_gone_is_not_shown() {
    let mut top = busy();
    top.tell(
        transfer(1, "public.orders", TransferStatus::Completed),
        Instant::now(),
    );
    top.tell(
        transfer(4, "invoices", TransferStatus::Approved),
        Instant::now(),
    );
    top.forget(id(2));
    assert_eq!(top.uuids(Pane::Active), [id(3)]);
    assert_eq!(top.uuids(Pane::Waiting), [id(5)]);
    top.restart();
    assert!(top.uuids(Pane::Active).is_empty() && top.uuids(Pane::Waiting).is_empty());
}

#[test]
fn names_are_wanted_until_they_are_known() {
    let mut top = busy();
    assert!(top.lacks_names(), "nobody has said who asks");
    top.name(id(101), "robot".to_owned());
    assert!(!top.lacks_names());
}

#[test]
fn colours_are_there_unless_they_are_not_wanted() {
    let colours = |has_colour| {
        let screen = screen(&mut busy(), 80, 24, has_colour);
        let cells = screen.buffer().content().iter();
        cells.filter(|cell| cell.fg != Color::Reset).count()
    };
    assert!(colours(true) > 0);
    assert_eq!(colours(false), 0);
}

#[test]
fn it_fits_any_terminal() {
    let mut top = busy();
    for number in 10..60 {
        top.tell(running(number, "more", 1, 2), Instant::now());
    }
    for (columns, lines) in [(1, 1), (10, 5), (20, 10), (40, 11), (200, 60)] {
        screen(&mut top, columns, lines, true);
    }
    for _ in 0..52 {
        press(&mut top, KeyCode::Down);
    }
    let chosen = top.chosen_transfer().expect("there are some").uuid;
    assert_eq!(chosen, id(59));
    let shown = screen(&mut top, 80, 24, true).to_string();
    let whole = chosen.simple().to_string();
    assert!(shown.contains(&whole[24..]), "{shown}");
}

#[test]
fn the_chosen_row_is_always_seen() {
    for (rows, chosen, room, first) in [
        (3, Some(2), 5, 0),
        (10, Some(0), 5, 0),
        (10, Some(4), 5, 0),
        (10, Some(5), 5, 1),
        (10, Some(9), 5, 5),
        (10, None, 5, 0),
        (0, None, 5, 0),
    ] {
        assert_eq!(
            draw::first_row(rows, chosen, room),
            first,
            "{chosen:?} of {rows}"
        );
    }
}
