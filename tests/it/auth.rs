//! Who may call: every method for everybody, streams that end with the rights of their callers, agents that see their own
//! connection alone, limits, and what the log says about it.

mod actors;
mod canary;
mod limits;
mod matrix;
mod reflection;
mod refusals;
mod scope;
mod streams;

pub(crate) use self::actors::waiting;

use tidegate_tests::{World, WorldOptions, actors::Actors};

pub(crate) async fn actors() -> (World, Actors) {
    actors_with(WorldOptions::guarded()).await
}

async fn actors_with(options: WorldOptions) -> (World, Actors) {
    let world = World::start_with(options).await;
    let actors = Actors::of(&world).await;
    (world, actors)
}
