//! One trace leads from the span of a caller to the commit; and nobody waits for whoever collects it.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use tidegate_client::{Client, Direction};
use tidegate_tests::{
    Database, ServerProcess,
    certificates::{Authority, Folder, NAMES},
    collector::{Collector, attribute, hex},
    metrics,
    process::{binary, command, run},
    raw::NOBODY,
    soon,
};
use tokio::net::TcpListener;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const QUICK: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "50");
const LAZY: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "600000");
/// The span of a caller.
const PARENT: &str = "b7ad6b7169203331";
/// Longest time from SIGTERM to the end.
const LONGEST: Duration = Duration::from_secs(10);
/// How far the clocks of spans may be apart, in nanoseconds.
const SKEW: u64 = 1_000_000;

async fn server(variables: &[(&str, &str)]) -> ServerProcess {
    let arguments = ["--metrics-listen", "127.0.0.1:0", "--log", "debug"];
    let database = Database::fresh().await;
    ServerProcess::start_as("tidegate-server", &database, 0, &arguments, variables).await
}

/// Its client within a trace of that number, and the id of the trace.
async fn traced(server: &ServerProcess, number: u32, flags: &str) -> (Client, String) {
    let id = format!("0af7651916cd43dd8448eb21{number:08x}");
    let parent = format!("00-{id}-{PARENT}-{flags}");
    let client = server.client().await;
    let client = client.in_trace(&parent, Some("site=emden"));
    (client.expect("a trace context"), id)
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    match (found.next(), found.next()) {
        (Some(span), None) => span,
        _ => panic!("not one {name}: {spans:#?}"),
    }
}

fn said(span: &Span, name: &str) -> String {
    attribute(&span.attributes, name).unwrap_or_else(|| panic!("no {name}: {span:#?}"))
}

/// Whether `inner` lies within `outer` and is its child.
fn assert_within(inner: &Span, outer: &Span) {
    assert_eq!(
        hex(&inner.parent_span_id),
        hex(&outer.span_id),
        "{inner:#?}"
    );
    assert!(inner.start_time_unix_nano + SKEW >= outer.start_time_unix_nano);
    assert!(inner.end_time_unix_nano <= outer.end_time_unix_nano + SKEW);
    assert!(inner.start_time_unix_nano <= inner.end_time_unix_nano);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_caller_to_the_commit() {
    let collector = Collector::start().await;
    let server = server(&[(ENDPOINT, &collector.address), QUICK]).await;
    let (client, id) = traced(&server, 1, "01").await;
    let create = client.transfers().create(Direction::Send, "orders");
    let made = create.request_id("traced-1").await.expect("it is made");
    let spans = collector.trace(&id, 4).await;

    let call = named(&spans, "tidegate.v1.TransferService/CreateTransfer");
    assert_eq!(hex(&call.parent_span_id), PARENT);
    assert_eq!(call.trace_state, "site=emden");
    assert_eq!(call.kind, SpanKind::Server as i32);
    for (name, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "tidegate.v1.TransferService"),
        ("rpc.method", "CreateTransfer"),
        ("rpc.grpc.status_code", "0"),
        ("tidegate.request_id", "traced-1"),
        ("tidegate.transfer.uuid", &made.uuid.to_string()),
    ] {
        assert_eq!(said(call, name), value, "{name}");
    }
    let queue = named(&spans, "ledger queue");
    let batch = named(&spans, "ledger batch");
    let commit = named(&spans, "ledger commit");
    assert_within(queue, call);
    assert_within(batch, call);
    assert_within(commit, batch);
    assert_eq!(queue.end_time_unix_nano, batch.start_time_unix_nano);
    assert_eq!(said(batch, "tidegate.batch.commands"), "1");
    assert_eq!(said(batch, "tidegate.batch.tries"), "1");
    server.logged(&id).await;

    let resource = collector.resources().remove(0).resource;
    let resource = resource.expect("whose they are").attributes;
    let whose = attribute(&resource, "service.name");
    assert_eq!(whose.as_deref(), Some("tidegate-server"));
    let version = attribute(&resource, "service.version");
    assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_refusals_are_spans_too() {
    let collector = Collector::start().await;
    let named_so = ("OTEL_SERVICE_NAME", "gate-north");
    let server = server(&[(ENDPOINT, &collector.address), QUICK, named_so]).await;
    let (client, read) = traced(&server, 2, "01").await;
    let nobody = NOBODY.parse().expect("a uuid");
    let missing = client.transfers().get(nobody).await.expect_err("nobody");
    assert!(missing.is_not_found(), "{missing}");
    let spans = collector.trace(&read, 1).await;
    let call = named(&spans, "tidegate.v1.TransferService/GetTransfer");
    assert_eq!(said(call, "rpc.grpc.status_code"), "5");
    assert_eq!(said(call, "tidegate.transfer.uuid"), NOBODY);
    let fault = call.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(fault, StatusCode::Unset as i32, "the caller's mistake");

    // What is refused has waited and was decided, but there is nothing to commit.
    let (client, refused) = traced(&server, 3, "01").await;
    client.transfers().start(nobody).await.expect_err("nobody");
    let spans = collector.trace(&refused, 3).await;
    let call = named(&spans, "tidegate.v1.TransferService/StartTransfer");
    assert_eq!(said(call, "rpc.grpc.status_code"), "5");
    assert_within(named(&spans, "ledger batch"), call);
    assert!(spans.iter().all(|span| span.name != "ledger commit"));

    let resource = collector.resources().remove(0).resource;
    let whose = attribute(
        &resource.expect("whose they are").attributes,
        "service.name",
    );
    assert_eq!(whose.as_deref(), Some("gate-north"));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_sampled_is_not_sent_and_who_names_no_trace_begins_one() {
    let collector = Collector::start().await;
    let server = server(&[(ENDPOINT, &collector.address), LAZY]).await;
    let (quiet, unsampled) = traced(&server, 4, "00").await;
    let orders = quiet.transfers().create(Direction::Send, "orders");
    orders.await.expect("it is made");
    let plain = server.client().await;
    let orders = plain.transfers().create(Direction::Send, "orders");
    orders.await.expect("it is made");
    // What has gathered is sent at the end.
    let (status, _) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
    let mut spans = collector.spans();
    // With this a client connects.
    spans.retain(|span| !span.name.ends_with("/ListRecentTransfers"));
    assert_eq!(spans.len(), 4, "{spans:#?}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) != unsampled));
    let call = named(&spans, "tidegate.v1.TransferService/CreateTransfer");
    assert_eq!(call.parent_span_id, Vec::<u8>::new(), "it is the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_unless_it_is_asked_for() {
    let collector = Collector::start().await;
    let address = collector.address.as_str();
    for variables in [
        &[LAZY][..],
        &[(ENDPOINT, address), LAZY, ("OTEL_SDK_DISABLED", "true")],
        &[(ENDPOINT, address), LAZY, ("OTEL_TRACES_EXPORTER", "none")],
        &[
            (ENDPOINT, address),
            LAZY,
            ("OTEL_TRACES_SAMPLER", "always_off"),
        ],
    ] {
        let server = server(variables).await;
        let (client, _) = traced(&server, 5, "01").await;
        let orders = client.transfers().create(Direction::Send, "orders");
        orders.await.expect("it is made");
        let (status, _) = server.terminate().await;
        assert_eq!(status.code(), Some(0));
        assert_eq!(collector.spans(), [], "{variables:?}");
    }
}

/// Calls go on, what does not fit is counted and told of in one line, and the end comes in time. What the log says.
async fn goes_on_without(endpoint: &str, more: &[(&str, &str)]) -> String {
    let mut variables = vec![
        (ENDPOINT, endpoint),
        QUICK,
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
    ];
    variables.extend(more);
    let server = server(&variables).await;
    let (client, _) = traced(&server, 6, "01").await;
    for _ in 0..20 {
        let orders = client.transfers().create(Direction::Send, "orders");
        soon("an answer", orders.into_future())
            .await
            .expect("it is made");
    }
    let watched = metrics::address(&server).await;
    let dropped = "tidegate_trace_spans_total{outcome=\"dropped\"}";
    let sent = "tidegate_trace_spans_total{outcome=\"sent\"}";
    assert!(metrics::sample(&watched, dropped).await >= 20.0 * 4.0 - 2.0 * 8.0);
    assert_eq!(metrics::sample(&watched, sent).await, 0.0);
    let log = server.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("spans are dropped"));
    assert_eq!(lines.count(), 1, "{log}");
    let (status, took) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < LONGEST, "{took:?}");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_nobody_up() {
    // Connections are taken by the system, and nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().expect("it has an address");
    goes_on_without(&format!("http://{address}"), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_holds_nobody_up() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gone.local_addr().expect("it has an address");
    drop(gone);
    goes_on_without(&format!("http://{address}"), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_behind_tls_is_sent_spans_when_its_authority_is_known() {
    let authority = Authority::default();
    let certificate = authority.server(&NAMES);
    let collector = Collector::behind_tls(&certificate).await;
    let folder = Folder::of(&authority, &certificate);
    let ca = folder.argument("ca.pem");
    for (number, name) in [
        (7, "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        (8, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
        (9, "SSL_CERT_FILE"),
    ] {
        let server = server(&[(ENDPOINT, &collector.address), QUICK, (name, &ca)]).await;
        let (client, id) = traced(&server, number, "01").await;
        let orders = client.transfers().create(Direction::Send, "orders");
        orders.await.expect("it is made");
        collector.trace(&id, 4).await;
        server.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_trusted_gets_nothing_and_holds_nobody_up() {
    let collector = Collector::behind_tls(&Authority::default().server(&NAMES)).await;
    let other = Authority::new("somebody else");
    let folder = Folder::of(&other, &other.server(&NAMES));
    let ca = folder.argument("ca.pem");
    let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str());
    let log = goes_on_without(&collector.address, &[trusted]).await;
    assert!(log.contains("UnknownIssuer"), "{log}");
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
async fn variables_that_make_no_sense_end_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, value) in [
        (ENDPOINT, "collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ] {
        for arguments in [&["--listen", "127.0.0.1:0"][..], &["config", "check"]] {
            let mut server = command(binary("tidegate-server"));
            let server = server
                .args(arguments)
                .current_dir(folder.path())
                .env(ENDPOINT, "http://127.0.0.1:4317")
                .env(name, value);
            let ended = run(server).await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(
                ended.stderr.contains(&format!("{name} {value:?}: must be")),
                "{ended:?}"
            );
        }
    }
}
