//! How long copies live, and how long they may be served after that.

use std::time::Duration;

use hitrate_cache::{Effect, Fill, OnWrite, Source};
use tokio::time::sleep;

use crate::{
    cell::{Cell, plain},
    world::World,
};

/// Keys that are loaded, written and put together do not end together.
#[tokio::test]
async fn each_way_to_store_a_value_spreads_the_ends() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = plain().jitter(0.5).on_write(OnWrite::Store);
    let cells = cache.namespace::<u64>("cell", policy);
    let cell = Cell::new(1);
    for n in 0..100_u64 {
        cells.get(n, cell.load()).await.unwrap();
        cells.write(100 + n, cell.write(1)).await.unwrap();
        cells.put_all([(200 + n, 1)]).await.unwrap();
        cells.get(300 + n, Cell::new(None).load()).await.unwrap();
    }
    for (start, max) in [(0, 60.0), (100, 60.0), (200, 60.0), (300, 10.0)] {
        let ttl = |n: u64| world.redis.command(&["PTTL", &format!("test:cell:{n}")]);
        let share = |n| ttl(n).parse::<f64>().unwrap() / 1000.0 / max;
        let shares: Vec<_> = (start..start + 100).map(share).collect();
        // Uniform in the upper half, less what has passed since: by chance less than one
        // of a million tests would find fewer in a quarter.
        let late = shares.iter().filter(|share| **share > 0.75).count();
        let early = shares.iter().filter(|share| **share < 0.75).count();
        assert!(late > 20 && early > 20, "from {start}: {late} late, {early} early");
        assert!(shares.iter().all(|share| (0.1..=1.0).contains(share)), "{shares:?}");
    }
}

/// Also in another process, which is not told but by Redis.
#[tokio::test]
async fn a_value_that_was_invalidated_and_reloaded_has_its_grace_period() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let policy = plain().with_ttl(Duration::from_millis(60));
    let [here, there] = [here, there].map(|cache| cache.namespace::<u64>("cell", policy));
    let cell = Cell::new(1);
    for round in 0..3 {
        cell.fail(false);
        here.get("a", cell.load()).await.unwrap();
        let _ = there.invalidate("a").await;
        let reloaded = here.lookup("a", cell.load()).await.unwrap();
        assert!(matches!(reloaded.fill, Fill::Stored(_)), "{:?}", reloaded.fill);
        // The TTL has to pass.
        sleep(Duration::from_millis(90)).await;
        cell.fail(true);
        let found = here.lookup("a", cell.load()).await.unwrap();
        assert_eq!(found.source, Source::Stale, "round {round}");
        let _ = there.invalidate("a").await;
        assert!(here.lookup("a", cell.load()).await.is_err(), "after an invalidation");
    }
}

#[tokio::test]
async fn durations_without_end_are_long_ones() {
    let world = World::new();
    let (cache, max) = (world.cache().await, Duration::MAX);
    let policy = plain().with_ttl(max).grace(max).hard_timeout(max).near(max).lease(Some(max));
    let policy = policy.absent_ttl(max).soft_timeout(Some(max)).on_write(OnWrite::Store);
    let cells = cache.namespace::<u64>("cell", policy.jitter(f64::NAN));
    let cell = Cell::new(1);
    for (id, value) in [("a", Some(1)), ("b", None)] {
        cell.set(value);
        let loaded = cells.lookup(id, cell.load()).await.unwrap();
        assert!(matches!(loaded.fill, Fill::Stored(_)), "{:?}", loaded.fill);
        assert_eq!(cells.peek(id).await.unwrap().value.as_deref().copied(), value);
    }
    assert_eq!(cells.write("a", cell.write(2)).await.unwrap().effect, Effect::Stored);
    let _ = cells.invalidate("a").await;
    assert_eq!(cells.get("a", cell.load()).await.unwrap().as_deref(), Some(&2));
}
