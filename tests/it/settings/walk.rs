//! Every setting that is defined, in each of the three places.

use std::fs;

use tidegate_tests::process::run;

use super::{Home, keys, printed, variable};

/// Three values that a setting may have, as a file writes them: for the file, the variable and the flag.
fn good(key: &str) -> [&'static str; 3] {
    match key {
        "listen" | "metrics-listen" => [r#""127.0.0.1:1""#, r#""[::1]:2""#, r#""127.0.0.3:3""#],
        "tls-cert"
        | "tls-key"
        | "tls-client-ca"
        | "token-pepper-file"
        | "checkpoint-key"
        | "checkpoint-file"
        | "database-password-file" => [r#""a""#, r#""b""#, r#""c""#],
        "auth" => [r#""required""#, r#""off""#, r#""required""#],
        "insecure" | "proxy-protocol" => ["true", "false", "true"],
        "trusted-proxies" => [
            r#"["10.0.0.0/8", "192.0.2.1/32"]"#,
            r#"["192.0.2.0/24", "198.51.100.0/24"]"#,
            r#"["203.0.113.0/24"]"#,
        ],
        "database-url" => [
            r#""sqlite://a.db?mode=rwc""#,
            r#""sqlite://b.db""#,
            r#""postgres://c@127.0.0.1/c""#,
        ],
        "database-direct-url" => [
            r#""postgres://a@127.0.0.1/a""#,
            r#""postgres://b@127.0.0.1/b""#,
            r#""postgres://c@127.0.0.1/c""#,
        ],
        "database-pooling" => [r#""transaction""#, r#""session""#, r#""transaction""#],
        "migrate" => [r#""check""#, r#""off""#, r#""auto""#],
        "event-retention" | "access-retention" | "transfer-retention" => {
            [r#""30d""#, r#""60d""#, r#""90d""#]
        }
        "drain-delay" => [r#""0s""#, r#""250ms""#, r#""2s""#],
        "reflection" => [r#""off""#, r#""open""#, r#""authenticated""#],
        "cors-origin" => [
            r#"["https://a.example", "http://b.example:8080"]"#,
            r#"["https://c.example", "https://d.example"]"#,
            r#"["https://e.example"]"#,
        ],
        "checkpoint-interval"
        | "sweep-interval"
        | "heartbeat-timeout"
        | "stop-grace"
        | "max-connection-age"
        | "answer-timeout" => [r#""2s""#, r#""3s""#, r#""4s""#],
        "max-connections"
        | "max-connections-per-address"
        | "max-streams"
        | "requests-per-minute" => ["20", "30", "40"],
        "log" => [r#""warn""#, r#""info,sqlx=warn""#, r#""error""#],
        "log-format" => [r#""json""#, r#""text""#, r#""auto""#],
        other => panic!("{other} needs three values here"),
    }
}

/// A value as a flag or a variable has it.
fn bare(value: &str) -> String {
    value.trim_matches(['[', ']']).replace(['"', ' '], "")
}

/// A file with every setting.
fn whole() -> String {
    let lines = keys().into_iter().map(|key| {
        let [value, ..] = good(&key);
        format!("{key} = {value}\n")
    });
    lines.collect()
}

#[tokio::test]
async fn a_flag_beats_a_variable_and_a_variable_the_file() {
    let home = Home::new(&whole());
    let file = printed(&home.run(&["config", "print"]).await);
    let mut server = home.server(&["config", "print"]);
    for key in keys() {
        server.env(variable(&key), bare(good(&key)[1]));
    }
    let variables = printed(&run(&mut server).await);
    for key in keys() {
        server.arg(format!("--{key}={}", bare(good(&key)[2])));
    }
    let flags = printed(&run(&mut server).await);
    for (number, key) in (1..).zip(keys()) {
        let [first, second, third] = good(&key).map(str::to_owned);
        let place = format!("{}:{number}", home.file().display());
        assert_eq!(file[&key], (first, place), "{key}");
        assert_eq!(variables[&key], (second, variable(&key)), "{key}");
        assert_eq!(flags[&key], (third, "flag".to_owned()), "{key}");
    }
}

#[tokio::test]
async fn each_setting_alone_is_taken_from_the_file() {
    let defaults = Home::new("");
    let defaults = printed(&defaults.run(&["config", "print"]).await);
    for key in keys() {
        let needs = match key.as_str() {
            "tls-cert" => "tls-key = 'x'\n",
            "tls-key" => "tls-cert = 'x'\n",
            "tls-client-ca" => "tls-cert = 'x'\ntls-key = 'x'\n",
            "checkpoint-key" => "checkpoint-file = 'x'\n",
            "checkpoint-file" => "checkpoint-key = 'x'\n",
            "proxy-protocol" => "trusted-proxies = ['127.0.0.1']\n",
            _ => "",
        };
        let [value, ..] = good(&key);
        let home = Home::new(&format!("{needs}{key} = {value}\n"));
        let found = printed(&home.run(&["config", "print"]).await);
        assert_eq!(found[&key].0, value, "{key}");
        let others = found
            .iter()
            .filter(|(other, _)| **other != key && !needs.contains(*other));
        for (other, is) in others {
            assert_eq!(defaults.get(other), Some(is), "{key} changes {other}");
        }
    }
}

#[tokio::test]
async fn what_is_printed_can_be_read_again() {
    let home = Home::new(&whole());
    let first = home.run(&["config", "print"]).await;
    let again = Home::new("");
    fs::write(again.file(), &first.stdout).expect("it can be written");
    let second = again.run(&["config", "print"]).await;
    let (first, second) = (printed(&first), printed(&second));
    assert_eq!(first.len(), second.len());
    for (key, (value, _)) in first {
        assert_eq!(second[&key].0, value, "{key}");
    }
    // What nobody has set, too.
    let bare = Home::new("");
    let printed_bare = bare.run(&["config", "print"]).await;
    bare.write(&printed_bare.stdout);
    let again = printed(&bare.run(&["config", "print"]).await);
    for (key, (value, _)) in printed(&printed_bare) {
        assert_eq!(again[&key].0, value, "{key}");
    }
}

#[tokio::test]
async fn a_switch_can_be_turned_off_above_the_file() {
    let home = Home::new("insecure = true\n");
    for (variable, flag, wanted, origin) in [
        ("", None, "true", "tidegate.toml:1"),
        ("false", None, "false", "TIDEGATE_INSECURE"),
        ("false", Some("--insecure"), "true", "flag"),
        ("true", Some("--insecure=false"), "false", "flag"),
    ] {
        let mut server = home.server(&["config", "print"]);
        server.env("TIDEGATE_INSECURE", variable).args(flag);
        let found = printed(&run(&mut server).await);
        let (value, from) = &found["insecure"];
        assert_eq!(value, wanted, "{variable} {flag:?}");
        assert!(from.ends_with(origin), "{from}");
    }
}
