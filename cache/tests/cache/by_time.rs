//! Namespaces whose origin gives no versions: loads and writes are ordered by time.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, join_all};
use hitrate_cache::{
    Cache, CachePolicy, Effect, Fill, Invalidated, Loaded, Namespace, OnWrite, Protection, Source,
    Versioned,
};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::time::sleep;

use crate::{
    cell::{Answer, Cell, Down, plain},
    seed::seed_or,
    world::{SOON, World, within},
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A slow reader has the old value, another process changes it: ten times for each way to
/// tell the cache.
#[tokio::test]
async fn a_slow_reader_brings_no_old_value_back() {
    let world = World::new();
    let (reader, writer) = (world.cache().await, world.cache().await);
    for way in ["write", "store", "invalidate", "invalidate_all", "invalidate_tag"] {
        for n in 0..10 {
            let (id, cell, policy) = (format!("{way}-{n}"), Cell::new(1), plain().lease(None));
            let here = reader.namespace::<u64>("cell", policy);
            let there = writer.namespace::<u64>("cell", policy);
            let slow = {
                let (here, id, load) = (here.clone(), id.clone(), cell.slow_load(ms(0), ms(40)));
                tokio::spawn(async move { here.get(id, tagged(load)).await.unwrap() })
            };
            within(SOON, || cell.loads() == 1).await;
            change(&there, &id, &cell, way).await;
            assert_eq!(slow.await.unwrap().as_deref(), Some(&1), "it had the old value");
            for namespace in [&here, &there] {
                let found = namespace.get(&id, tagged(cell.load())).await.unwrap();
                assert_eq!(found.as_deref(), Some(&2), "{way}");
            }
        }
    }
}

/// Changes the value to 2, and tells the cache in this way.
async fn change(namespace: &Namespace<u64>, id: &str, cell: &Cell, way: &str) {
    let store = namespace.policy().on_write(OnWrite::Store);
    match way {
        "write" => drop(namespace.write(id, cell.write(2)).await.unwrap()),
        "store" => drop(namespace.with(store).write(id, cell.write(2)).await.unwrap()),
        _ => {
            cell.set(2);
            let told = match way {
                "invalidate" => namespace.invalidate(id).await,
                "invalidate_all" => namespace.invalidate_all().await,
                _ => namespace.cache().invalidate_tag("cells").await,
            };
            assert!(!matches!(told, Invalidated::Deferred(_)), "{told:?}");
        }
    }
}

async fn tagged(load: Answer) -> Result<Loaded<u64>, Down> {
    Ok(Loaded::new(load.await?).tag("cells"))
}

/// One thing that happens to a value.
#[derive(Debug, Clone, Copy)]
enum Event {
    Read,
    Write,
    Store,
    Invalidate,
    InvalidateAll,
    InvalidateTag,
    Delete,
}

const EVENTS: [Event; 12] = [
    Event::Read,
    Event::Read,
    Event::Read,
    Event::Read,
    Event::Write,
    Event::Write,
    Event::Store,
    Event::Store,
    Event::Invalidate,
    Event::InvalidateAll,
    Event::InvalidateTag,
    Event::Delete,
];

/// A round: up to eight events at once on one value, in two processes. Then nobody may get
/// anything but what the origin has.
#[tokio::test]
async fn after_any_overlap_every_reader_gets_what_was_committed_last() {
    let (world, mut rng) = (World::new(), StdRng::seed_from_u64(seed_or(2)));
    let caches = [world.cache().await, world.cache().await];
    let policies = [
        plain(),
        plain().lease(None),
        plain().lease(None).without(Protection::SingleFlight),
        plain().absent_ttl(Duration::ZERO),
    ];
    for round in 0..400 {
        let (id, cell) = (format!("round-{round}"), Cell::new((round % 3 > 0).then_some(1)));
        let policy = *policies.choose(&mut rng).unwrap();
        let events: Vec<_> =
            (2..10).map(|value| event(&caches, policy, &id, &cell, value, &mut rng)).collect();
        let (names, events): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        join_all(events).await;
        for cache in &caches {
            let namespace = cache.namespace::<u64>("cell", policy);
            let found = namespace.lookup(&*id, tagged(cell.load())).await.unwrap();
            let case = format!("round {round}, from {:?}, after {names:?}", found.source);
            assert_eq!(found.value.as_deref().copied(), cell.value(), "{case}");
        }
    }
}

/// A random event, which writes `value` if it writes.
fn event(
    caches: &[Cache],
    policy: CachePolicy,
    id: &str,
    cell: &Cell,
    value: u64,
    rng: &mut impl Rng,
) -> (Event, BoxFuture<'static, ()>) {
    let event = *EVENTS.choose(rng).unwrap();
    let namespace = caches.choose(rng).unwrap().namespace::<u64>("cell", policy);
    let [wait, before, after] = [(); 3].map(|()| ms(rng.random_range(0..4)));
    let (id, cell) = (id.to_owned(), cell.clone());
    let happens = Box::pin(async move {
        sleep(wait).await;
        let write = cell.slow_write(value, before, after);
        let store = namespace.with(policy.on_write(OnWrite::Store));
        match event {
            Event::Read => {
                let load = tagged(cell.slow_load(before, after));
                namespace.get(id, load).await.unwrap();
            }
            Event::Write => drop(namespace.write(id, write).await.unwrap()),
            Event::Store => drop(store.write(id, tagged(write)).await.unwrap()),
            Event::Delete => {
                let delete = cell.slow_write(None, before, after);
                drop(namespace.write(id, delete).await.unwrap());
            }
            Event::Invalidate => {
                write.await.unwrap();
                let _ = namespace.invalidate(id).await;
            }
            Event::InvalidateAll => {
                write.await.unwrap();
                let _ = namespace.invalidate_all().await;
            }
            Event::InvalidateTag => {
                write.await.unwrap();
                let _ = namespace.cache().invalidate_tag("cells").await;
            }
        }
    });
    (event, happens)
}

#[tokio::test]
async fn writers_that_overlap_in_two_processes_leave_the_last_value_or_none() {
    let (world, mut rng) = (World::new(), StdRng::seed_from_u64(seed_or(3)));
    let policy = plain().on_write(OnWrite::Store);
    let caches = [world.cache().await, world.cache().await];
    let namespaces = caches.each_ref().map(|cache| cache.namespace::<u64>("cell", policy));
    for round in 0..300 {
        let (id, cell) = (format!("round-{round}"), Cell::new(0));
        let writes = (1..=4).map(|value| {
            let namespace = namespaces.choose(&mut rng).unwrap();
            let [before, after] = [(); 2].map(|()| ms(rng.random_range(0..4)));
            namespace.write(id.clone(), cell.slow_write(value, before, after))
        });
        join_all(writes.collect::<Vec<_>>()).await;
        for namespace in &namespaces {
            if let Some(found) = namespace.peek(&*id).await {
                assert_eq!(found.value.as_deref().copied(), cell.value(), "round {round}");
            }
        }
    }
}

#[tokio::test]
async fn a_write_alone_is_stored() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let (cell, policy) = (Cell::new(1), plain().on_write(OnWrite::Store));
    let written = here.namespace::<u64>("cell", policy).write(7, cell.write(2)).await.unwrap();
    assert_eq!((written.effect, written.version), (Effect::Stored, None));
    let found = there.namespace::<u64>("cell", policy).peek(7).await.unwrap();
    assert_eq!((found.value, found.source), (Some(Arc::new(2)), Source::Cache));
}

#[tokio::test]
async fn an_absence_is_cached_and_replaced() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let [here, there] = [here, there].map(|cache| cache.namespace::<u64>("cell", plain()));
    let cell = Cell::new(None);
    for expected in [None, None, Some(3), Some(3), None, None, Some(4)] {
        if expected != cell.value() {
            here.write("a", cell.write(expected)).await.unwrap();
        }
        let found = there.lookup("a", cell.load()).await.unwrap();
        assert_eq!(found.value.as_deref().copied(), expected);
        assert_eq!(there.peek("a").await.unwrap().value.as_deref().copied(), expected);
    }
    assert_eq!(cell.loads(), 4, "one for each value");
}

/// A process that has seen nothing of a namespace but an absence does not know whether
/// its values have versions.
#[tokio::test]
async fn an_absence_does_not_outlive_a_row_with_a_version() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let [here, there] = [here, there].map(|cache| cache.namespace::<u64>("cell", plain()));
    let missing = here.lookup("a", async { Ok::<_, Down>(None::<u64>) }).await.unwrap();
    assert!(matches!(missing.fill, Fill::Stored(_)));
    let row = |version| async move { Ok::<_, Down>(Some(Versioned { value: 5_u64, version })) };
    there.write("a", row(1)).await.unwrap();
    let found = here.get("a", row(1)).await.unwrap();
    assert_eq!(found.as_deref(), Some(&5));
    assert_eq!(here.peek("a").await.unwrap().version, Some(1));
}

/// A row is deleted while a slow reader has it; another reader finds nothing.
#[tokio::test]
async fn an_absence_keeps_out_a_slow_reader_of_the_deleted_row() {
    let world = World::new();
    let caches = [world.cache().await, world.cache().await];
    for versioned in [true, false] {
        let name = if versioned { "row" } else { "cell" };
        let policy = plain().lease(None);
        let [slow, other] = caches.each_ref().map(|cache| cache.namespace::<u64>(name, policy));
        let (id, cell) = (versioned.to_string(), Cell::new(1));
        let load = cell.slow_load(ms(0), ms(60));
        let loaded = async move {
            let loaded = Loaded::new(load.await?);
            Ok::<_, Down>(if versioned { loaded.version(5) } else { loaded })
        };
        let reading = {
            let (slow, id) = (slow.clone(), id.clone());
            tokio::spawn(async move { slow.lookup(id, loaded).await.unwrap() })
        };
        within(SOON, || cell.loads() == 1).await;
        cell.set(None);
        let _ = other.invalidate(&*id).await;
        let missing = other.lookup(&*id, cell.load()).await.unwrap();
        assert!(matches!(missing.fill, Fill::Stored(_)), "{:?}", missing.fill);
        assert_eq!(reading.await.unwrap().fill, Fill::Superseded, "versioned: {versioned}");
        assert_eq!(other.get(&*id, cell.load()).await.unwrap(), None);
    }
}

/// A deployment gives the values a version, or takes it away.
#[tokio::test]
async fn entries_of_a_release_without_versions_hide_no_write_with_one() {
    let world = World::new();
    let (old, new) = (world.cache().await, world.cache().await);
    let [old, new] = [old, new].map(|cache| cache.namespace::<u64>("cell", plain()));
    let cell = Cell::new(1);
    let versioned =
        |value: u64, version| async move { Ok::<_, Down>(Versioned { value, version }) };
    old.get("a", cell.load()).await.unwrap();
    new.write("a", versioned(2, 7)).await.unwrap();
    assert_eq!(new.get("a", versioned(2, 7)).await.unwrap().as_deref(), Some(&2));
    assert_eq!(new.peek("a").await.unwrap().version, Some(7));
    old.write("a", cell.write(3)).await.unwrap();
    assert_eq!(old.get("a", cell.load()).await.unwrap().as_deref(), Some(&3));
    assert_eq!(old.get("a", cell.load()).await.unwrap().as_deref(), Some(&3));
    assert_eq!(cell.loads(), 2, "the second one is a hit");
}

#[tokio::test]
async fn a_namespace_that_mixes_versions_caches_nothing_old() {
    let world = World::new();
    let cache = world.cache().await;
    let namespace = cache.namespace::<u64>("cell", plain().on_write(OnWrite::Store));
    let versioned =
        |value: u64, version| async move { Ok::<_, Down>(Versioned { value, version }) };
    let cell = Cell::new(1);
    namespace.get("a", cell.load()).await.unwrap();
    let written = namespace.write("a", versioned(2, 7)).await.unwrap();
    assert_eq!(written.effect, Effect::Invalidated(true));
    let found = namespace.lookup("a", versioned(2, 7)).await.unwrap();
    assert_eq!((found.value, found.fill), (Some(Arc::new(2)), Fill::NotCached));
    let found = namespace.lookup("a", cell.load()).await.unwrap();
    assert_eq!((found.value, found.fill), (Some(Arc::new(1)), Fill::NotCached));
    assert!(namespace.peek("a").await.is_none());
}

#[tokio::test]
async fn versions_up_to_the_limit_are_exact_and_larger_ones_are_not_cached() {
    let world = World::new();
    let cache = world.cache().await;
    let namespace = cache.namespace::<u64>("cell", plain().on_write(OnWrite::Store));
    let row = |version| async move { Ok::<_, Down>(Versioned { value: version, version }) };
    let limit = 1_u64 << 53;
    for version in [limit - 3, limit - 2, limit - 1] {
        assert_eq!(namespace.write("a", row(version)).await.unwrap().effect, Effect::Stored);
        assert_eq!(namespace.peek("a").await.unwrap().version, Some(version));
        assert_eq!(
            namespace.write("a", row(version - 1)).await.unwrap().effect,
            Effect::Invalidated(false)
        );
        assert_eq!(namespace.peek("a").await.unwrap().version, Some(version), "it is the newer");
    }
    for version in [limit, limit + 1, u64::MAX] {
        let written = namespace.write("a", row(version)).await.unwrap();
        assert!(matches!(written.effect, Effect::Invalidated(_)), "{:?}", written.effect);
        let found = namespace.lookup("a", row(version)).await.unwrap();
        assert_eq!((found.value, found.fill), (Some(Arc::new(version)), Fill::NotCached));
    }
    let count =
        [("x", Versioned { value: 1, version: limit }), ("y", Versioned { value: 1, version: 1 })];
    assert_eq!(namespace.put_all(count).await, Ok(1));
    namespace.lookup("b", row(5)).await.unwrap();
    assert!(namespace.peek("b").await.is_some(), "others are cached as before");
}

/// The caller begins after another process has invalidated the key, and finds a load in
/// progress that began before.
#[tokio::test]
async fn a_load_in_progress_is_not_shared_with_those_who_must_not_see_it() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    for way in ["write", "store", "invalidate", "invalidate_all"] {
        let (cell, policy) = (Cell::new(1), plain());
        let here = here.namespace::<u64>("cell", policy);
        let there = there.namespace::<u64>("cell", policy);
        let first = {
            let (here, load) = (here.clone(), cell.slow_load(ms(0), ms(300)));
            tokio::spawn(async move { here.get(way, load).await.unwrap() })
        };
        within(SOON, || cell.loads() == 1).await;
        change(&there, way, &cell, way).await;
        let found = here.lookup(way, cell.load()).await.unwrap();
        assert_eq!(found.value.as_deref(), Some(&2), "{way}");
        assert_eq!(first.await.unwrap().as_deref(), Some(&1));
    }
}

/// As it was before: the copy of a namespace under a policy that keeps it for an hour is
/// outdated by a write under one that keeps it for a minute.
#[tokio::test]
async fn what_outdates_copies_lives_as_long_as_the_longest_policy_needs() {
    let world = World::new();
    let cache = world.cache().await;
    let long = plain().with_ttl(Duration::from_secs(3_600)).hard_timeout(Duration::from_secs(90));
    let namespace = cache.namespace::<u64>("cell", plain().grace(Duration::ZERO));
    let _reader = namespace.with(long);
    namespace.write("a", Cell::new(1).write(2)).await.unwrap();
    let left = |key| world.redis.command(&["PTTL", key]).parse::<u64>().unwrap();
    assert!(left("test:cell:a") > 240_000, "twice the load, and a minute");
    assert!(left("test:edited:{test:cell:a}") > 4_000_000, "the TTL and the grace period");
}
