//! Processes of their own: servers to be killed, and other programs that are run to their end.

use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use clap::{Arg, CommandFactory as _};
use tidegate_server::config::Arguments;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::soon;

mod programs;
mod server;
mod terminal;

pub use programs::{PREPARED, binary, folder};
pub use server::{Launch, ServerProcess, address};
pub use terminal::{on_terminal, play};

/// Longest run of a program that does real work.
const LONG: Duration = Duration::from_secs(90);

/// Variables that programs of ours read, beside the server's settings; a test must not depend on what its caller has set.
const VARIABLES: &[&str] = &[
    "TIDEGATE_PROFILE",
    "TIDEGATE_ADDRESS",
    "TIDEGATE_TOKEN",
    "TIDEGATE_TOKEN_FILE",
    "TIDEGATE_CA",
    "TIDEGATE_CERT",
    "TIDEGATE_KEY",
    "TIDEGATE_OUTPUT",
    "NOTIFY_SOCKET",
    "RUST_LOG",
];

/// Those of the server.
static SETTINGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let command = Arguments::command();
    let names = command.get_arguments().filter_map(Arg::get_env);
    names.map(|it| it.to_string_lossy().into_owned()).collect()
});

/// A command that reads nothing, keeps what it writes, ends with its handle and knows no setting and no profile of ours.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .env("XDG_CONFIG_HOME", "/nonexistent");
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    for variable in &*SETTINGS {
        command.env_remove(variable);
    }
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(variable);
        }
    }
    command
}

/// What a program left when it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// Runs a program to its end, but not for ever.
///
/// # Panics
/// When it does not start or does not end.
pub async fn run(command: &mut Command) -> Finished {
    let child = command.spawn().expect("the program starts");
    finish(child).await
}

/// Waits for the end of a program that was started with [`command`].
///
/// # Panics
/// When it does not end.
pub async fn finish(child: Child) -> Finished {
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await;
    let output = output
        .expect("the program ends in time")
        .expect("it can be read");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal such as `TERM` to a program that was started here.
///
/// # Panics
/// When it has ended already.
pub async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status()
        .await;
    assert!(sent.expect("kill runs").success(), "kill -{name} {pid}");
}

/// What a program says, line by line, while it runs.
#[derive(Debug)]
pub struct Said {
    words: Arc<Mutex<String>>,
    reading: watch::Sender<Reading>,
    reader: JoinHandle<()>,
}

/// Whether anybody reads what a program says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Line by line.
    On,
    /// Nobody, and the pipe stays open: soon it is full.
    Stuck,
    /// Nobody, and the pipe is closed.
    Gone,
}

impl Said {
    /// Reads on, or no more. Who is gone does not come back.
    pub fn set_reading(&self, reading: Reading) {
        self.reading.send_replace(reading);
    }

    /// What it said so far.
    pub fn so_far(&self) -> String {
        self.words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All that it said, once it has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn whole(mut self) -> String {
        soon("the program's last word", &mut self.reader)
            .await
            .expect("lines are read to their end");
        self.so_far()
    }
}

/// Reads lines until one of them `means` something, and keeps reading afterwards, so that the writer never waits.
///
/// # Panics
/// When the program ends before, or says no such thing for a long time.
pub async fn heard<T: Send + 'static>(
    what: &str,
    from: impl AsyncRead + Unpin + Send + 'static,
    means: impl Fn(&str) -> Option<T> + Send + 'static,
) -> (T, Said) {
    match soon(what, listen(from, means)).await {
        Ok(heard) => heard,
        Err(said) => panic!("the program ended without {what}:\n{said}"),
    }
}

/// As [`heard`]; what it said instead, when it ends before.
async fn listen<T: Send + 'static>(
    from: impl AsyncRead + Unpin + Send + 'static,
    means: impl Fn(&str) -> Option<T> + Send + 'static,
) -> Result<(T, Said), String> {
    let words = Arc::<Mutex<String>>::default();
    let (tell, told) = oneshot::channel();
    let (reading, how) = watch::channel(Reading::On);
    let reader = tokio::spawn(read(from, Arc::clone(&words), how, means, tell));
    let said = Said {
        words,
        reading,
        reader,
    };
    match told.await {
        Ok(found) => Ok((found, said)),
        Err(_) => Err(said.so_far()),
    }
}

async fn read<T>(
    from: impl AsyncRead + Unpin,
    words: Arc<Mutex<String>>,
    mut how: watch::Receiver<Reading>,
    means: impl Fn(&str) -> Option<T>,
    tell: oneshot::Sender<T>,
) {
    let mut tell = Some(tell);
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = next(&mut lines, &mut how).await {
        {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.push_str(&line);
            words.push('\n');
        }
        if tell.is_some()
            && let Some(found) = means(&line)
        {
            _ = tell.take().map(|tell| tell.send(found));
        }
    }
}

/// The next line, as long as it is to be read.
async fn next(
    lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>,
    how: &mut watch::Receiver<Reading>,
) -> Option<String> {
    loop {
        let reading = *how.borrow_and_update();
        match reading {
            Reading::Gone => return None,
            Reading::Stuck => how.changed().await.ok()?,
            Reading::On => tokio::select! {
                line = lines.next_line() => return line.ok().flatten(),
                Ok(()) = how.changed() => {}
            },
        }
    }
}
