//! Programs as a person runs them: on a terminal.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::process::Command;

use super::{Finished, LONG};
use crate::soon;

/// Runs a program to its end on a terminal of so many columns, with `typed` waiting to be read. What it shows, on stdout
/// and stderr, is its `stdout`, with line breaks as they are in files.
///
/// # Panics
/// When there is no terminal to be had, or the program does not start or end.
pub async fn on_terminal(command: Command, columns: u16, typed: &str) -> Finished {
    play(command, columns, &[("", typed)]).await
}

/// The same with a person who reads: each text is typed when the word before it is shown, counted from the last one.
///
/// # Panics
/// As [`on_terminal`], and when a word is not shown in time.
pub async fn play(mut command: Command, columns: u16, steps: &[(&str, &str)]) -> Finished {
    let (master, terminal) = pair(columns).expect("there are pseudo-terminals");
    let end = || Stdio::from(terminal.try_clone().expect("it can be had twice"));
    command
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(end())
        .stdout(end())
        .stderr(end());
    let mut child = command.spawn().expect("the program starts");
    // What is shown ends when nobody holds the terminal any more.
    drop((command, terminal));
    let mut keyboard = master.try_clone().expect("it can be had twice");
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let screen = Arc::clone(&seen);
    let shown = tokio::task::spawn_blocking(move || shown(master, &screen));
    let mut read = 0;
    for (word, typed) in steps {
        read = soon(word, sees(&seen, read, word)).await;
        keyboard
            .write_all(typed.as_bytes())
            .expect("it can be typed");
    }
    let status = tokio::time::timeout(LONG, child.wait()).await;
    let status = status.expect("the program ends in time");
    Finished {
        code: status.expect("it is waited for").code(),
        stdout: shown.await.expect("it does not panic"),
        stderr: String::new(),
    }
}

fn pair(columns: u16) -> io::Result<(File, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let name = PathBuf::from(name.to_string_lossy().into_owned());
    let terminal = OpenOptions::new().read(true).write(true).open(name)?;
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size)?;
    Ok((master.into(), terminal.into()))
}

/// Waits for a word behind what was read before, and returns where it ends.
async fn sees(seen: &Mutex<Vec<u8>>, read: usize, word: &str) -> usize {
    loop {
        let text = seen.lock().expect("no reader panics").clone();
        let new = text.get(read..).unwrap_or_default();
        let mut places = new.windows(word.len().max(1));
        if word.is_empty() {
            return read;
        }
        if let Some(place) = places.position(|part| part == word.as_bytes()) {
            return read + place + word.len();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn shown(mut master: File, seen: &Mutex<Vec<u8>>) -> String {
    let mut part = [0; 4096];
    // The end of a terminal is an error.
    while let Ok(length @ 1..) = master.read(&mut part) {
        let part = part.get(..length).unwrap_or_default();
        seen.lock().expect("no test panics").extend_from_slice(part);
    }
    String::from_utf8_lossy(&seen.lock().expect("no test panics")).replace("\r\n", "\n")
}
