//! Who may call: every method for everybody, streams that end with the rights of their callers, agents that see their own
//! connection alone, limits, and what the log says about it.

mod actors;
mod canary;
mod limits;
mod matrix;
mod scope;
mod streams;

use tidegate_tests::{World, WorldOptions, cast::Cast};

async fn cast() -> (World, Cast) {
    cast_with(WorldOptions::guarded()).await
}

async fn cast_with(options: WorldOptions) -> (World, Cast) {
    let world = World::start_with(options).await;
    let cast = Cast::of(&world).await;
    (world, cast)
}
