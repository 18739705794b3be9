//! The files that are copied: a real table, targets in various states, and how to compare them.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// Rows of the source.
pub(super) const ROWS: i64 = 34_924;

/// Every column but the key, which is `code_point`.
const VALUES: &str = "name, general_category, combining_class, bidi_class, decomposition, numeric_value, mirrored, \
                      uppercase, lowercase";

const SCHEMA: &str = "CREATE TABLE characters(code_point integer primary key, name text not null, general_category \
                      text not null, combining_class integer not null, bidi_class text not null, decomposition text, \
                      numeric_value text, mirrored integer not null, uppercase integer, lowercase integer)";

/// The characters of Unicode, or as many rows of the same kind where they are not at hand.
pub(super) fn source(folder: &Path) -> PathBuf {
    let real = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/characters.db"
    ));
    if real.exists() {
        return real.to_owned();
    }
    let made = folder.join("characters.db");
    let db = Connection::open(&made).expect("it can be made");
    db.execute(SCHEMA, []).expect("it is a table");
    let rows = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO characters SELECT i * 3, 'CHARACTER ' || i, 'Lo', i % 4, 'L', iif(i % 5, NULL, hex(i)),
        iif(i % 7, NULL, i % 10), i % 2, iif(i % 11, NULL, i + 1), NULL FROM n";
    db.execute(rows, [ROWS]).expect("rows can be made");
    made
}

/// A target in which every second row is there already, with another name and a decomposition.
pub(super) fn half_filled(source: &Path, target: &Path) -> i64 {
    let db = Connection::open(target).expect("it can be made");
    attach(&db, source);
    db.execute(SCHEMA, []).expect("it is a table");
    let fill = "INSERT INTO main.characters SELECT code_point, 'old ' || name, general_category, combining_class,
        bidi_class, 'old', numeric_value, mirrored, uppercase, lowercase
        FROM source.characters WHERE code_point % 2 = 0";
    let filled = db.execute(fill, []).expect("it can be filled");
    i64::try_from(filled).expect("it fits")
}

fn attach(db: &Connection, source: &Path) {
    let path = source.to_str().expect("a plain name");
    db.execute("ATTACH ?1 AS source", [format!("file:{path}?mode=ro")])
        .expect("it can be attached");
}

/// A target beside its source.
pub(super) struct Pair {
    db: Connection,
}

impl Pair {
    pub(super) fn open(source: &Path, target: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let db = Connection::open_with_flags(target, flags).expect("the target is there");
        attach(&db, source);
        Self { db }
    }

    fn number(&self, sql: &str) -> i64 {
        self.db
            .query_row(sql, [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Rows that one query gives and the other does not, either way.
    fn difference(&self, one: &str, other: &str) -> i64 {
        let missing = self.number(&format!("SELECT count(*) FROM ({one} EXCEPT {other})"));
        missing + self.number(&format!("SELECT count(*) FROM ({other} EXCEPT {one})"))
    }

    /// Rows of the target.
    pub(super) fn rows(&self) -> i64 {
        self.number("SELECT count(*) FROM main.characters")
    }

    /// Bytes of the source, as the agent counts them.
    pub(super) fn bytes(&self) -> i64 {
        let columns = VALUES.split(", ").chain(["code_point"]);
        let size = |column| {
            format!(
                "CASE typeof({column}) WHEN 'null' THEN 0 WHEN 'integer' THEN 8 WHEN 'real' THEN 8
                 ELSE length(CAST({column} AS BLOB)) END"
            )
        };
        let sizes: Vec<String> = columns.map(size).collect();
        self.number(&format!(
            "SELECT sum({}) FROM source.characters",
            sizes.join(" + ")
        ))
    }

    /// Asserts that the target is the source.
    pub(super) fn assert_equal(&self) {
        let all = |of| format!("SELECT code_point, {VALUES} FROM {of}.characters");
        assert_eq!(
            self.difference(&all("main"), &all("source")),
            0,
            "rows differ"
        );
        assert_eq!(self.rows(), ROWS);
    }

    /// Asserts that what was there is as it was, and that the other rows of the source have joined it.
    pub(super) fn assert_skipped(&self) {
        let target = format!("SELECT code_point, {VALUES} FROM main.characters");
        let wanted = "SELECT code_point, iif(code_point % 2, name, 'old ' || name), general_category, combining_class,
             bidi_class, iif(code_point % 2, decomposition, 'old'), numeric_value, mirrored, uppercase, lowercase
             FROM source.characters";
        assert_eq!(self.difference(&target, wanted), 0, "rows differ");
        assert_eq!(self.rows(), ROWS);
    }

    /// Asserts that new values have replaced the old ones, except where the new one is null.
    pub(super) fn assert_merged(&self) {
        let target = format!("SELECT code_point, {VALUES} FROM main.characters");
        let wanted = "SELECT code_point, name, general_category, combining_class, bidi_class,
             coalesce(decomposition, iif(code_point % 2, NULL, 'old')), numeric_value, mirrored, uppercase, lowercase
             FROM source.characters";
        assert_eq!(self.difference(&target, wanted), 0, "rows differ");
        assert_eq!(self.rows(), ROWS);
    }

    /// Asserts that what was there is as it was, and that every row of the source is there too, under a new key where
    /// its own was taken.
    pub(super) fn assert_appended(&self, before: i64) {
        assert_eq!(self.rows(), ROWS + before);
        let old = "main.characters WHERE code_point % 2 = 0
             AND code_point <= (SELECT max(code_point) FROM source.characters)";
        // Not LIKE, for which the letters of Old Italic would be old too.
        let is_old = "substr(name, 1, 4) = 'old '";
        assert_eq!(
            self.number(&format!("SELECT count(*) FROM {old} AND {is_old}")),
            before
        );
        assert_eq!(self.number(&format!("SELECT count(*) FROM {old}")), before);
        let new = format!("SELECT {VALUES} FROM main.characters WHERE NOT {is_old}");
        let wanted = format!("SELECT {VALUES} FROM source.characters");
        assert_eq!(self.difference(&new, &wanted), 0, "rows differ");
        assert_eq!(self.number(&format!("SELECT count(*) FROM ({new})")), ROWS);
    }

    /// Asserts that no trace of the way is left.
    pub(super) fn assert_tidy(&self) {
        assert_eq!(
            self.number("SELECT count(*) FROM main.tidegate_copy_position"),
            0
        );
    }
}
