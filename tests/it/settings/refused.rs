//! Settings that are wrong, each with its line: in a file, a variable and a flag.

use tidegate_tests::process::{Finished, run};

use super::{Home, keys, variable};

/// A value that a setting may not have, as a flag writes it, and a word of what is said. Paths and some texts may be
/// anything but empty.
fn bad(key: &str) -> (&'static str, &'static str) {
    match key {
        "listen" => ("somewhere", "IP address or a host name and a port"),
        "metrics-listen" => ("localhost:70000", "IP address or a host name and a port"),
        "tls-cert"
        | "tls-key"
        | "tls-client-ca"
        | "token-pepper-file"
        | "checkpoint-key"
        | "checkpoint-file"
        | "database-password-file" => ("", "must not be empty"),
        "auth" => ("maybe", "off, required"),
        "insecure" | "proxy-protocol" => ("maybe", "boolean"),
        "trusted-proxies" => ("10.0.0.0/33", "10.0.0.0/33"),
        "reflection" => ("closed", "open, authenticated, off"),
        "cors-origin" => ("https://a.example/", "without a path"),
        "database-pooling" => ("none", "session, transaction"),
        "migrate" => ("never", "auto, check, off"),
        "sweep-interval" | "checkpoint-interval" => ("1ms", "10ms to 1d"),
        "heartbeat-timeout" => ("2d", "1s to 1d"),
        "stop-grace" => ("2d", "at most 1d"),
        "event-retention" | "access-retention" | "transfer-retention" => ("23h", "24h"),
        "max-connections" | "max-connections-per-address" | "max-streams" => ("0", "at least 1"),
        "requests-per-minute" => ("1000001", "1000000"),
        "max-connection-age" => ("0s", "1s to 30d"),
        "answer-timeout" => ("2h", "1s to 1h"),
        "drain-delay" => ("1h", "at most 2s"),
        "log" => ("tidegate_server=loud", "must be a filter"),
        "log-format" => ("xml", "auto, text, json"),
        other => panic!("{other} needs a value here that is refused"),
    }
}

/// Settings whose text is judged only when a server starts: what is wrong with it could show a password.
const JUDGED_LATER: [&str; 2] = ["database-url", "database-direct-url"];

/// The lines of a process that ended for its settings.
fn lines(finished: &Finished) -> Vec<&str> {
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout, "");
    let lines = finished.stderr.lines();
    lines
        .map(|line| {
            line.strip_prefix("error: ")
                .unwrap_or_else(|| panic!("{line}"))
        })
        .collect()
}

#[tokio::test]
async fn every_bad_value_has_its_clear_line_wherever_it_is_from() {
    for key in keys() {
        if JUDGED_LATER.contains(&key.as_str()) {
            continue;
        }
        let (value, word) = bad(&key);
        let nothing = Home::new("");
        let flag = nothing.run(&[&format!("--{key}={value}")]).await;
        let mut outcomes = vec![(format!("--{key}"), flag)];
        // Empty variables are not set.
        if !value.is_empty() {
            let name = variable(&key);
            let mut server = nothing.server(&[]);
            let outcome = run(server.env(&name, value)).await;
            outcomes.push((name, outcome));
        }
        let is_number = value.parse::<i64>().is_ok() && key != "metrics-listen";
        let is_switch = ["insecure", "proxy-protocol"].contains(&key.as_str());
        if !is_switch {
            let value = if is_number {
                value.to_owned()
            } else {
                format!("{value:?}")
            };
            let home = Home::new(&format!("# The second line is wrong.\n{key} = {value}\n"));
            let place = format!("{}:2: {key}", home.file().display());
            outcomes.push((place, home.run(&[]).await));
        }
        for (place, outcome) in outcomes {
            let lines = lines(&outcome);
            assert_eq!(lines.len(), 1, "{lines:?}");
            let rest = lines[0].strip_prefix(&place);
            let rest = rest.unwrap_or_else(|| panic!("{place} is not named: {lines:?}"));
            assert!(rest.contains(word), "{word}: {lines:?}");
            assert!(rest.contains(value), "{value}: {lines:?}");
        }
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_told_with_the_right_one() {
    for key in keys() {
        let (wrong, word) = match key.as_str() {
            "max-connections"
            | "max-connections-per-address"
            | "max-streams"
            | "requests-per-minute" => ("'20'", "must be a whole number without quotes"),
            "insecure" | "proxy-protocol" => ("'yes'", "must be true or false without quotes"),
            "trusted-proxies" | "cors-origin" => ("[1]", "must be a list of texts in quotes"),
            _ => ("5", "must be a text in quotes"),
        };
        for wrong in [wrong, "{ a = 1 }", "1.5", "1979-05-27"] {
            let home = Home::new(&format!("{key} = {wrong}\n"));
            let ended = home.run(&[]).await;
            let wanted = format!("{}:1: {key} {word}", home.file().display());
            assert_eq!(lines(&ended), [wanted]);
        }
    }
}

#[tokio::test]
async fn unknown_keys_are_refused_by_name_for_every_role() {
    let home = Home::new("max-conections = 5\nlog = 'info'\nwhatever = 1\n[listen-on]\nport = 1\n");
    let file = home.file().display().to_string();
    for role in [
        &[][..],
        &["serve"],
        &["migrate"],
        &["ready"],
        &["backup", "copy.db"],
        &["export"],
        &["import"],
        &["audit", "verify"],
        &["stats", "check"],
        &["stats", "rebuild"],
        &["config", "check"],
        &["config", "print"],
        &["token", "create", "--role", "admin", "--name", "x"],
    ] {
        let ended = home.run(role).await;
        assert_eq!(
            lines(&ended),
            [
                format!("{file}:1: max-conections is no setting; is max-connections meant?"),
                format!("{file}:3: whatever is no setting"),
                format!("{file}:4: listen-on is no setting; is listen meant?"),
            ],
            "{role:?}"
        );
    }
    // A file names no other file, and no help.
    for key in [
        "config = 'x'",
        "help = true",
        "version = true",
        "role = 'admin'",
    ] {
        let home = Home::new(key);
        let ended = home.run(&[]).await;
        assert!(lines(&ended)[0].contains("is no setting"), "{ended:?}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let home = Home::new("listen = 'x'\nmax-streams = 0\nunknown = 1\n");
    let mut server = home.server(&["--log-format=xml"]);
    let ended = run(server.env("TIDEGATE_MIGRATE", "never")).await;
    let lines = lines(&ended);
    assert_eq!(lines.len(), 5, "{lines:?}");
    for (word, line) in [
        "unknown",
        "listen",
        "TIDEGATE_MIGRATE",
        "max-streams",
        "--log-format",
    ]
    .iter()
    .zip(&lines)
    {
        assert!(line.contains(word), "{word}: {lines:?}");
    }
    // What the file says is wrong although something else comes before it.
    let ended = home
        .run(&["--listen", "127.0.0.1:0", "--max-streams", "1"])
        .await;
    assert!(
        ended.stderr.contains("tidegate.toml:1: listen"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn what_is_no_toml_and_no_file_is_told() {
    let home = Home::new("listen = '127.0.0.1:0'\nlisten = '127.0.0.1:1'\n");
    let ended = home.run(&[]).await;
    let told = lines(&ended);
    assert!(
        told[0].contains("tidegate.toml:2: duplicate key"),
        "{told:?}"
    );
    home.write("log = info\n");
    let ended = home.run(&[]).await;
    assert!(lines(&ended)[0].contains("tidegate.toml:1: "), "{ended:?}");
    let ended = home.run(&["--config", "elsewhere.toml"]).await;
    assert!(
        lines(&ended)[0].starts_with("elsewhere.toml: No such file"),
        "{ended:?}"
    );
    let ended = home
        .run(&[
            "token", "create", "--role", "admin", "--name", "x", "--config", "/",
        ])
        .await;
    assert!(lines(&ended)[0].starts_with("/: "), "{ended:?}");
}

#[tokio::test]
async fn what_belongs_together_is_missed_in_a_file_too() {
    for (text, missing) in [
        ("tls-cert = 'x'\n", "--tls-key <FILE>"),
        ("tls-client-ca = 'x'\ntls-key = 'y'\n", "--tls-cert <FILE>"),
        ("proxy-protocol = true\n", "--trusted-proxies <CIDR>"),
    ] {
        let ended = Home::new(text).run(&["config", "check"]).await;
        assert_eq!(lines(&ended), [format!("{missing} is missing")]);
    }
    let ended = Home::new("").run(&["ready"]).await;
    assert_eq!(lines(&ended), ["--metrics-listen <ADDRESS> is missing"]);
    let ended = Home::new("proxy-protocol = false\n")
        .run(&["config", "print"])
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_health_check_needs_a_port() {
    let home = Home::new("");
    let ended = home
        .run(&["ready", "--metrics-listen", "127.0.0.1:0"])
        .await;
    assert!(lines(&ended)[0].contains("not 0"), "{ended:?}");
    // It takes what it needs from the file of its server.
    home.write("metrics-listen = 'localhost:1'\nlisten = 'no-such-host.invalid:1'\n");
    let ended = home.run(&["ready"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("127.0.0.1:1"), "{ended:?}");
}
