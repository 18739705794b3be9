//! The standard variables of OpenTelemetry that say whether and where traces are sent, checked before the SDK reads them:
//! it would go on with a default where one is wrong.

use std::{env, fs};

use anyhow::{Context as _, bail, ensure};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use url::Url;

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
/// What the specification says where the variable is not set.
const QUEUE_DEFAULT: usize = 2_048;
const NUMBERS: [&str; 5] = [
    QUEUE,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
];
/// The file of the authorities of `https://`, in place of the system's.
const AUTHORITIES: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
/// What this server cannot do, and what to do instead.
const REFUSED: [(&str, &str); 2] = [
    (
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "is not supported: spans are sent as they are",
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "is not supported: spans are sent as they are",
    ),
];

/// A variable; one that is empty is not set.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// What keeps a server from starting with these variables.
///
/// # Errors
/// The first thing that is wrong, with the name of its variable.
pub fn faults() -> anyhow::Result<()> {
    read().map(drop)
}

/// Whether traces are to be sent.
pub(super) fn read() -> anyhow::Result<bool> {
    wanted(&variable)
}

/// Whether the collector is reached by TLS; whose certificates it may then show, PEM, where that is not left to the system.
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nothing is sent"))]
pub(super) fn tls() -> anyhow::Result<Option<Option<Vec<u8>>>> {
    let endpoint = first(&variable, &ENDPOINTS).and_then(|(_, text)| Url::parse(&text).ok());
    let is_secured = endpoint.is_some_and(|url| url.scheme() == "https");
    is_secured.then(|| authorities(&variable)).transpose()
}

/// How many spans may wait.
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "none wait"))]
pub(super) fn queue() -> usize {
    let given = variable(QUEUE).and_then(|text| text.parse().ok());
    given.unwrap_or(QUEUE_DEFAULT)
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The first of these variables that is set.
fn first(variable: Lookup<'_>, names: &[&'static str]) -> Option<(&'static str, String)> {
    let mut set = names
        .iter()
        .filter_map(|name| Some((*name, variable(name)?)));
    set.next()
}

fn authorities(variable: Lookup<'_>) -> anyhow::Result<Option<Vec<u8>>> {
    let Some((name, path)) = first(variable, &AUTHORITIES) else {
        return Ok(None);
    };
    let read = fs::read(&path);
    let pem = read.with_context(|| format!("{name} {path:?}: cannot be read"))?;
    let mut found = CertificateDer::pem_slice_iter(&pem);
    ensure!(
        found.next().is_some_and(|certificate| certificate.is_ok()),
        "{name} {path:?}: must be a file with a certificate in PEM"
    );
    Ok(Some(pem))
}

fn wanted(variable: Lookup<'_>) -> anyhow::Result<bool> {
    let is_disabled =
        variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let exporter = variable("OTEL_TRACES_EXPORTER");
    let Some((name, endpoint)) = first(variable, &ENDPOINTS) else {
        return Ok(false);
    };
    if is_disabled || exporter.as_deref() == Some("none") {
        return Ok(false);
    }
    if let Some(other) = exporter.filter(|it| it != "otlp") {
        bail!("OTEL_TRACES_EXPORTER {other:?}: must be otlp or none");
    }
    let url = Url::parse(&endpoint);
    let is_http = url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    ensure!(
        is_http,
        "{name} {endpoint:?}: must be a URL such as http://127.0.0.1:4317"
    );
    for name in PROTOCOLS {
        let other = variable(name).filter(|it| it != "grpc");
        if let Some(other) = other {
            bail!("{name} {other:?}: must be grpc; collectors take it at port 4317");
        }
    }
    authorities(variable)?;
    for (name, why) in REFUSED {
        ensure!(variable(name).is_none(), "{name} {why}");
    }
    for name in NUMBERS {
        let Some(text) = variable(name) else { continue };
        let number = text.parse::<u32>();
        ensure!(
            number.is_ok_and(|number| number > 0),
            "{name} {text:?}: must be a whole number from 1"
        );
    }
    check_sampler(variable)?;
    Ok(true)
}

fn check_sampler(variable: Lookup<'_>) -> anyhow::Result<()> {
    let Some(sampler) = variable(SAMPLER) else {
        return Ok(());
    };
    ensure!(
        SAMPLERS.contains(&sampler.as_str()),
        "{SAMPLER} {sampler:?}: must be one of {}",
        SAMPLERS.join(", ")
    );
    let Some(text) = variable(SAMPLER_ARG).filter(|_| sampler.ends_with("ratio")) else {
        return Ok(());
    };
    let ratio = text.parse::<f64>();
    ensure!(
        ratio.is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
        "{SAMPLER_ARG} {text:?}: must be from 0 to 1"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[(&str, &str)]) -> Result<bool, String> {
        let variable = |name: &str| {
            let found = set.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        wanted(&variable).map_err(|error| error.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

    #[test]
    fn traces_are_sent_where_an_endpoint_is_named() {
        assert_eq!(with(&[]), Ok(false));
        assert_eq!(with(&[("OTEL_TRACES_SAMPLER", "sometimes")]), Ok(false));
        assert_eq!(with(&[ENDPOINT]), Ok(true));
        assert_eq!(
            with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://otel:4317")]),
            Ok(true)
        );
        assert_eq!(with(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]), Ok(false));
        assert_eq!(
            with(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]),
            Ok(false)
        );
        assert_eq!(
            with(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "otlp")]),
            Ok(true)
        );
        let sampled = [
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ];
        assert_eq!(with(&sampled), Ok(true));
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/dev/null"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
        ] {
            let wrong = with(&[(name, value), ENDPOINT]).expect_err(name);
            assert!(wrong.starts_with(name), "{wrong}");
        }
        for ratio in ["1.5", "-1", "half", "NaN"] {
            let set = [ENDPOINT, (SAMPLER, "traceidratio"), (SAMPLER_ARG, ratio)];
            let wrong = with(&set).expect_err(ratio);
            assert!(wrong.starts_with(SAMPLER_ARG), "{wrong}");
        }
    }
}
