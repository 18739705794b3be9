//! What is said of a metric, and how it counts.

use std::{collections::BTreeSet, time::Duration};

use super::*;

/// The samples whose names begin so.
fn samples(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.encode().expect("a text");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_metric_has_a_name_of_its_own_a_text_and_samples() {
    let metrics = Metrics::new(["tidegate.v1.TransferService/GetTransfer".to_owned()]);
    drop(metrics.calls.begin("/"));
    let names: BTreeSet<_> = metrics.described().iter().map(|it| it.name).collect();
    assert_eq!(names.len(), metrics.described().len());
    for Described { name, suffix, help } in metrics.described() {
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}");
        assert!(
            !samples(&metrics, &format!("{name}{suffix}")).is_empty(),
            "{name}"
        );
    }
}

#[test]
fn the_names_of_methods_are_those_of_the_contract() {
    let method = "tidegate.v1.TransferService/GetTransfer";
    let metrics = Metrics::new([method.to_owned()]);
    metrics.calls.begin(&format!("/{method}")).end(0);
    metrics.calls.begin(&format!("/{method}")).end(5);
    drop(metrics.calls.begin(&format!("/{method}")));
    for path in ["/tidegate.v1.TransferService/Made", "/", "", "/x?y", "//"] {
        metrics.calls.begin(path).end(12);
    }
    metrics.calls.begin("/x").end(99);
    let counts = samples(&metrics, "rpc_server_call_duration_seconds_count");
    let line = |method, code, count| {
        format!(
            "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",\
             rpc_response_status_code=\"{code}\"}} {count}"
        )
    };
    let wanted = [
        line(method, "OK", 1),
        line(method, "CANCELLED", 1),
        line(method, "NOT_FOUND", 1),
        line("_OTHER", "UNKNOWN", 1),
        line("_OTHER", "UNIMPLEMENTED", 5),
    ];
    assert_eq!(counts, wanted);
}

#[test]
fn a_histogram_counts_in_the_bucket_that_a_value_is_in() {
    let metrics = Metrics::default();
    let commit = &metrics.commit_duration;
    for millis in [0, 1, 2, 75, 10_000, 60_000] {
        commit.observe(Duration::from_millis(millis));
    }
    let name = "tidegate_ledger_commit_duration_seconds";
    for (bound, count) in [
        ("0.001", 2),
        ("0.0025", 3),
        ("0.05", 3),
        ("0.075", 4),
        ("10.0", 5),
        ("+Inf", 6),
    ] {
        let wanted = format!("{name}_bucket{{le=\"{bound}\"}} {count}");
        assert!(samples(&metrics, name).contains(&wanted), "{wanted}");
    }
    assert_eq!(
        samples(&metrics, &format!("{name}_count")),
        [format!("{name}_count 6")]
    );
    assert_eq!(
        samples(&metrics, &format!("{name}_sum")),
        [format!("{name}_sum 70.078")]
    );
    metrics.batch_commands.observe_count(512);
    metrics.batch_commands.observe_count(513);
    let name = "tidegate_ledger_batch_commands";
    for line in [
        "_bucket{le=\"256.0\"} 0",
        "_bucket{le=\"512.0\"} 1",
        "_bucket{le=\"+Inf\"} 2",
    ] {
        assert!(
            samples(&metrics, name).contains(&format!("{name}{line}")),
            "{line}"
        );
    }
}

#[test]
fn reasons_and_types_are_there_before_they_happen() {
    let metrics = Metrics::default();
    let refused = samples(&metrics, "tidegate_ledger_commands_refused_total{");
    assert_eq!(
        refused.len(),
        Refusal::REASONS.len() + Error::REASONS.len() - twice()
    );
    assert!(
        refused.contains(
            &"tidegate_ledger_commands_refused_total{reason=\"QUEUE_FULL\"} 0".to_owned()
        )
    );
    let written = samples(&metrics, "tidegate_log_events_written_total{");
    assert_eq!(written.len(), EventType::ALL.len());
}

/// Reasons that two refusals have.
fn twice() -> usize {
    let all = || Refusal::REASONS.iter().chain(Error::REASONS);
    let names: BTreeSet<_> = all().map(|(reason, _)| *reason).collect();
    all().count() - names.len()
}
