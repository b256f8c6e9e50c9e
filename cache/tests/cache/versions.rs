use std::{sync::atomic::Ordering, time::Duration};

use hitrate_cache::{CachePolicy, Fill, Protection, Refresh, Source};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    seed::seed_or,
    world::{SOON, World, age, default, named, within},
};

/// Readers whose row grows old on the way, in two processes, against a writer.
async fn old_values_after_a_race(
    world: &World,
    policy: &CachePolicy,
    rounds: u32,
    rng: &mut StdRng,
) -> u32 {
    let (one, other) = (world.cache().await, world.cache().await);
    let policy = &policy.lease(None).without(Protection::SingleFlight);
    let mut old = 0;
    for round in 1..=rounds {
        let id = round.to_string();
        world.origin.put(&id, 0);
        let pauses: [u64; 2] = rng.random();
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
    let (world, mut rng) = (World::new(), StdRng::seed_from_u64(seed_or(1)));
    for name in ["read-through", "write-through", "write-around", "refresh-ahead", "write-behind"] {
        world.redis.flush();
        let old = old_values_after_a_race(&world, &named(name), 150, &mut rng).await;
        assert_eq!(old, 0, "{name}");
    }
}

#[tokio::test]
async fn without_versions_the_same_race_is_lost() {
    let (world, mut rng) = (World::new(), StdRng::seed_from_u64(seed_or(1)));
    let mut old = 0;
    for _ in 0..20 {
        world.redis.flush();
        old += old_values_after_a_race(&world, &named("cache-aside"), 100, &mut rng).await;
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
    let policy = named("refresh-ahead").with_ttl(Duration::from_secs(3));
    world.fetch(&cache, "1", &policy).await.unwrap();
    world.origin.slow(50);
    // Into the last fifth of the TTL, with time left for those who ask.
    sleep(Duration::from_millis(2_450)).await;
    let asked = (0..20).map(|_| world.fetch(&cache, "1", &policy));
    for found in futures_util::future::join_all(asked).await {
        assert_eq!(found.unwrap().source, Source::Cache, "nobody waits for it");
    }
    // Past the first TTL.
    sleep(Duration::from_millis(600)).await;
    assert_eq!(world.origin.loads(), 2, "the first, and one in the background");
    let later = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(later.source, Source::Cache);
}

#[tokio::test]
async fn an_early_refresh_is_one_load_in_the_background() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(200);
    let cache = world.cache().await;
    // A β of 50 and a load of 200 ms refresh 10 s ahead: nearly certain.
    let policy = default().with_ttl(Duration::from_secs(2)).refresh(Refresh::Early(50.0));
    world.fetch(&cache, "1", &policy).await.unwrap();
    for _ in 0..20 {
        let found = world.fetch(&cache, "1", &policy).await.unwrap();
        assert_eq!(found.source, Source::Cache);
    }
    within(SOON, || world.origin.loads() == 2).await;
    // A second one would have begun by the time the first has ended.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.origin.loads(), 2);
}

#[tokio::test]
async fn a_missing_value_is_cached_as_absent() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = default().absent_ttl(Duration::from_millis(300));
    let first = world.fetch(&cache, "unknown", &policy).await.unwrap();
    assert_eq!((first.value.is_none(), first.version), (true, None));
    let second = world.fetch(&cache, "unknown", &policy).await.unwrap();
    assert_eq!((second.source, world.origin.loads()), (Source::Cache, 1));
    world.origin.put("nobody", 1);
    // The TTL has to pass.
    sleep(Duration::from_millis(310)).await;
    assert_eq!(age(&world.fetch(&cache, "nobody", &policy).await.unwrap()), 1);
    assert!(matches!(first.fill, Fill::Stored(_)));
}
