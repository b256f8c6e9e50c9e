use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hitrate_cache::Source;
use tokio::time::sleep;

use crate::{
    timing::BUSY,
    world::{Profile, RowError, SOON, World, age, default, named, profiles, within},
};

#[tokio::test]
async fn several_processes_share_one_load() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(100);
    let caches = join_all((0..4).map(|_| world.cache())).await;
    for policy in [default(), named("lease")] {
        world.redis.flush();
        let before = world.origin.loads();
        let lookups = caches.iter().flat_map(|cache| (0..50).map(move |_| cache));
        let found = join_all(lookups.map(|cache| world.fetch(cache, "1", &policy))).await;
        assert!(found.iter().all(|it| age(it.as_ref().unwrap()) == 30));
        assert_eq!(world.origin.loads() - before, 1, "{policy:?}");
    }
}

#[tokio::test]
async fn a_lease_is_renewed_during_a_long_load() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(1_600);
    let (one, other) = (world.cache().await, world.cache().await);
    let policy = default();
    assert!(policy.lease.unwrap() < Duration::from_millis(1_600));
    let (a, b) = tokio::join!(world.fetch(&one, "1", &policy), world.fetch(&other, "1", &policy));
    assert_eq!((age(&a.unwrap()), age(&b.unwrap()), world.origin.loads()), (30, 30, 1));
}

#[tokio::test]
async fn a_dead_lease_holder_delays_others_by_the_lease_ttl_at_most() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, lease) = (world.cache().await, Duration::from_millis(300));
    let policy = default().lease(Some(lease));
    let ms = lease.as_millis().to_string();
    world.redis.command(&["SET", "test:lease:{test:profile:1}", "dead", "PX", &ms]);
    let start = Instant::now();
    let found = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&found), found.source), (30, Source::Database));
    let waited = start.elapsed();
    assert!(waited < lease * BUSY, "{waited:?}");
    let left = world.redis.command(&["EXISTS", "test:lease:{test:profile:1}"]);
    assert_eq!(left, "0", "it was released");
}

#[tokio::test]
async fn a_failed_load_releases_the_lease() {
    let world = World::new();
    world.origin.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let cache = world.cache().await;
    assert!(world.fetch(&cache, "1", &default()).await.is_err());
    let left = world.redis.command(&["EXISTS", "test:lease:{test:profile:1}"]);
    assert_eq!(left, "0");
}

/// Set by hand without a TTL, or held by a load that never ends.
#[tokio::test]
async fn a_lease_that_never_expires_delays_a_load_but_does_not_prevent_it() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, hard) = (world.cache().await, Duration::from_millis(200));
    world.redis.command(&["SET", "test:lease:{test:profile:1}", "forever"]);
    for policy in [default(), named("lease")] {
        world.redis.command(&["DEL", "test:profile:1"]);
        let lease = Duration::from_millis(300);
        let policy = policy.hard_timeout(hard).lease(Some(lease));
        let start = Instant::now();
        let found = world.fetch(&cache, "1", &policy).await.unwrap();
        assert_eq!((age(&found), found.source), (30, Source::Database), "{policy:?}");
        assert!(found.fill.ttl().is_some(), "the next one finds it");
        let waited = start.elapsed();
        assert!(waited < (hard + lease) * BUSY, "{waited:?}");
    }
    let left = world.redis.command(&["GET", "test:lease:{test:profile:1}"]);
    assert_eq!(left, "forever", "it is not this process's lease");
}

#[tokio::test]
async fn a_lease_key_of_another_type_is_not_waited_for() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        world.redis.flush();
        world.redis.command(&["RPUSH", "test:lease:{test:profile:1}", "x"]);
        let start = Instant::now();
        let found = world.fetch(&cache, "1", &default()).await.unwrap();
        assert_eq!((age(&found), found.source), (30, Source::Database));
        shortest = shortest.min(start.elapsed());
    }
    assert!(shortest < default().lease.unwrap() / 3, "{shortest:?}");
}

/// The holder's timeout is longer than the waiter's.
#[tokio::test]
async fn a_long_load_in_another_process_does_not_fail_a_caller_with_a_short_timeout() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(2_500);
    let (one, other) = (world.cache().await, world.cache().await);
    let short_timeout = default().hard_timeout(Duration::from_millis(200));
    let policy = default();
    let long = world.fetch(&one, "1", &policy);
    let short = async {
        within(SOON, || world.origin.loads() == 1).await;
        world.origin.slow(0);
        let start = Instant::now();
        (world.fetch(&other, "1", &short_timeout).await.unwrap(), start.elapsed())
    };
    let (long, (short, waited)) = tokio::join!(long, short);
    assert_eq!((age(&long.unwrap()), age(&short), world.origin.loads()), (30, 30, 2));
    // Its own timeout and the lease are 1.2 s; the long load takes 2.5 s.
    assert!(waited < Duration::from_millis(2_300), "{waited:?}");
}

/// A Redis that hangs just as the lease is renewed. A machine that is busy may hold
/// up the load, too, but not each time.
#[tokio::test]
async fn a_renewal_that_hangs_does_not_hold_up_the_load() {
    let mut pauses = Vec::new();
    while pauses.len() < 5 && pauses.iter().all(|pause| *pause >= HELD_UP) {
        pauses.push(longest_pause_while_a_renewal_hangs().await);
    }
    assert!(pauses.iter().any(|pause| *pause < HELD_UP), "{pauses:?}");
}

/// Half of a command's deadline.
const HELD_UP: Duration = Duration::from_millis(125);

async fn longest_pause_while_a_renewal_hangs() -> Duration {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    let (pauses, mut paused) = tokio::sync::mpsc::unbounded_channel();
    let origin = {
        let pauses = pauses.clone();
        async move {
            for _ in 0..80 {
                let start = Instant::now();
                sleep(Duration::from_millis(10)).await;
                pauses.send(start.elapsed()).unwrap();
            }
            Ok::<_, RowError>(None::<Profile>)
        }
    };
    let hang = async {
        sleep(policy.lease.unwrap() / 4).await;
        world.redis.freeze();
    };
    let profiles = profiles(&cache, &policy);
    let (found, ()) = tokio::join!(profiles.lookup("1", origin), hang);
    world.redis.thaw();
    assert!(found.unwrap().value.is_none());
    let mut longest = Duration::ZERO;
    while let Ok(pause) = paused.try_recv() {
        longest = longest.max(pause);
    }
    longest
}
