use std::{sync::atomic::Ordering, time::Duration};

use hitrate_cache::{CachePolicy, Fill, Source};
use rand::RngExt as _;
use tokio::time::sleep;

use crate::world::{World, age, default, named};

/// Races slow readers in two processes against a writer. Returns how many old
/// values are left.
async fn old_values_after_a_race(world: &World, policy: &CachePolicy, rounds: u32) -> u32 {
    let (one, other) = (world.cache().await, world.cache().await);
    let policy = &CachePolicy { lease: None, single_flight: false, ..*policy };
    let mut old = 0;
    for round in 1..=rounds {
        let id = round.to_string();
        world.origin.put(&id, 0);
        let pauses: [u64; 2] = rand::rng().random();
        world.origin.lag_ms.store(1 + pauses[0] % 3, Ordering::SeqCst);
        let write = async {
            sleep(Duration::from_millis(pauses[1] % 3)).await;
            world.write(&one, &id, 1, policy).await;
        };
        let reads = async {
            let (a, b) =
                tokio::join!(world.fetch(&one, &id, policy), world.fetch(&other, &id, policy));
            (a.unwrap(), b.unwrap())
        };
        tokio::join!(write, reads);
        world.origin.lag_ms.store(0, Ordering::SeqCst);
        let lookup = world.fetch(&other, &id, policy).await.unwrap();
        old += u32::from(age(&lookup) == 0);
    }
    old
}

#[tokio::test]
async fn a_slow_reader_never_leaves_an_old_value_behind() {
    let world = World::new();
    for name in ["read-through", "write-through", "write-around", "refresh-ahead", "write-behind"] {
        world.redis.run(&["FLUSHALL"]);
        assert_eq!(old_values_after_a_race(&world, &named(name), 150).await, 0, "{name}");
    }
}

#[tokio::test]
async fn without_versions_an_old_value_is_stored() {
    let world = World::new();
    let mut old = 0;
    for _ in 0..20 {
        world.redis.run(&["FLUSHALL"]);
        old += old_values_after_a_race(&world, &named("cache-aside"), 100).await;
        if old > 0 {
            return;
        }
    }
    panic!("no old value in 2,000 races of cache-aside: this test proves nothing");
}

#[tokio::test]
async fn a_read_after_a_write_through_is_a_hit() {
    let world = World::new();
    world.origin.put("1", 30);
    let (one, other) = (world.cache().await, world.cache().await);
    let policy = named("write-through");
    assert_eq!(world.write(&one, "1", 31, &policy).await.version, Some(2));
    for cache in [&one, &other] {
        let lookup = world.fetch(cache, "1", &policy).await.unwrap();
        assert_eq!((age(&lookup), lookup.source, lookup.version), (31, Source::Cache, Some(2)));
    }
    assert_eq!(world.origin.loads(), 0);
}

#[tokio::test]
async fn the_first_read_after_a_write_around_is_a_miss() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-around"));
    world.fetch(&cache, "1", &policy).await.unwrap();
    world.write(&cache, "1", 31, &policy).await;
    let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&lookup), lookup.source), (31, Source::Database));
}

#[tokio::test]
async fn a_value_read_near_the_end_of_its_ttl_is_reloaded_once() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let policy = named("refresh-ahead").ttl(Duration::from_millis(1_000));
    world.fetch(&cache, "1", &policy).await.unwrap();
    world.origin.slow(50);
    sleep(Duration::from_millis(860)).await;
    let lookups = (0..20).map(|_| world.fetch(&cache, "1", &policy));
    for found in futures_util::future::join_all(lookups).await {
        assert_eq!(found.unwrap().source, Source::Cache, "no read waits for it");
    }
    sleep(Duration::from_millis(250)).await;
    assert_eq!(world.origin.loads(), 2, "the first, and one in the background");
    let later = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(later.source, Source::Cache, "after the first TTL");
}

#[tokio::test]
async fn an_early_refresh_is_one_load_in_the_background() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(200);
    let cache = world.cache().await;
    // A β of 50 and a load of 200 ms refresh 10 s ahead: nearly certain.
    let policy = CachePolicy { xfetch_beta: Some(50.0), ..default().ttl(Duration::from_secs(2)) };
    world.fetch(&cache, "1", &policy).await.unwrap();
    for _ in 0..20 {
        let found = world.fetch(&cache, "1", &policy).await.unwrap();
        assert_eq!(found.source, Source::Cache);
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.origin.loads(), 2);
}

#[tokio::test]
async fn a_missing_value_is_cached_as_absent() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = CachePolicy { absent_ttl: Duration::from_millis(300), ..default() };
    let first = world.fetch(&cache, "unknown", &policy).await.unwrap();
    assert_eq!((first.value.is_none(), first.version), (true, None));
    let second = world.fetch(&cache, "unknown", &policy).await.unwrap();
    assert_eq!((second.source, world.origin.loads()), (Source::Cache, 1));
    sleep(Duration::from_millis(350)).await;
    world.origin.put("unknown", 1);
    assert_eq!(age(&world.fetch(&cache, "unknown", &policy).await.unwrap()), 1);
    assert!(matches!(first.fill, Fill::Stored(_)));
}
