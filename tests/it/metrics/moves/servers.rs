//! Metrics that take a server of their own.

use super::*;

/// A signal goes to a process of its own.
pub(super) async fn reloads() -> &'static str {
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let line = server.logged("metrics and health over HTTP").await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let address = line["address"].as_str().expect("an address");
    let name = "tidegate_reloads_total{outcome=\"ok\"}";
    assert_eq!(metrics::sample(address, name).await, 0.0);
    server.signal("HUP").await;
    let counted = async {
        while metrics::sample(address, name).await != 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the count", counted).await;
    server.kill().await;
    "tidegate_reloads"
}

pub(super) async fn checkpoints() -> &'static str {
    let signer = Signer::new();
    let mut arguments = signer.arguments();
    arguments.extend(["--metrics-listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let address = metrics::address(&server).await;
    let name = "tidegate_checkpoints_total{outcome=\"ok\"}";
    assert_eq!(metrics::sample(&address, name).await, 0.0);
    told(server.raw().await.create_transfer(plain())).await;
    let counted = async {
        while metrics::sample(&address, name).await != 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the count", counted).await;
    server.kill().await;
    "tidegate_checkpoints"
}

pub(super) async fn spans() -> &'static str {
    let collector = Collector::start().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let database = Database::fresh().await;
    let server =
        ServerProcess::start_as("tidegate-server", &database, 0, &arguments, &variables).await;
    let address = metrics::address(&server).await;
    let name = "tidegate_trace_spans_total{outcome=\"sent\"}";
    assert_eq!(metrics::sample(&address, name).await, 0.0);
    told(server.raw().await.create_transfer(plain())).await;
    let counted = async {
        while metrics::sample(&address, name).await != 4.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the count", counted).await;
    server.kill().await;
    "tidegate_trace_spans"
}

/// The metric follows the files.
pub(super) async fn certificates() -> &'static str {
    let authority = Authority::default();
    let folder = Folder::of(&authority, &authority.expiring(&NAMES, 90));
    let mut arguments = folder.arguments();
    arguments.extend(["--metrics-listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let address = metrics::address(&server).await;
    let days = async || {
        let name = "tidegate_tls_certificate_expiry_timestamp_seconds";
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        let left = metrics::sample(&address, name).await - now.as_secs_f64();
        (left / (24.0 * 3_600.0)).round()
    };
    assert_eq!(days().await, 90.0);
    folder.put("server", &authority.expiring(&NAMES, 30));
    server.signal("HUP").await;
    let told = async {
        while days().await != 30.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the new certificate", told).await;
    server.kill().await;
    "tidegate_tls_certificate_expiry_timestamp_seconds"
}
