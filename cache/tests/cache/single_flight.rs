use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hitrate_cache::{CachePolicy, Error, Fill, Source};
use tokio::time::timeout;

use crate::world::{SOON, World, age, default, named, profiles, within};

#[tokio::test]
async fn a_thousand_misses_of_one_key_cause_one_load() {
    let world = World::new();
    world.origin.put("1", 30);
    // Long enough for all callers to join before the load ends.
    world.origin.slow(1_000);
    let cache = world.cache().await;
    for policy in [default(), named("single-flight")] {
        world.redis.flush();
        let before = world.origin.loads();
        let found = join_all((0..1000).map(|_| world.fetch(&cache, "1", &policy))).await;
        assert_eq!(world.origin.loads() - before, 1, "{policy:?}");
        assert!(found.iter().all(|it| age(it.as_ref().unwrap()) == 30));
        let collapsed = found.iter().filter(|it| it.as_ref().unwrap().collapsed).count();
        assert_eq!(collapsed, 999);
    }
}

#[tokio::test]
async fn cache_aside_loads_once_per_miss() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    let cache = world.cache().await;
    let policy = named("cache-aside");
    join_all((0..40).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert_eq!(world.origin.loads(), 40);
}

#[tokio::test]
async fn a_cancelled_caller_does_not_end_the_load_for_the_others() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(500);
    let cache = world.cache().await;
    let policy = default();
    let first = timeout(Duration::from_millis(100), world.fetch(&cache, "1", &policy));
    let second = async {
        within(SOON, || world.origin.loads() == 1).await;
        world.fetch(&cache, "1", &policy).await.unwrap()
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err(), "it was cancelled");
    assert_eq!((age(&second), world.origin.loads()), (30, 1));
    assert_eq!(world.fetch(&cache, "1", &policy).await.unwrap().source, Source::Cache);
}

#[tokio::test]
async fn a_failed_load_fails_all_waiters_and_is_not_kept() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    world.origin.fails.store(true, Ordering::SeqCst);
    let (cache, policy) = (world.cache().await, default());
    let failed = join_all((0..50).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert!(failed.iter().all(|it| matches!(it, Err(Error::Origin(_)))));
    assert_eq!(world.origin.loads(), 1);
    world.origin.fails.store(false, Ordering::SeqCst);
    let found = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&found), found.source), (30, Source::Database));
}

#[tokio::test]
async fn a_load_that_panics_fails_all_waiters_and_the_next_one_works() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    world.origin.panics.store(true, Ordering::SeqCst);
    let (cache, policy) = (world.cache().await, default());
    let failed = join_all((0..50).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert!(failed.iter().all(|it| matches!(it, Err(Error::Aborted))), "{failed:?}");
    assert_eq!(world.origin.loads(), 1);
    world.origin.panics.store(false, Ordering::SeqCst);
    // The lease that the panic left behind expires.
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 30);
}

/// A load reads the old row, a write is acknowledged, and only then does the load
/// complete: a caller after the acknowledgement must not join it.
#[tokio::test]
async fn no_caller_joins_a_load_that_began_before_a_write_it_must_see() {
    let world = World::new();
    let (cache, other) = (world.cache().await, world.cache().await);
    for (writer, id) in [(&cache, "1"), (&other, "2")] {
        world.origin.put(id, 30);
        world.origin.lag_ms.store(200, Ordering::SeqCst);
        let policy = default();
        let loads = world.origin.loads();
        let slow = world.fetch(&cache, id, &policy);
        let after = async {
            within(SOON, || world.origin.loads() > loads).await;
            world.origin.lag_ms.store(0, Ordering::SeqCst);
            world.write(writer, id, 31, &policy).await;
            world.fetch(&cache, id, &policy.lease(None)).await.unwrap()
        };
        let (slow, after) = tokio::join!(slow, after);
        assert_eq!(age(&after), 31, "after the acknowledgement");
        assert_eq!(slow.unwrap().fill, Fill::Superseded, "the old row was not stored");
        assert_eq!(age(&world.fetch(&cache, id, &policy).await.unwrap()), 31);
    }
}

/// All callers learn of the write from their probe, while the older load is still
/// in progress.
#[tokio::test]
async fn callers_that_may_not_join_an_older_load_share_the_next_one() {
    for policy in [default(), named("single-flight")] {
        let world = World::new();
        world.origin.put("1", 30);
        let (cache, other) = (world.cache().await, world.cache().await);
        world.origin.lag_ms.store(400, Ordering::SeqCst);
        let older = world.fetch(&cache, "1", &policy);
        let after = async {
            within(SOON, || world.origin.loads() == 1).await;
            world.write(&other, "1", 31, &policy).await;
            world.origin.lag_ms.store(300, Ordering::SeqCst);
            join_all((0..200).map(|_| world.fetch(&cache, "1", &policy))).await
        };
        let (_, after) = tokio::join!(older, after);
        assert!(after.iter().all(|it| age(it.as_ref().unwrap()) == 31), "{policy:?}");
        assert_eq!(world.origin.loads(), 2, "{policy:?}");
    }
}

/// The database was restored to an older state: no load returns the expected
/// version.
#[tokio::test]
async fn a_version_above_the_origins_does_not_disable_single_flight() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    let (cache, policy) = (world.cache().await, default());
    world.redis.command(&["SET", "test:profile:1", r#"{"version":9,"gone":true}"#]);
    let found = join_all((0..200).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert!(found.iter().all(|it| age(it.as_ref().unwrap()) == 30));
    assert_eq!(world.origin.loads(), 2);
}

#[tokio::test]
async fn loads_above_the_limit_are_rejected_at_once() {
    let world = World::new();
    world.origin.slow(800);
    let (cache, policy) = (world.cache().await, named("cache-aside"));
    let ids: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    let results = join_all(ids.iter().map(|id| async {
        let start = std::time::Instant::now();
        (world.fetch(&cache, id, &policy).await, start.elapsed())
    }))
    .await;
    let rejected = results.iter().filter(|it| matches!(it.0, Err(Error::Overloaded)));
    let mut waited: Vec<_> = rejected.map(|it| it.1).collect();
    assert_eq!(waited.len(), 500 - 64 - 256);
    waited.sort();
    let median = waited[waited.len() / 2];
    assert!(median < Duration::from_millis(800), "before the first load ended: {median:?}");
    let health = cache.health();
    assert_eq!((health.queued_loads, health.max_queued_loads), (0, 256));
}

/// A load was started with a longer timeout than that of later callers.
#[tokio::test]
async fn callers_with_a_short_timeout_leave_a_long_shared_load() {
    let with_short_timeout = |policy: CachePolicy| policy.hard_timeout(Duration::from_millis(100));
    for policy in [default(), named("single-flight")] {
        let world = World::new();
        world.origin.put("1", 30);
        world.origin.slow(2_500);
        let (cache, short) = (world.cache().await, with_short_timeout(policy));
        let long = world.fetch(&cache, "1", &policy);
        let long_ended = AtomicBool::new(false);
        let others = async {
            within(SOON, || world.origin.loads() == 1).await;
            world.origin.slow(20);
            let all = join_all((0..100).map(|_| world.fetch(&cache, "1", &short)));
            let others = all.await;
            assert!(!long_ended.load(Ordering::SeqCst), "they did not wait for it");
            others
        };
        let long = async {
            let long = long.await;
            long_ended.store(true, Ordering::SeqCst);
            long
        };
        let (long, others) = tokio::join!(long, others);
        assert!(others.iter().all(|it| age(it.as_ref().unwrap()) == 30), "{policy:?}");
        assert_eq!(age(&long.unwrap()), 30, "it continued");
        assert_eq!(world.origin.loads(), 2, "the callers that left share one load");
    }
}

/// All callers arrive at once, and most time out in the queue.
#[tokio::test]
async fn no_load_starts_without_time_to_finish() {
    let world = World::new();
    world.origin.slow(800);
    let cache = world.cache().await;
    let policy = named("cache-aside").hard_timeout(Duration::from_millis(1_200));
    let ids: Vec<_> = (0..320).map(|n| n.to_string()).collect();
    let results = join_all(ids.iter().map(|id| world.fetch(&cache, id, &policy))).await;
    let answered = results.iter().filter(|it| it.is_ok()).count();
    assert_eq!((answered, world.origin.loads()), (128, 128));
    assert!(results.iter().all(|it| matches!(it, Ok(_) | Err(Error::TimedOut))));
    let health = cache.health();
    assert_eq!((health.queued_loads, health.max_queued_loads), (0, 256));
}

#[tokio::test]
async fn cancelled_callers_use_no_slot() {
    let world = World::new();
    world.origin.slow(600);
    let (cache, policy) = (world.cache().await, named("cache-aside"));
    let ids: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    let all = join_all(ids.iter().map(|id| world.fetch(&cache, id, &policy)));
    assert!(timeout(Duration::from_millis(300), all).await.is_err(), "they were cancelled");
    world.fetch(&cache, "last", &policy).await.unwrap();
    assert_eq!(world.origin.loads(), 64 + 1);
}

#[tokio::test]
async fn a_load_longer_than_the_hard_timeout_times_out() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(2_000);
    let cache = world.cache().await;
    let policy = default().hard_timeout(Duration::from_millis(100));
    let failed = world.fetch(&cache, "1", &policy).await;
    assert!(matches!(failed, Err(Error::TimedOut)), "{failed:?}");
}

#[tokio::test]
async fn a_closure_is_an_origin() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, origin) = (world.cache().await, Arc::clone(&world.origin));
    let load = move |id: String| {
        let age = origin.age(&id);
        async move { Ok::<_, crate::world::RowError>(Some(versioned(age))) }
    };
    let loader = profiles(&cache, &default()).loader(load);
    let found = loader.lookup("1".to_owned()).await.unwrap();
    assert_eq!(age(&found), 30);
}

fn versioned(age: u32) -> hitrate_cache::Versioned<crate::world::Profile> {
    hitrate_cache::Versioned { value: crate::world::profile("1", age), version: 1 }
}
