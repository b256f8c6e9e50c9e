use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hitrate_cache::{CachePolicy, FetchError, Fill, Source, trace::Trace};
use tokio::time::timeout;

use crate::world::{SOON, World, age, default, key, named, within};

#[tokio::test]
async fn a_thousand_misses_of_one_key_are_one_load() {
    let world = World::new();
    world.origin.put("1", 30);
    // Long enough that all have come before the load is back.
    world.origin.slow(1_000);
    let cache = world.cache().await;
    for policy in [default(), named("single-flight")] {
        world.redis.run(&["FLUSHALL"]);
        let before = world.origin.loads();
        let found = join_all((0..1000).map(|_| world.fetch(&cache, "1", &policy))).await;
        assert_eq!(world.origin.loads() - before, 1, "{}", policy.name);
        assert!(found.iter().all(|it| age(it.as_ref().unwrap()) == 30));
        let collapsed = found.iter().filter(|it| it.as_ref().unwrap().collapsed).count();
        assert_eq!(collapsed, 999);
    }
}

#[tokio::test]
async fn plain_makes_as_many_loads_as_there_are_misses() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    let cache = world.cache().await;
    let policy = named("cache-aside");
    join_all((0..40).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert_eq!(world.origin.loads(), 40);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_the_load_for_the_others() {
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
    assert!(first.is_err(), "it left");
    assert_eq!((age(&second), world.origin.loads()), (30, 1));
    assert_eq!(world.fetch(&cache, "1", &policy).await.unwrap().source, Source::Cache);
}

#[tokio::test]
async fn a_load_that_fails_fails_all_who_wait_once_and_is_not_kept() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    world.origin.fails.store(true, Ordering::SeqCst);
    let (cache, policy) = (world.cache().await, default());
    let failed = join_all((0..50).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert!(failed.iter().all(|it| matches!(it, Err(FetchError::Origin(_)))));
    assert_eq!(world.origin.loads(), 1);
    world.origin.fails.store(false, Ordering::SeqCst);
    let found = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&found), found.source), (30, Source::Database));
}

#[tokio::test]
async fn a_load_that_panics_fails_all_who_wait_and_the_next_one_works() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    world.origin.panics.store(true, Ordering::SeqCst);
    let (cache, policy) = (world.cache().await, default());
    let failed = join_all((0..50).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert!(failed.iter().all(|it| matches!(it, Err(FetchError::Aborted))), "{failed:?}");
    assert_eq!(world.origin.loads(), 1);
    world.origin.panics.store(false, Ordering::SeqCst);
    // The lease that the panic left behind ends by itself.
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 30);
}

/// A load reads the old row, a write is acknowledged, and only then does the
/// load end: whoever asks after the acknowledgement must not get on it.
#[tokio::test]
async fn nobody_joins_a_load_that_began_before_a_write_they_must_see() {
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
            world.fetch(&cache, id, &CachePolicy { lease: None, ..policy }).await.unwrap()
        };
        let (slow, after) = tokio::join!(slow, after);
        assert_eq!(age(&after), 31, "after the acknowledgement");
        assert_eq!(slow.unwrap().fill, Fill::Superseded, "the old row was not stored");
        assert_eq!(age(&world.fetch(&cache, id, &policy).await.unwrap()), 31);
    }
}

/// They all learn of the write by the same look, while the load that began
/// before it is still under way.
#[tokio::test]
async fn those_who_may_not_join_an_older_load_share_the_next_one() {
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
        assert!(after.iter().all(|it| age(it.as_ref().unwrap()) == 31), "{}", policy.name);
        assert_eq!(world.origin.loads(), 2, "{}", policy.name);
    }
}

/// The database was put back to an older state: no load brings what is asked for.
#[tokio::test]
async fn a_version_above_what_the_origin_has_is_no_reason_to_load_one_by_one() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(300);
    let (cache, policy) = (world.cache().await, default());
    world.redis.run(&["SET", "test:profile:1", r#"{"version":9,"gone":true}"#]);
    let found = join_all((0..200).map(|_| world.fetch(&cache, "1", &policy))).await;
    assert!(found.iter().all(|it| age(it.as_ref().unwrap()) == 30));
    assert_eq!(world.origin.loads(), 2);
}

#[tokio::test]
async fn more_loads_than_the_origin_takes_are_turned_away_at_once() {
    let world = World::new();
    world.origin.slow(800);
    let (cache, policy) = (world.cache().await, named("cache-aside"));
    let ids: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    let told = join_all(ids.iter().map(|id| async {
        let start = std::time::Instant::now();
        (world.fetch(&cache, id, &policy).await, start.elapsed())
    }))
    .await;
    let shed = told.iter().filter(|it| matches!(it.0, Err(FetchError::Rejected)));
    let mut waited: Vec<_> = shed.map(|it| it.1).collect();
    assert_eq!(waited.len(), 500 - 64 - 256);
    waited.sort();
    let median = waited[waited.len() / 2];
    assert!(median < Duration::from_millis(800), "before the first load ended: {median:?}");
    assert_eq!(cache.engine().queued(), (0, 256));
}

/// A load that was begun with more timeout than those who come later have.
#[tokio::test]
async fn callers_in_a_hurry_do_not_wait_for_another_ones_long_load() {
    let hurried = |policy| CachePolicy { hard_timeout: Duration::from_millis(100), ..policy };
    for policy in [default(), named("single-flight")] {
        let world = World::new();
        world.origin.put("1", 30);
        world.origin.slow(2_500);
        let (cache, short) = (world.cache().await, hurried(policy));
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
        assert!(others.iter().all(|it| age(it.as_ref().unwrap()) == 30), "{}", policy.name);
        assert_eq!(age(&long.unwrap()), 30, "it went on");
        assert_eq!(world.origin.loads(), 2, "those who left share one load");
    }
}

/// All come at once, and the deadline of most passes while they wait.
#[tokio::test]
async fn no_load_begins_that_has_no_time_left() {
    let world = World::new();
    world.origin.slow(800);
    let cache = world.cache().await;
    let policy = CachePolicy { hard_timeout: Duration::from_millis(1_200), ..named("cache-aside") };
    let ids: Vec<_> = (0..320).map(|n| n.to_string()).collect();
    let told = join_all(ids.iter().map(|id| world.fetch(&cache, id, &policy))).await;
    let answered = told.iter().filter(|it| it.is_ok()).count();
    assert_eq!((answered, world.origin.loads()), (128, 128));
    assert!(told.iter().all(|it| matches!(it, Ok(_) | Err(FetchError::TimedOut))));
    assert_eq!(cache.engine().queued(), (0, 256));
}

#[tokio::test]
async fn those_who_left_take_no_turn() {
    let world = World::new();
    world.origin.slow(200);
    let (cache, policy) = (world.cache().await, named("cache-aside"));
    let ids: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    let all = join_all(ids.iter().map(|id| world.fetch(&cache, id, &policy)));
    assert!(timeout(Duration::from_millis(100), all).await.is_err(), "they left");
    world.fetch(&cache, "last", &policy).await.unwrap();
    assert_eq!(world.origin.loads(), 64 + 1);
}

#[tokio::test]
async fn a_load_longer_than_the_hard_timeout_is_given_up() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.slow(2_000);
    let cache = world.cache().await;
    let policy = CachePolicy { hard_timeout: Duration::from_millis(100), ..default() };
    let failed = world.fetch(&cache, "1", &policy).await;
    assert!(matches!(failed, Err(FetchError::TimedOut)), "{failed:?}");
}

/// A closure is an origin, too.
#[tokio::test]
async fn ten_lines_are_enough() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, origin) = (world.cache().await, Arc::clone(&world.origin));
    let load = move || {
        let age = origin.age("1");
        async move { Ok::<_, crate::world::Down>(Some(versioned(age))) }
    };
    let found = cache.fetch(&key("1"), &default(), &Trace::disabled(), load).await.unwrap();
    assert_eq!(age(&found), 30);
}

fn versioned(age: u32) -> hitrate_cache::Versioned<crate::world::Profile> {
    hitrate_cache::Versioned { value: crate::world::profile("1", age), version: 1 }
}
