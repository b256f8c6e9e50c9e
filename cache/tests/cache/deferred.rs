use std::time::{Duration, Instant};

use hitrate_cache::write_behind::Committed;

use crate::{
    proxy::{Mode, Proxy},
    world::{World, default, key, profiles, within},
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
