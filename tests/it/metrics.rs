//! What operators can measure: each metric moves when its cause happens, and the listener is as careful as the other one.

mod alerts;
mod calls;
mod documents;
mod listener;
mod moves;

use std::collections::BTreeSet;

use tidegate_server::metrics::Metrics;
use tidegate_tests::{
    SOON, World, WorldOptions,
    metrics::{sample, samples},
};

/// A server that is watched, and the metrics that were seen to move.
struct Watched {
    world: World,
    seen: BTreeSet<&'static str>,
}

impl Watched {
    async fn start(options: WorldOptions) -> Self {
        let options = WorldOptions {
            metrics: true,
            ..options
        };
        Self {
            world: World::start_with(options).await,
            seen: BTreeSet::new(),
        }
    }

    fn address(&self) -> &str {
        self.world.metrics.as_deref().expect("it was asked for")
    }

    async fn now(&self, name: &str) -> f64 {
        sample(self.address(), name).await
    }

    /// The sample is above what it was before `cause`, soon after it.
    async fn rises<T>(&mut self, name: &str, cause: impl Future<Output = T>) -> T {
        let before = self.now(name).await;
        let done = cause.await;
        self.becomes(name, |value| value > before).await;
        done
    }

    /// The sample is soon as it should be.
    async fn becomes(&mut self, name: &str, is_so: impl Fn(f64) -> bool) {
        let metrics = Metrics::default();
        let described = metrics.described().iter().find(|metric| {
            let of_it = name.strip_prefix(metric.name);
            of_it.is_some_and(|rest| {
                let suffixes = [metric.suffix, "_count", "_sum"];
                let rest = rest.split('{').next().unwrap_or_default();
                suffixes.contains(&rest)
            })
        });
        let described = described.unwrap_or_else(|| panic!("{name} is no metric"));
        let wait = async {
            while !is_so(self.now(name).await) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(SOON, wait).await.is_err() {
            let all = samples(self.address()).await;
            let family = all
                .iter()
                .filter(|(each, _)| each.starts_with(described.name));
            let family: Vec<_> = family
                .filter(|(each, _)| !each.contains("_bucket{"))
                .collect();
            panic!("{name} did not move: {family:#?}");
        }
        self.seen.insert(described.name);
    }
}
