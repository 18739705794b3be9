//! SIGHUP: settings are read again, and those that may change while the server runs do.

use std::sync::Arc;

use tokio::{signal::unix::Signal, sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Changes, Config, Limits, Role, Settings},
    metrics::Metrics,
    telemetry,
};

/// Reads settings again.
pub struct Reload {
    /// Those that hold; none where there is nothing to read again.
    settings: Option<Settings>,
    limits: watch::Sender<Limits>,
    metrics: Arc<Metrics>,
}

impl Reload {
    /// Has read nothing yet; the limits as they hold at any time.
    pub fn new(
        settings: Option<Settings>,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> (Self, watch::Receiver<Limits>) {
        let (sender, receiver) = watch::channel(limits);
        let reload = Self {
            settings,
            limits: sender,
            metrics,
        };
        reload.hold(limits);
        (reload, receiver)
    }

    /// Reads them whenever SIGHUP comes, until `stop` is cancelled.
    pub async fn run(mut self, mut hangup: Signal, stop: CancellationToken) {
        while let Some(Some(())) = stop.run_until_cancelled(hangup.recv()).await {
            let Some(settings) = self.settings.clone() else {
                continue;
            };
            // A file may be slow, and names are resolved.
            let outcome = match spawn_blocking(move || settings.again()).await {
                Ok(Ok((Role::Serve(config), found))) => self.take(&config, found),
                Ok(Ok(_)) => Err("the command line no longer serves".to_owned()),
                Ok(Err(refused)) => Err(refused.lines().join("; ")),
                Err(died) => Err(died.to_string()),
            };
            self.metrics.reloads.inc(match outcome {
                Ok(()) => "ok",
                Err(_) => "failed",
            });
            if let Err(error) = outcome {
                tracing::error!(%error, "SIGHUP: the settings cannot be used; the previous ones hold");
            }
        }
    }

    fn take(&mut self, config: &Config, found: Settings) -> Result<(), String> {
        let Some(settings) = &mut self.settings else {
            return Ok(());
        };
        let changes = settings.take(found);
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        self.hold(config.limits);
        // Whichever filter lets it through.
        let is_heard = tracing::enabled!(tracing::Level::INFO);
        if is_heard {
            tell(&changes);
        }
        telemetry::refilter(&config.log)?;
        if !is_heard {
            tell(&changes);
        }
        Ok(())
    }

    fn hold(&self, limits: Limits) {
        let streams = i64::try_from(limits.max_streams).unwrap_or(i64::MAX);
        self.metrics.streams_limit.set(streams);
        self.limits.send_replace(limits);
    }
}

fn tell(changes: &Changes) {
    let (changed, restart) = (changes.taken.join(", "), changes.waiting.join(", "));
    match (changed.as_str(), restart.as_str()) {
        ("", "") => tracing::info!("SIGHUP: no setting has changed"),
        (_, "") => tracing::info!(changed, "SIGHUP: settings have changed"),
        _ => tracing::warn!(
            changed,
            needs_restart = restart,
            "SIGHUP: some of the settings that were changed need a restart"
        ),
    }
}
