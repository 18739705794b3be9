//! Looks whether a server could start with its settings, without the database.

use anyhow::Context as _;
use prometheus_client::metrics::gauge::Gauge;

use crate::{checkpoint::SigningKey, config::Config, net::tls::Tls, traces};

/// What keeps a server from starting with these settings and the files that they name: a line for each.
pub async fn faults(config: &Config) -> Vec<String> {
    let database = &config.database;
    let urls = std::iter::once(&database.url).chain(&database.direct_url);
    let tls = match config.transport.files() {
        Some(files) => Tls::load(files, Gauge::default()).await.map(drop),
        None => Ok(()),
    };
    let password = match &database.password_file {
        Some(path) => std::fs::read(path)
            .map(drop)
            .with_context(|| format!("the password in {} cannot be read", path.display())),
        None => Ok(()),
    };
    let checkpoint_key = config.checkpoints.key.as_deref();
    let checkpoint_key = checkpoint_key.map_or(Ok(()), |key| SigningKey::read(key).map(drop));
    let mut outcomes = vec![
        config.exposure().map_err(Into::into),
        tls.context("TLS cannot be used"),
        config.pepper.read().map(drop).map_err(Into::into),
        password,
        checkpoint_key.map_err(Into::into),
        traces::faults(),
    ];
    outcomes.extend(urls.map(|url| {
        let read = tidegate_store::without_password(url);
        read.map(drop).map_err(Into::into)
    }));
    let faults = outcomes.into_iter().filter_map(Result::err);
    faults
        .map(|error: anyhow::Error| format!("{error:#}"))
        .collect()
}
