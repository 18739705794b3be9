//! The house keeps its shape: who may use whom, how long a file may grow, and documents that agree with the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tidegate_domain::{connection, refusal::Refusal, rule};
use tidegate_proto::v1::ErrorReason;
use tidegate_server::error::Error;

const LONGEST_FILE: usize = 500;

/// A folder, and what no file in it may mention. Everything else is kept by the manifests of the crates.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "server/src/ledger",
        &["tidegate_proto", "tonic", "prost", "crate::rpc"],
    ),
    (
        "server/src/auth",
        &["tidegate_proto", "tonic", "prost", "crate::rpc"],
    ),
    (
        "server/src/feed",
        &["tidegate_proto", "tonic", "prost", "crate::rpc"],
    ),
    ("server/src/metrics", &["tidegate_proto", "tonic", "prost"]),
    (
        "client/examples",
        &[
            "tidegate_server",
            "tidegate_entity",
            "tidegate_proto",
            "tonic",
            "prost",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file under `folder`, and `folder.rs` beside it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let beside = folder.with_extension("rs");
    if beside.exists() {
        found.push(beside);
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The code of a line, without its comment.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Whether `line` uses the path `name`, not merely a longer word that contains it.
fn mentions(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code(line).match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        !before.is_some_and(|c| word(c) || c == ':') && !after.is_some_and(word)
    })
}

fn offences(folder: &str, forbidden: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for path in sources(&root().join(folder)) {
        let text = fs::read_to_string(&path).expect("a readable file");
        for (number, line) in text.lines().enumerate() {
            for name in forbidden.iter().filter(|name| mentions(line, name)) {
                offences.push(format!("{}:{}: {name}", path.display(), number + 1));
            }
        }
    }
    offences
}

#[test]
fn nobody_reaches_across_the_layers() {
    for (folder, forbidden) in FORBIDDEN {
        let files = sources(&root().join(folder));
        assert!(
            !files.is_empty(),
            "{folder} has no sources: the rule would guard nothing"
        );
        let found = offences(folder, forbidden);
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn a_forbidden_import_would_be_noticed() {
    assert!(mentions("use tonic::Status;", "tonic"));
    assert!(mentions("    let x = crate::rpc::answer();", "crate::rpc"));
    assert!(!mentions("use tonic_types::StatusExt;", "tonic"));
    assert!(!mentions("// tonic is not used here", "tonic"));
    assert!(!offences("server/src/rpc", &["tonic"]).is_empty());
}

#[test]
fn the_client_shows_no_transport_type() {
    for path in sources(&root().join("client/src")) {
        let text = fs::read_to_string(&path).expect("a readable file");
        for (number, line) in text.lines().enumerate() {
            let public = line.trim_start().starts_with("pub ")
                && [
                    "tonic::",
                    "prost::",
                    "prost_types::",
                    "v1::",
                    "tidegate_proto::",
                ]
                .iter()
                .any(|name| code(line).contains(name));
            assert!(!public, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn no_file_outgrows_its_reader() {
    let folders = [
        "domain/src",
        "store/src",
        "server/src",
        "client/src",
        "client/examples",
        "cli/src",
        "copy-agent/src",
        "entity/src",
        "migration/src",
        "proto/src",
        "testing/src",
        "tests/src",
        "tests/it",
        "chaos/src",
        "chaos/tests",
    ];
    for path in folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
    {
        let lines = fs::read_to_string(&path)
            .expect("a readable file")
            .lines()
            .count();
        assert!(
            lines <= LONGEST_FILE,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn the_diagrams_show_the_rule_tables() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let drawn: Vec<_> = text
        .split("```mermaid\n")
        .skip(1)
        .map(|rest| rest.split_once("\n```").map_or(rest, |(body, _)| body))
        .filter(|body| body.starts_with("stateDiagram-v2"))
        .collect();
    let wanted = [rule::diagram(), connection::diagram()];
    assert_eq!(
        drawn,
        wanted,
        "ARCHITECTURE.md must show:\n{}",
        wanted.join("\nand\n")
    );
}

/// Every reason of the contract with its code, as its comment begins; "any" where that names none.
fn contract() -> BTreeMap<String, String> {
    let path = root().join("proto/tidegate/v1/common.proto");
    let text = fs::read_to_string(path).expect("the contract");
    let (mut reasons, mut comment) = (BTreeMap::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("// ") {
            comment.get_or_insert(text);
            continue;
        }
        let comment = comment.take().unwrap_or_default();
        if let Some((reason, _)) = line
            .strip_prefix("ERROR_REASON_")
            .and_then(|rest| rest.split_once(" = "))
        {
            let code = comment.split_once(':').map_or("any", |(code, _)| code);
            reasons.insert(reason.to_owned(), code.to_owned());
        }
    }
    reasons.remove("UNSPECIFIED");
    let all = (1..).map_while(|number| ErrorReason::try_from(number).ok());
    let names = all.map(|reason| reason.as_str_name().replace("ERROR_REASON_", ""));
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        reasons.keys().cloned().collect(),
        "the comments were read wrongly"
    );
    reasons
}

#[test]
fn every_reason_is_in_the_contract() {
    let contract = contract();
    for (reason, kind) in Refusal::REASONS.iter().chain(Error::REASONS) {
        assert_eq!(
            contract.get(*reason).map(String::as_str),
            Some(kind.name()),
            "{reason}"
        );
    }
}

/// On SQLite these tests cannot run, and the runner prints why.
const IGNORED: &str = "#[ignore = \"needs PostgreSQL: scripts/test or just test-pg\"]";

#[test]
fn tests_that_need_postgresql_are_ignored_and_no_others() {
    for path in ["tests/it", "chaos/tests"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
    {
        let text = fs::read_to_string(&path).expect("a readable file");
        let whole = path.to_string_lossy().contains("postgres_only");
        let mut module_end = None;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some((indent, "")) = line.split_once("mod postgres_only {") {
                module_end = Some(format!("{indent}}}"));
            } else if module_end.as_deref() == Some(line) {
                module_end = None;
            }
            let is_test =
                matches!(line.trim(), "#[test]") || line.trim().starts_with("#[tokio::test");
            let is_ignored = lines
                .peek()
                .is_some_and(|next| next.trim().starts_with("#[ignore"));
            let wanted = is_test && (whole || module_end.is_some());
            let place = format!("{}: {line}", path.display());
            assert_eq!(is_ignored, wanted, "{place}");
            let reason = lines.peek().filter(|_| wanted).map(|next| next.trim());
            assert!(reason.is_none_or(|reason| reason == IGNORED), "{place}");
        }
    }
}

#[test]
fn the_errors_are_documented() {
    let text = fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut documented = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let ["", reason, code, meaning, advice, ""] = cells[..] else {
            panic!("not four cells: {row}");
        };
        assert!(!meaning.is_empty() && !advice.is_empty(), "{row}");
        let reason = reason.trim_matches('`').to_owned();
        let before = documented.insert(reason, code.to_owned());
        assert_eq!(before, None, "twice: {row}");
    }
    let known = tidegate_client::Reason::ALL.iter();
    let known = known.filter(|it| **it != tidegate_client::Reason::Unknown);
    let known: BTreeSet<_> = known.map(|it| it.as_str()).collect();
    let names: BTreeSet<_> = documented.keys().map(String::as_str).collect();
    assert_eq!(known, names, "what the client knows");
    assert_eq!(documented, contract());
}
