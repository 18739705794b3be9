//! Every change of one row, and of the counter, is noticed, and named where it can be.
//!
//! Each change is drawn from a seed and done to a real log, which is put back afterwards.

use std::fmt::Write as _;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tidegate_domain::{chain::Fault, checkpoint::Comparison};
use tidegate_server::audit;
use tidegate_tests::database::{Database, Kind, kind};
use uuid::Uuid;

use super::{at, log, sound};

/// Where a row waits while another takes its place.
const ASIDE: i64 = 1_000_000;

/// What is changed behind the server's back, and what must be said of it, if that is certain.
struct Tampering {
    sql: String,
    wanted: Option<Fault>,
}

impl Tampering {
    fn certain(sql: String, wanted: Fault) -> Self {
        let wanted = Some(wanted);
        Self { sql, wanted }
    }
}

/// A log that is tampered with.
struct Victim {
    database: Database,
    behind: DatabaseConnection,
    floor: i64,
    last: i64,
    /// The positions of events that carry a request id.
    requests: Vec<i64>,
}

impl Victim {
    async fn new(database: Database) -> Self {
        let summary = sound(&database, None).await;
        let behind = database.connect().await;
        for sql in [
            "CREATE TABLE kept_event AS SELECT * FROM event",
            "CREATE TABLE kept_counter AS SELECT * FROM event_counter",
        ] {
            behind.execute_unprepared(sql).await.expect("a copy");
        }
        if kind() == Kind::Sqlite {
            let hasty = behind.execute_unprepared("PRAGMA synchronous = OFF").await;
            hasty.expect("it need not survive a power cut");
        }
        let marked = "SELECT sequence FROM event WHERE request_id IS NOT NULL";
        let backend = behind.get_database_backend();
        let rows = behind
            .query_all_raw(Statement::from_string(backend, marked))
            .await
            .expect("the requests");
        let requests: Vec<i64> = rows
            .iter()
            .map(|row| row.try_get_by_index(0).expect("a position"))
            .collect();
        assert!(requests.len() > 20, "{} requests", requests.len());
        assert!(summary.head.sequence - summary.removed > 100, "{summary}");
        Self {
            database,
            behind,
            floor: summary.removed,
            last: summary.head.sequence,
            requests,
        }
    }

    async fn run(&self, sql: &str) {
        let done = self.behind.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn restore(&self) {
        self.run(
            "DELETE FROM event; INSERT INTO event SELECT * FROM kept_event; \
             DELETE FROM event_counter; INSERT INTO event_counter SELECT * FROM kept_counter",
        )
        .await;
    }

    fn draw(&self, random: &mut StdRng) -> Tampering {
        match random.random_range(0..9) {
            0..=3 => self.value(random),
            4 => self.deletion(random),
            5 => self.exchange(random),
            6 => {
                let (after, last) = (random.random_range(self.floor..self.last), self.last);
                let sql = format!("DELETE FROM event WHERE sequence > {after}");
                Tampering::certain(sql, Fault::Truncated { after, last })
            }
            7 => self.forgery(random),
            _ => self.counter(random),
        }
    }

    fn any(&self, random: &mut StdRng) -> i64 {
        random.random_range(self.floor + 1..=self.last)
    }

    fn value(&self, random: &mut StdRng) -> Tampering {
        let of_request = random.random_bool(0.15);
        let (row, column) = if of_request {
            let row = *self.requests.choose(random).expect("there are some");
            (row, OF_REQUESTS.choose(random))
        } else {
            (self.any(random), VALUES.choose(random))
        };
        let change = column
            .expect("there are some")
            .replace("BYTES", &bytes(&random.random::<[u8; 32]>()))
            .replace("SHORT", &bytes(&[7; 31]))
            .replace("UUID", &uuid(random));
        let sql = format!("UPDATE event SET {change} WHERE sequence = {row}");
        Tampering::certain(sql, Fault::Altered(row))
    }

    fn deletion(&self, random: &mut StdRng) -> Tampering {
        let (row, last) = (self.any(random), self.last);
        let wanted = if row == last {
            let after = last - 1;
            Fault::Truncated { after, last }
        } else {
            Fault::Missing { from: row, to: row }
        };
        let sql = format!("DELETE FROM event WHERE sequence = {row}");
        Tampering::certain(sql, wanted)
    }

    fn exchange(&self, random: &mut StdRng) -> Tampering {
        let one = random.random_range(self.floor + 1..self.last);
        let other = random.random_range(one + 1..=self.last);
        let moves = [(one, ASIDE), (other, one), (ASIDE, other)];
        let sql = moves
            .map(|(from, to)| format!("UPDATE event SET sequence = {to} WHERE sequence = {from}"));
        Tampering::certain(sql.join("; "), Fault::Altered(one))
    }

    fn forgery(&self, random: &mut StdRng) -> Tampering {
        let (row, last) = (self.any(random), self.last);
        let sequence = last + 1;
        let columns = "transfer_uuid, connection_uuid, event_type, from_status, to_status, actor_uuid, actor, detail, \
                       revision, occurred_at, hash, address";
        let mut sql = format!(
            "INSERT INTO event (sequence, {columns}) \
             SELECT {sequence}, {columns} FROM event WHERE sequence = {row}"
        );
        let wanted = if random.random_bool(0.5) {
            sql.push_str("; UPDATE event_counter SET last_sequence = last_sequence + 1");
            Fault::Altered(sequence)
        } else {
            Fault::Beyond { sequence, last }
        };
        Tampering::certain(sql, wanted)
    }

    fn counter(&self, random: &mut StdRng) -> Tampering {
        let by = random.random_range(1..=50);
        let last = self.last;
        let (change, wanted) = match random.random_range(0..4) {
            0 => {
                let (after, last) = (last, last + by);
                (
                    format!("last_sequence = {last}"),
                    Some(Fault::Truncated { after, last }),
                )
            }
            1 => {
                let (sequence, last) = (last - by + 1, last - by);
                (
                    format!("last_sequence = {last}"),
                    Some(Fault::Beyond { sequence, last }),
                )
            }
            2 => (format!("floor_sequence = floor_sequence + {by}"), None),
            _ => {
                let hash = bytes(&random.random::<[u8; 32]>());
                (format!("floor_hash = {hash}"), None)
            }
        };
        let sql = format!("UPDATE event_counter SET {change}");
        Tampering { sql, wanted }
    }
}

/// A change of each column that cannot be none, and some that leave nothing the server would have written.
const VALUES: [&str; 22] = [
    "transfer_uuid = UUID",
    "connection_uuid = UUID",
    "subject_uuid = UUID",
    "actor_uuid = UUID",
    "event_type = CASE event_type WHEN 'FAILED' THEN 'COMPLETED' ELSE 'FAILED' END",
    "event_type = 'NONSENSE'",
    "from_status = CASE from_status WHEN 'FAILED' THEN 'COMPLETED' ELSE 'FAILED' END",
    "to_status = CASE to_status WHEN 'FAILED' THEN 'COMPLETED' ELSE 'FAILED' END",
    "to_status = ''",
    "actor = actor || 'x'",
    "about = '{\"table_name\":\"public.others\"}'",
    "about = coalesce(about, 'nonsense') || ' '",
    "about = ''",
    "detail = '{\"comment\":{\"text\":\"as agreed\"}}'",
    "detail = coalesce(detail, 'nonsense') || ' '",
    "detail = ''",
    "revision = revision + 1",
    "occurred_at = occurred_at - 1",
    "address = '10.0.0.1'",
    "address = 'nowhere'",
    "hash = BYTES",
    "hash = SHORT",
];

/// The same for events that carry a request id.
const OF_REQUESTS: [&str; 2] = ["request_id = request_id || 'x'", "request_digest = BYTES"];

pub(super) fn bytes(bytes: &[u8]) -> String {
    let digits = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes it");
        text
    });
    match kind() {
        Kind::Sqlite => format!("x'{digits}'"),
        Kind::Postgres => format!("'\\x{digits}'"),
    }
}

fn uuid(random: &mut StdRng) -> String {
    let uuid = Uuid::from_u128(random.random());
    match kind() {
        Kind::Sqlite => bytes(uuid.as_bytes()),
        Kind::Postgres => format!("'{uuid}'"),
    }
}

/// Tampers with a log so many times.
async fn tamper(database: Database) {
    let count = match kind() {
        Kind::Sqlite => 500,
        Kind::Postgres => 25,
    };
    let seed = std::env::var("TIDEGATE_SEED").ok();
    let seed: u64 = seed.map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    eprintln!("TIDEGATE_SEED={seed}");
    let victim = Victim::new(database).await;
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0..count {
        let Tampering { sql, wanted } = victim.draw(&mut random);
        victim.run(&sql).await;
        let verdict = audit::verify(&at(&victim.database), None, &mut Comparison::default()).await;
        let context = format!("TIDEGATE_SEED={seed}, number {number}: {sql}");
        match verdict.unwrap_or_else(|error| panic!("{context}: {error:#}")) {
            Ok(summary) => panic!("{context}: unnoticed: {summary}"),
            Err(fault) => assert_eq!(wanted.unwrap_or(fault.clone()), fault, "{context}"),
        }
        victim.restore().await;
    }
    let summary = sound(&victim.database, None).await;
    assert_eq!(summary.head.sequence, victim.last);
    victim.behind.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_a_whole_log_goes_unnoticed() {
    tamper(log(false).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_a_trimmed_log_goes_unnoticed() {
    tamper(log(true).await).await;
}
