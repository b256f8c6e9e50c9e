use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use hitrate_cache::{CachePolicy, Source, trace::Trace};
use tokio::time::{sleep, timeout};

use crate::world::{PROFILE, SOON, World, age, default, key};

/// A policy whose values end at once, and a value that has ended.
async fn ended(world: &World, cache: &hitrate_cache::Cache) -> CachePolicy {
    let policy = default().ttl(Duration::from_millis(60));
    world.origin.put("1", 30);
    world.fetch(cache, "1", &policy).await.unwrap();
    // The TTL has to pass.
    sleep(Duration::from_millis(90)).await;
    world.origin.put("1", 31);
    policy
}

#[tokio::test]
async fn a_slow_origin_is_waited_for_until_the_soft_timeout_and_then_goes_on() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = ended(&world, &cache).await;
    world.origin.slow(1_000);
    let start = Instant::now();
    let stale = world.fetch(&cache, "1", &policy).await.unwrap();
    let waited = start.elapsed();
    assert_eq!((age(&stale), stale.source), (30, Source::Stale));
    assert!(stale.cache_status().contains("; ttl=-1; detail=stale"), "{}", stale.cache_status());
    assert!(waited >= policy.soft_timeout.unwrap() && waited < Duration::from_millis(900));
    assert_eq!(world.origin.loads(), 2);
    world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(world.origin.loads(), 2, "the same load still goes on");
    let brought = async { while age(&world.fetch(&cache, "1", &policy).await.unwrap()) == 30 {} };
    timeout(SOON * 10, brought).await.expect("what it brought");
}

#[tokio::test]
async fn a_quick_origin_answers_itself() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = ended(&world, &cache).await;
    let fresh = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&fresh), fresh.source), (31, Source::Database));
    assert_eq!(fresh.cache_status(), "hitrate; fwd=stale; stored");
}

#[tokio::test]
async fn a_failing_origin_is_bridged_until_the_grace_ends() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = ended(&world, &cache).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    assert_eq!(world.fetch(&cache, "1", &policy).await.unwrap().source, Source::Stale);
    let short = CachePolicy { grace: Duration::from_millis(20), ..policy };
    assert!(world.fetch(&cache, "1", &short).await.is_err());
}

#[tokio::test]
async fn redis_and_the_origin_both_gone_are_bridged_as_well() {
    let mut world = World::new();
    let cache = world.cache().await;
    let policy = ended(&world, &cache).await;
    world.redis.kill();
    // While the origin can be asked, it is: nobody could tell us of an edit.
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
        let policy = ended(&world, &cache).await;
        match round {
            0 => drop(world.write(&cache, "1", 32, &policy).await),
            1 => drop(world.write(&other, "1", 32, &policy).await),
            2 => drop(other.invalidate(&key("1"), &policy, &Trace::disabled()).await.unwrap()),
            _ => other.invalidate_tag(PROFILE, &Trace::disabled()).await.unwrap(),
        }
        world.origin.slow(200);
        let seen = world.fetch(&cache, "1", &policy).await.unwrap();
        assert_eq!(seen.source, Source::Database, "round {round}");
        assert_ne!(age(&seen), 30);
        world.origin.slow(0);
        world.redis.run(&["FLUSHALL"]);
    }
}
