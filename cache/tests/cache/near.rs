use std::time::{Duration, Instant};

use hitrate_cache::{Cache, CachePolicy, Source};
use tokio::time::sleep;

use crate::{
    cell::{Cell, plain},
    timing::BUSY,
    world::{World, age, named, within},
};

/// Maximum delivery time of a push.
const PUSH: Duration = Duration::from_millis(250);

async fn warm(world: &World, cache: &Cache, policy: &CachePolicy) {
    let end = Instant::now() + Duration::from_secs(2) * BUSY;
    while world.fetch(cache, "1", policy).await.unwrap().source != Source::Memory {
        assert!(Instant::now() < end, "it should be in memory by now");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until whoever reads here reads this.
async fn is_seen(world: &World, cache: &Cache, id: &str, wanted: u32) {
    let policy = named("near-cache");
    let end = Instant::now() + PUSH * BUSY;
    while age(&world.fetch(cache, id, &policy).await.unwrap()) != wanted {
        assert!(Instant::now() < end, "{wanted} should be seen by now");
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_near_hit_needs_no_round_trip() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.tracking().await, named("near-cache"));
    warm(&world, &cache, &policy).await;
    world.redis.freeze();
    let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
    world.redis.thaw();
    assert_eq!((age(&lookup), lookup.source), (30, Source::Memory));
    assert!(lookup.cache_status("hitrate").ends_with("; detail=memory"));
}

#[tokio::test]
async fn a_local_edit_is_visible_at_once_and_a_remote_one_after_its_push() {
    let world = World::new();
    world.origin.put("1", 0);
    let (cache, other) = (world.tracking().await, world.tracking().await);
    let policy = named("near-cache");
    let mut pushes = Vec::new();
    for round in 1..=30 {
        warm(&world, &cache, &policy).await;
        warm(&world, &other, &policy).await;
        world.write(&cache, "1", round, &policy).await;
        assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), round, "here");
        let start = Instant::now();
        is_seen(&world, &other, "1", round).await;
        pushes.push(start.elapsed());
    }
    pushes.sort();
    assert!(pushes[pushes.len() / 2] < PUSH, "{pushes:?}");
}

#[tokio::test]
async fn reads_racing_a_remote_edit_leave_no_old_copy() {
    let world = World::new();
    let (cache, writer) = (world.tracking().await, world.cache().await);
    let policy = named("near-cache").lease(None);
    for n in 0..200 {
        let id = n.to_string();
        world.origin.put(&id, 0);
        world.fetch(&cache, &id, &policy).await.unwrap();
        let reads = async {
            for _ in 0..5 {
                world.fetch(&cache, &id, &policy).await.unwrap();
            }
        };
        tokio::join!(reads, world.write(&writer, &id, 1, &policy));
    }
    // Pushes arrive one after the other: this one is the last.
    world.origin.put("last", 0);
    world.fetch(&cache, "last", &policy).await.unwrap();
    world.write(&writer, "last", 1, &policy).await;
    is_seen(&world, &cache, "last", 1).await;
    for n in 0..200 {
        let lookup = world.fetch(&cache, &n.to_string(), &policy).await.unwrap();
        assert_eq!(age(&lookup), 1, "key {n}, from {:?}", lookup.source);
    }
}

#[tokio::test]
async fn without_its_tracking_connection_the_near_cache_is_disabled() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, writer) = (world.tracking().await, world.cache().await);
    let policy = named("near-cache");
    warm(&world, &cache, &policy).await;
    world.redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    world.write(&writer, "1", 31, &policy).await;
    within(Duration::from_secs(3), || cache.health().is_tracking).await;
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31);
    warm(&world, &cache, &policy).await;
}

#[tokio::test]
async fn without_redis_it_serves_stale_copies_for_a_short_time() {
    let mut world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.tracking().await, named("near-cache"));
    warm(&world, &cache, &policy).await;
    world.redis.kill();
    within(Duration::from_secs(3), || !cache.health().is_tracking).await;
    let end = Instant::now() + Duration::from_secs(1) * BUSY;
    // The command connection may notice a moment later than the other.
    while world.fetch(&cache, "1", &policy).await.unwrap().source != Source::Stale {
        assert!(Instant::now() < end, "marked as stale");
    }
    let loads = world.origin.loads();
    world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(world.origin.loads(), loads, "no load");
    world.write(&cache, "1", 31, &policy).await;
    assert_eq!(
        age(&world.fetch(&cache, "1", &policy).await.unwrap()),
        31,
        "a local edit replaces it"
    );
}

/// Each new namespace makes Redis track again, while its values are read and changed.
#[tokio::test]
async fn a_namespace_registered_later_serves_no_untracked_copy() {
    let world = World::new();
    let (cache, writer) = (world.tracking().await, world.cache().await);
    let policy = plain().near(Duration::from_secs(30));
    for n in 0..30 {
        let name: &'static str = format!("later-{n}").leak();
        let (cells, cell) = (cache.namespace::<u64>(name, policy), Cell::new(1));
        let reads = async {
            for _ in 0..20 {
                cells.get("a", cell.load()).await.unwrap();
            }
        };
        let change = async {
            sleep(Duration::from_millis(n % 4)).await;
            cell.set(2);
            let _ = writer.namespace::<u64>(name, plain()).invalidate("a").await;
        };
        tokio::join!(reads, change);
        // An untracked copy would stay for half a minute.
        let end = Instant::now() + Duration::from_secs(2) * BUSY;
        while cells.get("a", cell.load()).await.unwrap().as_deref() != Some(&2) {
            assert!(Instant::now() < end, "{name} should be seen by now");
            sleep(Duration::from_millis(1)).await;
        }
    }
    within(Duration::from_secs(3), || cache.health().is_tracking).await;
    let names: usize = world.redis.command(&["CLIENT", "LIST"]).matches("flags=tB").count();
    assert!(names <= 3, "{names} connections for tracking");
}
