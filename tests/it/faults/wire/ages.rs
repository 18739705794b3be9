//! Connections that began together are not asked to end together.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tidegate_tests::{World, WorldOptions, http2::Http2, raw::plain, soon};

const CONNECTIONS: usize = 60;
const AGE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn connections_that_began_together_end_apart() {
    let world = World::start_with(WorldOptions {
        max_connection_age: AGE,
        ..WorldOptions::default()
    })
    .await;
    let path = "/tidegate.v1.TransferService/CreateTransfer";
    let lives = (0..CONNECTIONS).map(|_| async {
        let mut http2 = Http2::to(&world.address).await;
        let began = Instant::now();
        http2.call(path, &plain()).await;
        soon("the end of a connection", async {
            while !http2.has_ended() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        began.elapsed()
    });
    let mut ages = join_all(lives).await;
    ages.sort_unstable();
    let (first, last) = (ages[0], ages[CONNECTIONS - 1]);
    assert!(first > AGE.mul_f64(0.85), "{first:?}");
    assert!(last < AGE.mul_f64(2.0), "{last:?}");
    // Drawn from one second; on a loaded machine they differ more, not less. Sixty that share one age end within moments.
    assert!(last - first > AGE / 8, "{first:?} to {last:?}");
    let crowded = ages.windows(CONNECTIONS / 2);
    let closest = crowded.map(|half| half[half.len() - 1] - half[0]).min();
    assert!(
        closest > Some(AGE / 25),
        "half of them end within {closest:?}"
    );
}
