use std::time::{Duration, Instant};

use hitrate_cache::{Invalidated, Source, write_behind::Committed};

use crate::{
    cell::{Cell, plain},
    proxy::{Mode, Proxy},
    world::{SOON, World, default, key, profiles, within},
};

/// The limit on deferred keys.
const KEYS: usize = 10_000;

/// Maximum time from the return of Redis until all deferred invalidations have run.
const REPLAY_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn ten_thousand_deferred_invalidations_are_replayed_at_once() {
    let mut took = Vec::new();
    while took.len() < 5 && took.iter().all(|it| *it >= REPLAY_LIMIT) {
        took.push(replay_all().await);
    }
    assert!(took.iter().any(|it| *it < REPLAY_LIMIT), "{took:?}");
}

/// Behind a network whose round trip takes a millisecond: one command at a time,
/// they would take ten seconds on each connection. Returns what it took.
async fn replay_all() -> Duration {
    let mut world = World::new();
    let proxy = Proxy::before(&world.redis);
    proxy.set(Mode::Latency(Duration::from_micros(500)));
    let (cache, policy) = (world.cache_at(&proxy.url()).await, default());
    world.redis.kill();
    for n in 0..KEYS {
        let newer = Committed { version: 2, stamp: 1 };
        profiles(&cache, &policy).supersede_later(n, newer);
    }
    assert_eq!(cache.client().health().deferred(), KEYS);
    world.redis.restart();
    let start = Instant::now();
    within(REPLAY_LIMIT, || !cache.client().has_deferred()).await;
    let took = start.elapsed();
    let gone = world.redis.command(&["GET", "test:profile:9999"]);
    assert_eq!(gone, r#"{"version":2,"gone":true}"#);
    // Per key a tombstone, the version of the edit and the clock.
    assert_eq!(world.redis.command(&["DBSIZE"]), (3 * KEYS).to_string());
    took
}

/// An invalidation that Redis rejects stays deferred.
#[tokio::test]
async fn a_rejected_invalidation_does_not_block_the_others() {
    let mut world = World::new();
    let (cache, policy) = (world.cache().await, default());
    world.redis.kill();
    for id in ["1", "2", "3"] {
        let newer = Committed { version: 2, stamp: 1 };
        profiles(&cache, &policy).supersede_later(id, newer);
    }
    // From now on access to profile:1 is denied.
    let keys = ["~test:profile:2", "~test:profile:3", "~test:edited:*", "~test:clock:*"];
    let rules = ["--user", "default", "on", "nopass", "+@all"].into_iter().chain(keys);
    let rules: Vec<_> = rules.collect();
    world.redis.restart_with_args(&rules);
    within(REPLAY_LIMIT, || {
        !cache.client().is_deferred(&key("2")) && !cache.client().is_deferred(&key("3"))
    })
    .await;
    assert!(cache.client().is_deferred(&key("1")), "it was refused");
}

#[tokio::test]
async fn scripts_are_sent_again_after_a_script_flush() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    for n in 0..3 {
        world.origin.put(&n.to_string(), 30);
        world.fetch(&cache, &n.to_string(), &policy).await.unwrap();
        world.redis.command(&["SCRIPT", "FLUSH"]);
        world.write(&cache, &n.to_string(), 31, &policy).await;
        let lookup = world.fetch(&cache, &n.to_string(), &policy).await.unwrap();
        assert_eq!(lookup.value.unwrap().age, 31);
    }
    assert_eq!(world.origin.loads(), 6, "two loads per key");
}

/// More keys than are deferred one by one: the namespace is, and other namespaces are not.
#[tokio::test]
async fn after_ten_thousand_invalidations_the_next_one_is_that_of_the_namespace() {
    let mut world = World::new();
    let cache = world.cache().await;
    let (cells, others) = (cache.namespace("cell", plain()), cache.namespace("other", plain()));
    let cell = Cell::new(1);
    // What Redis holds survives its restart.
    world.redis.restart_with_args(&["--appendonly", "yes", "--appendfsync", "always"]);
    cache.ready(SOON).await.unwrap();
    for namespace in [&cells, &others] {
        namespace.get("kept", cell.load()).await.unwrap();
        namespace.get("a", cell.load()).await.unwrap();
    }
    world.redis.kill();
    cell.set(2);
    for n in 0..KEYS {
        assert!(matches!(cells.invalidate(n).await, Invalidated::Deferred(_)));
    }
    assert_eq!(cache.health().deferred_invalidations, KEYS);
    for _ in 0..3 {
        assert!(matches!(cells.invalidate("a").await, Invalidated::Deferred(_)));
    }
    assert_eq!(cache.health().deferred_invalidations, KEYS + 1);
    world.redis.restart();
    within(REPLAY_LIMIT, || cache.health().deferred_invalidations == 0).await;
    assert_eq!(cells.get("a", cell.load()).await.unwrap().as_deref(), Some(&2));
    let other = others.lookup("kept", cell.load()).await.unwrap();
    assert_eq!((other.value.as_deref(), other.source), (Some(&1), Source::Cache));
}

#[tokio::test]
async fn the_same_key_is_deferred_once_however_often() {
    let mut world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain());
    world.redis.kill();
    for _ in 0..2_000 {
        let _ = cells.invalidate("a").await;
        let _ = cells.invalidate_all().await;
        let _ = cache.invalidate_tag("t").await;
        cells.write("a", Cell::new(1).write(2)).await.unwrap();
    }
    assert_eq!(cache.health().deferred_invalidations, 3, "a key, a namespace and a tag");
}
