//! What the database does without a server before it: the same table, by its own tool.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rusqlite::{Connection, params};
use tidegate_tests::Database;

use crate::{
    load::Sample,
    machine::{Cpu, Watched},
    subject::{Subject, output},
};

/// Rows that are changed, none of which a server knows.
const ROWS: u32 = 10_000;
/// Connections of pgbench: more make it slower on two processors.
const CLIENTS: &str = "32";
/// Where `turn` begins: a script may count with it, each connection for itself.
const TURN: &str = "turn=1000";

/// What is done a row at a time, each durable before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Sets the totals of one of many transfers.
    Update,
    /// Adds a transfer.
    Insert,
}

/// The columns that cannot be absent, and their values but for the first two, which are the uuid.
const COLUMNS: &str = "uuid, correlation_uuid, direction, table_name, records_requested, status, requires_approval, records_transferred, \
    records_created, records_updated, records_skipped, records_failed, bytes_transferred, inserted_at, updated_at, metadata, \
    checkpoint, self_approval, policy_revision, revision";

fn values(empty: &str) -> String {
    format!(
        "'SEND', 'public.orders', 1000000, 'IN_PROGRESS', FALSE, 0, 0, 0, 0, 0, 0, 1764000000000000, 1764000000000000, \
         '{{}}', {empty}, FALSE, 0, 1"
    )
}

fn fill(uuid: &str, empty: &str) -> String {
    format!(
        "INSERT INTO transfer ({COLUMNS}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
         SELECT {uuid}, {uuid}, {} FROM n",
        values(empty)
    )
}

/// pgbench on a database of its own, made by a server.
pub(crate) async fn postgres(
    subject: &Subject,
    statement: Statement,
    time: Duration,
) -> anyhow::Result<Sample> {
    let database = subject.database().await;
    subject.prepare(&database).await?;
    let uuid = "lpad(to_hex(i), 32, '0')::uuid";
    let fill = fill(uuid, "''::bytea");
    let script = match statement {
        Statement::Update => format!(
            "\\set i random(1, {ROWS})\nUPDATE transfer SET records_transferred = :i, records_created = :i, \
             bytes_transferred = :i, updated_at = :i, revision = revision + 1 WHERE uuid = {};\n",
            uuid.replace("to_hex(i)", "to_hex(:i::integer)")
        ),
        Statement::Insert => format!(
            "INSERT INTO transfer ({COLUMNS}) VALUES (gen_random_uuid(), gen_random_uuid(), {});\n",
            values("''::bytea")
        ),
    };
    pgbench(subject, &database, &fill, &script, time).await
}

/// Fills a database on the subject's PostgreSQL, and has pgbench repeat a script there with prepared statements.
pub(crate) async fn pgbench(
    subject: &Subject,
    database: &Database,
    fill: &str,
    script: &str,
    time: Duration,
) -> anyhow::Result<Sample> {
    let programs = subject.postgres_programs()?;
    output(&programs.join("psql"), &["-qc", fill, database.url()]).await?;
    let path = subject.folder().join("pgbench.sql");
    std::fs::write(&path, script)?;
    let path = path.to_str().context("a path in Unicode")?;
    let seconds = time.as_secs().max(1).to_string();
    let arguments = [
        "-n",
        "-M",
        "prepared",
        "-D",
        TURN,
        "-f",
        path,
        "-c",
        CLIENTS,
        "-j",
        "2",
        "-T",
        &seconds,
        database.url(),
    ];
    let watched = subject.watched_database();
    let (before, began) = (Cpu::now(&watched), Instant::now());
    let said = output(&programs.join("pgbench"), &arguments).await?;
    let taken = began.elapsed();
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let rate = rate.with_context(|| format!("pgbench said no rate:\n{said}"))?;
    let spent = Cpu::now(&watched).since(before);
    // Its rate is its own; the time that it took to connect counts for the processor alone.
    let mut sample = Sample::of(1_000, taken, Cpu::default())?;
    let thousands = rate * taken.as_secs_f64() / 1_000.0;
    sample.value = rate;
    sample.database_ms = spent.database * 1_000.0 / thousands;
    sample.generator_ms = spent.generator * 1_000.0 / thousands;
    sample.foreign = spent.foreign(taken.as_secs_f64());
    Ok(sample)
}

/// Commits on one connection to a file of the same settings, made by a server.
pub(crate) async fn sqlite(
    subject: &Subject,
    statement: Statement,
    time: Duration,
) -> anyhow::Result<Sample> {
    let database = Database::new_file();
    subject.prepare(&database).await?;
    let path = database.path().context("a file")?.to_owned();
    tokio::task::spawn_blocking(move || commits(&path, statement, time)).await?
}

fn commits(path: &std::path::Path, statement: Statement, time: Duration) -> anyhow::Result<Sample> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    connection.execute(&fill("unhex(printf('%032x', i))", "x''"), [])?;
    let mut change = connection.prepare(&match statement {
        Statement::Update => "UPDATE transfer SET records_transferred = ?2, records_created = ?2, bytes_transferred = ?2, \
             updated_at = ?2, revision = revision + 1 WHERE uuid = ?1"
            .to_owned(),
        Statement::Insert => format!(
            "INSERT INTO transfer ({COLUMNS}) VALUES (?1, ?1, {} + 0 * ?2)",
            values("x''")
        ),
    })?;
    let watched = Watched::default();
    let (before, began) = (Cpu::now(&watched), Instant::now());
    let mut done = 0_u32;
    while began.elapsed() < time {
        let number = u128::from(rand::random_range(1..=ROWS));
        let uuid = match statement {
            Statement::Update => number,
            Statement::Insert => uuid::Uuid::new_v4().as_u128(),
        };
        change.execute(params![uuid.to_be_bytes().as_slice(), done])?;
        done += 1;
    }
    let taken = began.elapsed();
    Sample::of(done.into(), taken, Cpu::now(&watched).since(before))
}
