//! The rules for alerts fire on what a real server says when their cause has happened. Prometheus, as promtool, is shown what
//! was scraped before it and in it, each as if it had lasted for minutes.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tidegate_tests::{
    Database, ServerProcess, WorldOptions,
    certificates::{Authority, Folder, NAMES},
    metrics,
    needs::Need,
    process::{command, run},
    skip_without, soon,
    tools::tool,
};

use super::Watched;

/// The samples of a server, with the times that some of them are given as seconds from now.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    async fn of(address: &str) -> Self {
        let mut samples = metrics::samples(address).await;
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        for (name, value) in &mut samples {
            // Prometheus begins its tests at the time 0.
            if name.ends_with("_timestamp_seconds") && *value > 0.0 {
                *value -= now.as_secs_f64();
            }
        }
        samples.retain(|name, _| !name.contains("_bucket"));
        Self(samples)
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// The first for which that is so.
    async fn when(address: &str, is_so: impl Fn(&Self) -> bool) -> Self {
        let scraped = async {
            loop {
                let scrape = Self::of(address).await;
                if is_so(&scrape) {
                    return scrape;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("what is to alarm", scraped).await
    }
}

/// Five minutes of what was before, then twenty of what came.
fn series(before: &Scrape, after: &Scrape) -> Vec<Value> {
    let one = |(sample, value): (&String, &f64)| {
        let earlier = before.0.get(sample);
        let earlier = earlier.map_or("_x20".to_owned(), |value| format!("{value}+0x19"));
        let name = match sample.split_once('{') {
            Some((name, labels)) => format!("{name}{{instance=\"a\",{labels}"),
            None => format!("{sample}{{instance=\"a\"}}"),
        };
        json!({ "series": name, "values": format!("{earlier} {value}+0x80") })
    };
    after.0.iter().map(one).collect()
}

/// Exactly these alerts fire three minutes after the cause, and none did before it.
async fn assert_fires(before: &Scrape, after: &Scrape, alerts: &[&str]) {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/alerts.yml");
    let rules = rules.canonicalize().expect("the rules");
    let firing =
        |alert: &&str| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 });
    let fired: Vec<_> = alerts.iter().map(firing).collect();
    let expr = "count by (alertname) (ALERTS{alertstate=\"firing\"})";
    let tests = json!({
        "rule_files": [rules],
        "evaluation_interval": "15s",
        "tests": [{
            "interval": "15s",
            "input_series": series(before, after),
            "promql_expr_test": [
                { "expr": expr, "eval_time": "4m", "exp_samples": [] },
                { "expr": expr, "eval_time": "8m", "exp_samples": fired },
            ],
        }],
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tests.json");
    std::fs::write(&file, tests.to_string()).expect("it can be written");
    let mut promtool = command(tool("promtool"));
    let ended = run(promtool.args(["test", "rules"]).arg(&file)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_is_about_to_expire_alarms() {
    skip_without!(Need::Tool("promtool"));
    let mut watched = Watched::start(WorldOptions::default()).await;
    let mut raw = watched.world.services().await;
    let waiting = raw.declared().await.uuid;
    let before = Scrape::of(watched.address()).await;
    raw.ask(&waiting, Duration::from_secs(1_200)).await;
    // It is looked at now and then, and at the start.
    watched.world.stop().await;
    watched.world.resume().await;
    let next = "tidegate_approval_next_expiry_timestamp_seconds";
    let after = Scrape::when(watched.address(), |it| it.get(next) > 0.0).await;
    assert_fires(&before, &after, &["TidegateApprovalExpires"]).await;
    let mut raw = watched.world.services().await;
    raw.approve(&waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_about_to_expire_alarms() {
    skip_without!(Need::Tool("promtool"));
    let authority = Authority::default();
    let folder = Folder::of(&authority, &authority.expiring(&NAMES, 90));
    let mut arguments = folder.arguments();
    arguments.extend(["--metrics-listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let address = metrics::address(&server).await;
    let serves = |it: &Scrape| it.get("tidegate_serving") == 1.0;
    let before = Scrape::when(&address, serves).await;
    folder.put("server", &authority.expiring(&NAMES, 13));
    server.signal("HUP").await;
    let expiry = "tidegate_tls_certificate_expiry_timestamp_seconds";
    let after = Scrape::when(&address, |it| it.get(expiry) < before.get(expiry) - 1.0).await;
    assert_fires(&before, &after, &["TidegateCertificateExpires"]).await;
    server.kill().await;
}
