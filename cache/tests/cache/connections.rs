//! Several connections of one cache, each driven by a runtime of its own.

use std::time::Duration;

use hitrate_cache::{Cache, Source};

use crate::{
    cell::{Cell, plain},
    world::{SOON, World, within},
};

/// Runs this on a runtime of its own, on a connection of its own.
async fn on_another_runtime<R: Send + 'static>(
    cache: &Cache,
    work: impl AsyncFnOnce(Cache) -> R + Send + 'static,
) -> R {
    let cache = cache.clone();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let own = cache.with_own_connection();
            own.ready(SOON).await.unwrap();
            work(own).await
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_near_cache_is_shared_and_survives_a_runtime() {
    let world = World::new();
    let cache = world.cache().await;
    let (cell, policy) = (Cell::new(1), plain().near(Duration::from_secs(30)));
    let cells = cache.namespace::<u64>("cell", policy);
    within(SOON, || cache.health().is_tracking).await;
    while cells.lookup(7, cell.load()).await.unwrap().source != Source::Memory {}
    let load = cell.load();
    let found = on_another_runtime(&cache, async move |own| {
        own.namespace::<u64>("cell", policy).lookup(7, load).await.unwrap().source
    })
    .await;
    assert_eq!(found, Source::Memory);
    cell.set(2);
    on_another_runtime(&cache, async move |own| {
        let _ = own.namespace::<u64>("cell", policy).invalidate(7).await;
    })
    .await;
    assert_eq!(cells.get(7, cell.load()).await.unwrap().as_deref(), Some(&2), "at once");
}

#[tokio::test]
async fn a_load_is_shared_by_callers_on_other_connections() {
    let world = World::new();
    let cache = world.cache().await;
    let (cell, policy) = (Cell::new(1), plain().lease(None));
    let cells = cache.namespace::<u64>("cell", policy);
    let slow = cell.slow_load(Duration::ZERO, Duration::from_millis(300));
    let first = tokio::spawn(async move { cells.get(7, slow).await.unwrap() });
    within(SOON, || cell.loads() == 1).await;
    let load = cell.load();
    let found = on_another_runtime(&cache, async move |own| {
        own.namespace::<u64>("cell", policy).lookup(7, load).await.unwrap()
    })
    .await;
    assert!(found.collapsed);
    assert_eq!((first.await.unwrap(), cell.loads()), (found.value, 1));
}

/// The runtime that drives a load ends in the middle of it.
#[tokio::test]
async fn a_load_whose_runtime_ends_does_not_block_the_others() {
    let world = World::new();
    let cache = world.cache().await;
    let (cell, policy) = (Cell::new(1), plain().lease(Some(Duration::from_millis(300))));
    let begun = cell.clone();
    on_another_runtime(&cache, async move |own| {
        let slow = begun.slow_load(Duration::ZERO, Duration::from_secs(60));
        let cells = own.namespace::<u64>("cell", policy);
        tokio::spawn(async move { cells.get(7, slow).await });
        within(SOON, || begun.loads() == 1).await;
    })
    .await;
    let cells = cache.namespace::<u64>("cell", policy);
    assert_eq!(cells.get(7, cell.load()).await.unwrap().as_deref(), Some(&1));
}
