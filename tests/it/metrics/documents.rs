//! The table of the operations manual is the registry's, and a real parser reads what is served.

use std::{fs, path::Path};

use tidegate_server::metrics::Metrics;
use tidegate_tests::{
    WorldOptions,
    metrics::get,
    needs::Need,
    process::{command, run},
    skip_without,
    tools::tool,
};
use tokio::io::AsyncWriteExt as _;

use super::Watched;

fn manual() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    fs::read_to_string(path).expect("docs/operations.md")
}

#[test]
fn the_table_names_and_describes_every_metric() {
    let metrics = Metrics::default();
    let described = metrics.described().iter();
    let wanted: Vec<_> = described
        .map(|it| (format!("{}{}", it.name, it.suffix), it.help.to_owned()))
        .collect();
    let text = manual();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let (name, help) = (name.split('{').next()?, cells.next()?);
        let ours = ["tidegate_", "rpc_"].iter().any(|it| name.starts_with(it));
        ours.then(|| (name.to_owned(), help.to_owned()))
    });
    assert_eq!(rows.collect::<Vec<_>>(), wanted);
}

/// What the parser of Prometheus's own client for Python says of a text: the families by name and type, or why not.
const PARSER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family.name
    print(family.name, family.type, len(family.samples))
";

async fn parsed(text: &str) -> tidegate_tests::process::Finished {
    let mut python = command(tool("python-prometheus"));
    python
        .args(["-c", PARSER])
        .stdin(std::process::Stdio::piped());
    let mut child = python.spawn().expect("python starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(text.as_bytes()).await.expect("it reads");
    drop(stdin);
    tidegate_tests::process::finish(child).await
}

#[tokio::test]
async fn a_parser_of_openmetrics_reads_all_of_it() {
    skip_without!(Need::Tool("python-prometheus"));
    let watched = Watched::start(WorldOptions::default()).await;
    let mut raw = watched.world.services().await;
    let uuid = raw.running().await.uuid;
    raw.complete(&uuid, 3).await;
    let page = get(watched.address(), "/metrics").await;
    assert!(
        page.head
            .contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{page:?}"
    );
    let read = parsed(&page.body).await;
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    let metrics = Metrics::default();
    let mut found: Vec<&str> = read
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut wanted: Vec<&str> = metrics.described().iter().map(|it| it.name).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert!(
        read.stdout
            .contains("rpc_server_call_duration_seconds histogram "),
        "{read:?}"
    );
    assert!(
        read.stdout.contains("tidegate_ledger_conflicts counter 1"),
        "{read:?}"
    );
    let broken = page.body.replace("# EOF\n", "");
    assert_ne!(parsed(&broken).await.code, Some(0), "it reads anything");
}

/// The settings page and `--help` agree.
#[tokio::test]
async fn every_flag_of_the_server_is_in_the_table_of_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let text = fs::read_to_string(path).expect("docs/settings.md");
    let help = run(command(tidegate_tests::process::binary("tidegate-server")).arg("--help")).await;
    let flags = help
        .stdout
        .split_whitespace()
        .filter(|word| word.starts_with("--"));
    let names: std::collections::BTreeSet<&str> = flags
        .map(|flag| flag.trim_end_matches(|c: char| !c.is_ascii_lowercase()))
        .filter(|flag| !matches!(*flag, "--help" | "--version"))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for flag in names {
        let variable = format!("TIDEGATE_{}", flag[2..].to_uppercase().replace('-', "_"));
        let rows = text.lines().filter(|line| line.starts_with("| `--"));
        let mut row = rows.filter(|line| line.contains(&format!("`{variable}`")));
        let row = row
            .next()
            .unwrap_or_else(|| panic!("{flag} is not in the table"));
        assert!(row.contains(&format!("`{flag}")), "{row}");
    }
}
