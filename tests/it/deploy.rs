//! What is given to operators beside the programs: the unit, the image, the compose file, the rules for alerts and the
//! dashboard.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};
use tidegate_server::{
    config::{Arguments, Role, definitions},
    metrics::Metrics,
};
use tidegate_tests::{
    needs::Need,
    process::{Finished, binary, command, run},
    skip_without,
    tools::tool,
};

const FILES: [&str; 3] = ["Dockerfile", "compose.yaml", "deploy/tidegate.service"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The words of `text` that begin so.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(prefix)).collect()
}

fn assert_accepted(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn every_variable_that_they_set_is_one_of_the_servers() {
    let command = Arguments::command();
    let known: BTreeSet<&str> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    for name in FILES {
        let text = text(name);
        let set = words(&text, "TIDEGATE_");
        assert!(!set.is_empty(), "{name} sets nothing");
        assert!(set.is_subset(&known), "{name}: {set:?}");
    }
}

/// The settings of the example: each one's name and value, whether it is set, and the comment above it.
fn example() -> Vec<(String, String, bool, String)> {
    let text = text("deploy/tidegate.toml");
    let parts = text.split("\n\n").skip(1);
    let setting = |part: &str| {
        let (comment, line) = part.trim_end().rsplit_once('\n').expect("a comment");
        let comment: Vec<_> = comment
            .lines()
            .map(|line| line.trim_start_matches("# "))
            .collect();
        let (key, value) = line.split_once(" = ").expect("a key");
        let name = key.trim_start_matches('#');
        (
            name.to_owned(),
            value.to_owned(),
            name == key,
            comment.join(" "),
        )
    };
    parts.map(setting).collect()
}

#[test]
fn the_example_has_every_setting_with_its_default_and_its_help() {
    let command = Arguments::command();
    let known: Vec<_> = definitions(&command).collect();
    let example = example();
    let names: Vec<_> = example.iter().map(|it| it.0.as_str()).collect();
    let wanted: Vec<_> = known.iter().map(|(key, _)| *key).collect();
    assert_eq!(names, wanted, "each once, in their order");
    for ((key, value, is_set, comment), (_, argument)) in example.iter().zip(known) {
        let help = argument.get_help().expect("help").to_string();
        assert_eq!(
            comment.trim_end_matches('.'),
            help.trim_end_matches('.'),
            "{key}"
        );
        let default = argument.get_default_values().first();
        let default = default.map(|it| it.to_string_lossy().into_owned());
        if let (Some(default), false) = (default, is_set) {
            assert_eq!(value.trim_matches('"'), default, "{key}");
        }
    }
}

#[tokio::test]
async fn the_example_and_each_line_of_it_can_be_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tidegate.toml");
    let config = |role: &str| {
        let mut server = command(binary("tidegate-server"));
        server.args(["config", role, "--config"]).arg(&file);
        server
    };
    fs::copy(path("deploy/tidegate.toml"), &file).expect("it can be copied");
    assert_accepted(&run(&mut config("check")).await);
    let lines = example()
        .into_iter()
        .map(|(key, value, ..)| format!("{key} = {value}\n"));
    let lines: String = lines.collect();
    fs::write(&file, &lines).expect("it can be written");
    let printed = run(&mut config("print")).await;
    assert_accepted(&printed);
    for (number, line) in (1..).zip(lines.lines()) {
        let wanted = format!("{line} # {}:{number}\n", file.display());
        assert!(
            printed.stdout.contains(&wanted),
            "{wanted} is not in {}",
            printed.stdout
        );
    }
}

#[test]
fn the_image_starts_checks_and_builds_what_there_is() {
    let text = text("Dockerfile");
    assert!(text.contains(r#"ENTRYPOINT ["/usr/bin/tidegate-server"]"#));
    assert!(text.contains(r#"CMD ["/usr/bin/tidegate-server", "ready"]"#));
    let asked = [
        "tidegate-server",
        "ready",
        "--metrics-listen",
        "127.0.0.1:1",
    ];
    let role = Arguments::try_parse_from(asked).map(Arguments::into_role);
    assert!(matches!(role, Ok(Role::Ready(_))), "{role:?}");
    let dist = fs::read_to_string(path("scripts/dist")).expect("scripts/dist");
    for program in ["tidegate-server", "tidegate", "tidegate-copy"] {
        assert!(
            dist.contains(program) && binary(program).exists(),
            "{program}"
        );
    }
    let manifest = fs::read_to_string(path("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("[profile.dist]"));
}

#[tokio::test]
async fn the_image_is_made_as_images_should_be() {
    skip_without!(Need::Tool("hadolint"));
    let hadolint = |file: &Path| {
        let mut hadolint = command(tool("hadolint"));
        hadolint.arg("--no-color").arg(file);
        hadolint
    };
    assert_accepted(&run(&mut hadolint(&path("Dockerfile"))).await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let careless = folder.path().join("Dockerfile");
    let text = text("Dockerfile").replace(":nonroot", "");
    fs::write(&careless, text).expect("it can be written");
    let refused = run(&mut hadolint(&careless)).await;
    assert!(refused.stdout.contains("DL3006"), "{refused:?}");
}

/// What the packages hand to systemd names what the unit does.
#[test]
fn the_user_and_the_folders_of_the_unit_are_made() {
    let unit = text("deploy/tidegate.service");
    let of = |key: &str| {
        let value = unit.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or_else(|| panic!("{key} is not in the unit"))
    };
    let (user, folder) = (of("User="), of("WorkingDirectory="));
    let made = text("deploy/tidegate.sysusers");
    assert!(made.contains(&format!("\nu {user} - ")), "{made}");
    assert!(made.trim_end().ends_with(folder), "{made}");
    let owned = text("deploy/tidegate.tmpfiles");
    let mode = of("StateDirectoryMode=");
    let line = format!("\nd {folder} {mode} {user} {user}\n");
    assert!(owned.contains(&line), "{owned}");
}

#[tokio::test]
async fn systemd_accepts_the_unit_and_finds_it_safe() {
    skip_without!(Need::Systemd);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = folder.path().join("tidegate.service");
    let program = binary("tidegate-server");
    let program = program.canonicalize().expect("it is built");
    let installed = text("deploy/tidegate.service");
    let ours = installed.replace("/usr/bin/tidegate-server", &program.display().to_string());
    assert_ne!(ours, installed);
    fs::write(&unit, &ours).expect("it can be written");
    let analyze = |arguments: &[&str]| {
        let mut analyze = command("systemd-analyze");
        analyze.args(arguments).arg(&unit);
        analyze
    };
    let verified = run(&mut analyze(&["verify", "--man=no"])).await;
    assert_accepted(&verified);
    assert_eq!(verified.stderr, "");
    // Ten times the level that it shows: 0 is safe, 10 is not.
    let judged = run(&mut analyze(&[
        "security",
        "--offline=true",
        "--threshold=15",
    ]))
    .await;
    assert_accepted(&judged);
    fs::write(&unit, ours.replace("Type=notify", "Typ=notify")).expect("it can be written");
    let verified = run(&mut analyze(&["verify", "--man=no"])).await;
    assert_ne!(verified.stderr, "", "it accepts anything");
}

/// What a server serves before anything has happened to it but a call of each outcome.
fn served() -> String {
    let metrics = Metrics::new(["m".to_owned()]);
    for code in 0..17 {
        metrics.calls.begin("/m").end(code);
    }
    metrics.encode().expect("a text")
}

/// Checks that each metric of these queries is served, and each value of a label that they ask for.
fn assert_served(queries: &str) {
    let served = served();
    let samples: BTreeSet<&str> = served
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let used: BTreeSet<&str> = ["tidegate_", "rpc_server_"]
        .iter()
        .flat_map(|prefix| words(queries, prefix))
        .collect();
    assert!(used.len() > 10, "{used:?}");
    assert!(used.is_subset(&samples), "{:?}", used.difference(&samples));
    for condition in queries
        .split(['{', ',', '}'])
        .filter(|part| part.contains("=\"") || part.contains("~\""))
    {
        let (label, values) = condition.split_once('=').expect("a label");
        let label = label.trim_end_matches('!').trim();
        for value in values.trim_start_matches('~').trim_matches('"').split('|') {
            let pair = format!("{label}=\"{value}\"");
            assert!(label == "job" || served.contains(&pair), "{pair}");
        }
    }
}

#[test]
fn every_metric_of_the_alerts_exists_with_its_labels() {
    let rules = text("deploy/alerts.yml");
    let rules: String = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    assert_served(&rules);
}

/// The panels of the dashboard for Grafana, and their queries with the interval that Grafana puts in.
fn panels() -> Vec<(String, Vec<String>)> {
    let dashboard: Value =
        serde_json::from_str(&text("deploy/grafana/tidegate.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let drawn = panels.iter().filter(|panel| panel["type"] != "row");
    let queries = |panel: &Value| {
        let targets = panel["targets"].as_array().expect("queries").iter();
        let query = |it: &Value| {
            it["expr"]
                .as_str()
                .map(|it| it.replace("$__rate_interval", "5m"))
        };
        targets.filter_map(query).collect()
    };
    drawn
        .map(|panel| (panel["title"].to_string(), queries(panel)))
        .collect()
}

#[tokio::test]
async fn every_query_of_the_dashboard_can_be_asked_and_finds_what_is_served() {
    skip_without!(Need::Tool("promtool"));
    let panels = panels();
    assert!(panels.len() > 10 && panels.iter().all(|(_, queries)| !queries.is_empty()));
    let queries: Vec<String> = panels
        .into_iter()
        .flat_map(|(_, queries)| queries)
        .collect();
    assert_served(&queries.join("\n"));
    // Prometheus checks a query where it is a rule.
    let rules = queries
        .iter()
        .zip(0..)
        .map(|(query, number)| json!({ "record": format!("panel:{number}"), "expr": query }));
    let rules = json!({ "groups": [{ "name": "panels", "rules": rules.collect::<Vec<_>>() }] });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("panels.json");
    fs::write(&file, rules.to_string()).expect("it can be written");
    let mut promtool = command(tool("promtool"));
    assert_accepted(&run(promtool.args(["check", "rules"]).arg(&file)).await);
}

#[tokio::test]
async fn prometheus_accepts_the_rules_and_each_fires() {
    skip_without!(Need::Tool("promtool"));
    let promtool = |arguments: &[&str]| {
        let mut promtool = command(tool("promtool"));
        promtool.args(arguments).current_dir(path("deploy"));
        promtool
    };
    assert_accepted(&run(&mut promtool(&["check", "config", "prometheus.yml"])).await);
    assert_accepted(
        &run(&mut promtool(&[
            "check",
            "rules",
            "--lint=all",
            "--lint-fatal",
            "alerts.yml",
        ]))
        .await,
    );
    assert_accepted(&run(&mut promtool(&["test", "rules", "alerts.test.yml"])).await);
    let (rules, tried) = (text("deploy/alerts.yml"), text("deploy/alerts.test.yml"));
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut count = 0;
    for alert in alerts {
        assert!(tried.contains(&format!("alertname: {alert}\n")), "{alert}");
        count += 1;
    }
    assert!(count > 10);
}
