//! The copying core against real files: every strategy, resuming, keys of every kind, and what must be refused.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::args::Strategy;
use crate::copier::{self, Copier, Overtaken, Plan};
use crate::position::{Counts, KeyPart, Position};
use crate::table::Table;

const PEOPLE: &str = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT)";

struct Files {
    _folder: TempDir,
    source: PathBuf,
    target: PathBuf,
}

impl Files {
    fn new(source: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Self {
            source: folder.path().join("source.db"),
            target: folder.path().join("target.db"),
            _folder: folder,
        };
        open(&files.source).execute_batch(source).unwrap();
        if !target.is_empty() {
            open(&files.target).execute_batch(target).unwrap();
        }
        files
    }

    fn copier(
        &self,
        table: &str,
        key: &[&str],
        strategy: Strategy,
        transfer: Uuid,
    ) -> Result<Copier> {
        let source = copier::open_source(&self.source)?;
        let key: Vec<String> = key.iter().map(|&column| column.to_owned()).collect();
        let table = Table::read(&source, table, &key)?;
        table.count_rows(&source)?;
        Copier::open(
            source,
            table,
            &self.target,
            Plan {
                transfer,
                strategy,
                batch_size: 2,
                may_create: true,
            },
        )
    }

    fn copy(&self, table: &str, strategy: Strategy) -> Result<Counts> {
        let mut copier = self.copier(table, &[], strategy, Uuid::from_u128(1))?;
        while copier.next_batch()? {}
        copier.forget()?;
        Ok(copier.position().counts)
    }

    fn target_rows(&self, sql: &str) -> Vec<String> {
        let db = open(&self.target);
        let mut statement = db.prepare(sql).unwrap();
        statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }
}

fn open(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn people(rows: &str) -> String {
    format!("{PEOPLE}; INSERT INTO people VALUES {rows};")
}

const ALL: &str = "SELECT id || ' ' || name || ' ' || coalesce(note, '-') FROM people ORDER BY id";

#[test]
fn an_absent_table_is_created_and_filled() {
    let files = Files::new(&people("(1, 'a', NULL), (5, 'b', 'x'), (9, 'c', 'yz')"), "");
    let counts = files.copy("PEOPLE", Strategy::Skip).unwrap();
    assert_eq!(
        counts,
        Counts {
            transferred: 3,
            created: 3,
            bytes: 30,
            ..Counts::default()
        }
    );
    assert_eq!(files.target_rows(ALL), ["1 a -", "5 b x", "9 c yz"]);
    assert!(
        files
            .target_rows("SELECT transfer_uuid FROM tidegate_copy_position")
            .is_empty()
    );
}

#[test]
fn each_strategy_does_what_it_says() {
    let source = people("(1, 'new', NULL), (2, 'two', 'n'), (3, 'three', NULL)");
    let target = people("(1, 'old', 'kept'), (3, 'drei', NULL)");
    let cases = [
        (
            Strategy::Skip,
            (1, 0, 2),
            vec!["1 old kept", "2 two n", "3 drei -"],
        ),
        (
            Strategy::Overwrite,
            (1, 2, 0),
            vec!["1 new -", "2 two n", "3 three -"],
        ),
        (
            Strategy::Merge,
            (1, 2, 0),
            vec!["1 new kept", "2 two n", "3 three -"],
        ),
        (
            Strategy::Append,
            (3, 0, 0),
            vec!["1 old kept", "2 two n", "3 drei -", "4 new -", "5 three -"],
        ),
    ];
    for (strategy, (created, updated, skipped), rows) in cases {
        let files = Files::new(&source, &target);
        let counts = files.copy("people", strategy).unwrap();
        assert_eq!(
            (
                counts.created,
                counts.updated,
                counts.skipped,
                counts.failed
            ),
            (created, updated, skipped, 0)
        );
        assert_eq!(counts.transferred, 3);
        assert_eq!(files.target_rows(ALL), rows, "{strategy:?}");
    }
}

#[test]
fn appending_never_takes_the_key_of_a_row_still_to_come() {
    let files = Files::new(
        &people("(1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)"),
        &people("(1, 'x', NULL)"),
    );
    files.copy("people", Strategy::Append).unwrap();
    assert_eq!(files.target_rows(ALL), ["1 x -", "2 b -", "3 c -", "4 a -"]);
}

#[test]
fn a_copy_goes_on_where_the_target_stands() {
    for strategy in [
        Strategy::Skip,
        Strategy::Overwrite,
        Strategy::Merge,
        Strategy::Append,
    ] {
        let rows: Vec<String> = (1..=7).map(|id| format!("({id}, 'n{id}', NULL)")).collect();
        let files = Files::new(&people(&rows.join(", ")), &people("(2, 'x', 'y')"));
        let transfer = Uuid::from_u128(7);
        let whole = {
            let other = Files::new(&people(&rows.join(", ")), &people("(2, 'x', 'y')"));
            let counts = other.copy("people", strategy).unwrap();
            (counts, other.target_rows(ALL))
        };
        let mut batches = 0;
        loop {
            // A new copier for every batch: nothing but the target may carry the position.
            let mut copier = files.copier("people", &[], strategy, transfer).unwrap();
            if !copier.next_batch().unwrap() {
                assert_eq!((copier.position().counts, files.target_rows(ALL)), whole);
                break;
            }
            batches += 1;
        }
        assert_eq!(batches, 4);
    }
}

#[test]
fn a_batch_that_fails_leaves_neither_rows_nor_position() {
    let target = format!(
        "{PEOPLE}; CREATE TRIGGER no BEFORE INSERT ON people WHEN new.id = 4 BEGIN SELECT raise(ROLLBACK, 'no'); END;"
    );
    let files = Files::new(
        &people("(1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL), (4, 'd', NULL)"),
        &target,
    );
    let mut copier = files
        .copier("people", &[], Strategy::Skip, Uuid::from_u128(1))
        .unwrap();
    assert!(copier.next_batch().unwrap());
    assert!(copier.next_batch().is_err());
    assert_eq!(copier.position().counts.transferred, 2);
    assert_eq!(files.target_rows(ALL), ["1 a -", "2 b -"]);
    assert_eq!(
        files.target_rows("SELECT cast(records_transferred AS TEXT) FROM tidegate_copy_position"),
        ["2"]
    );
}

#[test]
fn rows_that_the_target_refuses_are_counted_and_the_others_copied() {
    let target = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE, note CHECK (note > 'b'))";
    let files = Files::new(
        &people("(1, 'a', 'c'), (2, 'a', 'c'), (3, 'b', 'a'), (4, 'd', 'd')"),
        target,
    );
    let mut copier = files
        .copier("people", &[], Strategy::Skip, Uuid::from_u128(1))
        .unwrap();
    while copier.next_batch().unwrap() {}
    let counts = copier.position().counts;
    assert_eq!(
        (counts.transferred, counts.created, counts.failed),
        (4, 2, 2)
    );
    assert_eq!(files.target_rows(ALL), ["1 a c", "4 d d"]);
    assert!(copier.first_refusal().unwrap().contains("people.name"));
}

#[test]
fn two_copiers_of_one_transfer_do_not_copy_twice() {
    let files = Files::new(
        &people("(1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)"),
        "",
    );
    let mut first = files
        .copier("people", &[], Strategy::Append, Uuid::from_u128(1))
        .unwrap();
    let mut second = files
        .copier("people", &[], Strategy::Append, Uuid::from_u128(1))
        .unwrap();
    assert!(first.next_batch().unwrap());
    assert!(second.next_batch().unwrap_err().is::<Overtaken>());
    assert_eq!(
        files.target_rows("SELECT cast(count(*) AS TEXT) FROM people"),
        ["2"]
    );
}

#[test]
fn keys_of_every_kind_and_odd_names_are_copied_completely() {
    let source = r#"
        CREATE TABLE "odd ""name""" ("a b" TEXT COLLATE NOCASE, "select" , v BLOB, g AS (v || 'x'),
            PRIMARY KEY ("a b", "select")) WITHOUT ROWID;
        INSERT INTO "odd ""name""" ("a b", "select", v) VALUES
            ('a', 1, x'00ff'), ('A', 2, NULL), ('a', 1.5, 3), ('b', 'text', 'ü'), ('B', x'01', 2.5), ('', -1, '');"#;
    let files = Files::new(source, "");
    let counts = files.copy(r#"odd "name""#, Strategy::Overwrite).unwrap();
    assert_eq!((counts.transferred, counts.created), (6, 6));
    let all =
        r#"SELECT quote("a b") || quote("select") || quote(v) FROM "odd ""name""" ORDER BY 1"#;
    let db = open(&files.source);
    let mut statement = db.prepare(all).unwrap();
    let rows: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(files.target_rows(all), rows);
}

#[test]
fn what_could_lose_or_repeat_rows_is_refused() {
    let files = Files::new(
        "CREATE TABLE t (a, b); CREATE TABLE u (a UNIQUE, b); INSERT INTO u VALUES (NULL, 1);",
        "",
    );
    let refused = |table: &str, key: &[&str]| {
        format!(
            "{:#}",
            files
                .copier(table, key, Strategy::Skip, Uuid::from_u128(1))
                .unwrap_err()
        )
    };
    assert!(refused("t", &[]).contains("no primary key"));
    assert!(refused("t", &["a"]).contains("not unique"));
    assert!(refused("t", &["c"]).contains("no column"));
    assert!(refused("u", &["a"]).contains("null"));
    assert!(refused("v", &[]).contains("no table"));
    let narrow = Files::new(
        &people("(1, 'a', NULL)"),
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name)",
    );
    assert!(
        narrow
            .copy("people", Strategy::Skip)
            .unwrap_err()
            .to_string()
            .contains("lacks the column")
    );
}

#[test]
fn appending_without_an_integer_key_fails_in_clear_words() {
    let table = "CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('a');";
    let error = Files::new(table, table)
        .copy("t", Strategy::Append)
        .unwrap_err();
    assert!(error.to_string().contains("integer primary key"));
    let free = Files::new(table, "CREATE TABLE t (k TEXT PRIMARY KEY)");
    assert_eq!(free.copy("t", Strategy::Append).unwrap().created, 1);
}

#[test]
fn a_target_that_must_have_a_position_is_left_alone_without_one() {
    let files = Files::new(&people("(1, 'a', NULL)"), "CREATE TABLE other (x)");
    let source = copier::open_source(&files.source).unwrap();
    let table = Table::read(&source, "people", &[]).unwrap();
    let plan = Plan {
        transfer: Uuid::from_u128(1),
        strategy: Strategy::Skip,
        batch_size: 2,
        may_create: false,
    };
    Copier::open(source, table, &files.target, plan).unwrap_err();
    assert_eq!(
        files.target_rows("SELECT name FROM sqlite_schema"),
        ["other"]
    );
}

#[test]
fn a_file_is_not_copied_into_itself() {
    let mut files = Files::new(&people("(1, 'a', NULL)"), "");
    files.target = files.source.clone();
    assert!(
        files
            .copy("people", Strategy::Append)
            .unwrap_err()
            .to_string()
            .contains("same file")
    );
}

#[test]
fn the_ledger_may_lag_behind_the_target_but_not_lead() {
    let at = |transferred, key| Position {
        last_key: Some(vec![KeyPart::Integer(key)]),
        counts: Counts {
            transferred,
            ..Counts::default()
        },
    };
    let target = at(10, 100);
    target
        .check_ledger(at(8, 80).counts, &at(8, 80).to_checkpoint())
        .unwrap();
    target
        .check_ledger(target.counts, &target.to_checkpoint())
        .unwrap();
    target.check_ledger(Counts::default(), b"").unwrap();
    target.check_ledger(at(12, 120).counts, b"").unwrap_err();
    target
        .check_ledger(at(8, 80).counts, &at(12, 120).to_checkpoint())
        .unwrap_err();
    target
        .check_ledger(at(10, 99).counts, &at(10, 99).to_checkpoint())
        .unwrap_err();
    target
        .check_ledger(Counts::default(), b"another agent's")
        .unwrap_err();
}

#[test]
fn a_checkpoint_stays_within_the_ledgers_limit() {
    let long = Position {
        last_key: Some(vec![KeyPart::Text("x".repeat(5000))]),
        counts: Counts::default(),
    };
    assert!(long.to_checkpoint().len() < 4096);
    long.check_ledger(Counts::default(), &long.to_checkpoint())
        .unwrap();
    let exact = [
        KeyPart::Real(0.1_f64.to_bits()),
        KeyPart::Blob(vec![0, 255]),
        KeyPart::Text("ü".to_owned()),
    ];
    let text = serde_json::to_string(&exact).unwrap();
    assert_eq!(serde_json::from_str::<Vec<KeyPart>>(&text).unwrap(), exact);
}
