use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use hitrate_cache::{CachePolicy, Source};
use tokio::time::{sleep, timeout};

use crate::world::{SOON, World, age, default, profiles};

/// Caches a value, lets it expire, and returns its policy.
async fn expired(world: &World, cache: &hitrate_cache::Cache) -> CachePolicy {
    let policy = default().with_ttl(Duration::from_millis(60));
    world.origin.put("1", 30);
    world.fetch(cache, "1", &policy).await.unwrap();
    // The TTL has to pass.
    sleep(Duration::from_millis(90)).await;
    world.origin.put("1", 31);
    policy
}

#[tokio::test]
async fn a_stale_copy_is_served_after_the_soft_timeout_and_the_load_continues() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = expired(&world, &cache).await;
    world.origin.slow(1_000);
    let start = Instant::now();
    let stale = world.fetch(&cache, "1", &policy).await.unwrap();
    let waited = start.elapsed();
    assert_eq!((age(&stale), stale.source), (30, Source::Stale));
    assert!(
        stale.cache_status("hitrate").contains("; ttl=-1; detail=stale"),
        "{}",
        stale.cache_status("hitrate")
    );
    assert!(waited >= policy.soft_timeout.unwrap() && waited < Duration::from_millis(900));
    assert_eq!(world.origin.loads(), 2);
    world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(world.origin.loads(), 2, "the same load still goes on");
    let brought = async { while age(&world.fetch(&cache, "1", &policy).await.unwrap()) == 30 {} };
    timeout(SOON * 10, brought).await.expect("what it brought");
}

#[tokio::test]
async fn a_fast_origin_answers_instead_of_the_stale_copy() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = expired(&world, &cache).await;
    let fresh = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&fresh), fresh.source), (31, Source::Database));
    assert_eq!(fresh.cache_status("hitrate"), "hitrate; fwd=stale; stored");
}

#[tokio::test]
async fn a_failing_origin_is_bridged_until_the_grace_period_ends() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = expired(&world, &cache).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    assert_eq!(world.fetch(&cache, "1", &policy).await.unwrap().source, Source::Stale);
    let short = policy.grace(Duration::from_millis(20));
    assert!(world.fetch(&cache, "1", &short).await.is_err());
}

#[tokio::test]
async fn a_stale_copy_is_served_when_redis_and_the_origin_are_both_down() {
    let mut world = World::new();
    let cache = world.cache().await;
    let policy = expired(&world, &cache).await;
    world.redis.kill();
    // While the origin works it is used: without Redis an edit would go unnoticed.
    world.origin.slow(200);
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31);
    world.origin.fails.store(true, Ordering::SeqCst);
    assert_eq!(world.fetch(&cache, "1", &policy).await.unwrap().source, Source::Stale);
}

#[tokio::test]
async fn nothing_stale_is_served_after_a_write_or_an_invalidation() {
    let world = World::new();
    let (cache, other) = (world.cache().await, world.cache().await);
    for round in 0..4 {
        let policy = expired(&world, &cache).await;
        match round {
            0 => drop(world.write(&cache, "1", 32, &policy).await),
            1 => drop(world.write(&other, "1", 32, &policy).await),
            2 => drop(profiles(&other, &policy).invalidate("1").await),
            _ => drop(profiles(&other, &policy).invalidate_all().await),
        }
        world.origin.slow(200);
        let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
        assert_eq!(lookup.source, Source::Database, "round {round}");
        assert_ne!(age(&lookup), 30);
        world.origin.slow(0);
        world.redis.flush();
    }
}
