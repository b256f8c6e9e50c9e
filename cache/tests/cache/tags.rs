//! Tags of entries, and lost tags.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, CacheState, Fill, Invalidated, Loaded, Namespace, OnWrite, Pattern, Source,
};
use tokio::time::sleep;

use crate::{
    cell::{Cell, Down, plain},
    proxy::{Mode, Proxy},
    world::{PREFIX, SOON, World, within},
};

/// A load of a value with these tags.
fn tagged(
    cell: &Cell,
    tags: &'static [&'static str],
) -> impl Future<Output = Result<Loaded<u64>, Down>> + Send + 'static {
    let load = cell.load();
    async move {
        let loaded = Loaded::new(load.await?);
        Ok(tags.iter().fold(loaded, |loaded, tag| loaded.tag(*tag)))
    }
}

async fn source(namespace: &Namespace<u64>, id: &str, tags: &'static [&'static str]) -> Source {
    namespace.lookup(id, tagged(&Cell::new(1), tags)).await.unwrap().source
}

#[tokio::test]
async fn a_tag_invalidates_its_entries_in_every_namespace_and_process() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let (users, teams) = (here.namespace::<u64>("user", plain()), here.namespace("team", plain()));
    let all: [(&Namespace<u64>, &str, &'static [&str]); 4] = [
        (&users, "ann", &["team:7", "de"]),
        (&users, "bob", &["team:8", "de"]),
        (&users, "eve", &[]),
        (&teams, "7", &["team:7", "team:7"]),
    ];
    let cases: [(&str, [bool; 4]); 4] = [
        ("team:7", [true, false, false, true]),
        ("de", [true, true, false, false]),
        ("team:*", [false; 4]),
        ("", [false; 4]),
    ];
    for (tag, dropped) in cases {
        for (namespace, id, tags) in all {
            source(namespace, id, tags).await;
            assert_eq!(source(namespace, id, tags).await, Source::Cache, "{id}");
        }
        assert_eq!(there.invalidate_tag(tag).await, Invalidated::Dropped);
        for ((namespace, id, tags), is_dropped) in all.into_iter().zip(dropped) {
            let expected = if is_dropped { Source::Database } else { Source::Cache };
            assert_eq!(source(namespace, id, tags).await, expected, "{id} after {tag:?}");
        }
    }
}

/// With a lease, which another process may hold, and without.
#[tokio::test]
async fn a_tag_that_is_invalidated_during_a_load_outdates_what_it_brings() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    for policy in [plain(), plain().lease(None)] {
        let namespace = here.namespace::<u64>("cell", policy);
        let cell = Cell::new(1);
        let slow = cell.slow_load(Duration::ZERO, Duration::from_millis(200));
        let load = async move { Ok::<_, Down>(Loaded::new(slow.await?).tag("t")) };
        let first = {
            let namespace = namespace.clone();
            tokio::spawn(async move { namespace.lookup("a", load).await.unwrap() })
        };
        within(SOON, || cell.loads() == 1).await;
        cell.set(2);
        let _ = there.invalidate_tag("t").await;
        // It joins the load in progress, but must not get what that brings.
        let second = namespace.lookup("a", tagged(&cell, &["t"])).await.unwrap();
        let first = first.await.unwrap();
        assert_eq!((first.value, first.fill), (Some(Arc::new(1)), Fill::NotCached));
        assert_eq!(second.value, Some(Arc::new(2)));
        assert_eq!(namespace.get("a", tagged(&cell, &["t"])).await.unwrap(), Some(Arc::new(2)));
        world.redis.flush();
    }
}

#[tokio::test]
async fn a_lost_tag_outdates_its_entries() {
    let world = World::new();
    let cache = world.cache().await;
    let namespace = cache.namespace::<u64>("cell", plain());
    let cell = Cell::new(1);
    for lost in ["test:tags:t", "test:tag:cell"] {
        namespace.get("a", tagged(&cell, &["t"])).await.unwrap();
        assert_eq!(source(&namespace, "a", &["t"]).await, Source::Cache);
        world.redis.command(&["DEL", lost]);
        cell.set(cell.value().unwrap() + 1);
        // Another entry starts the tag again: the earlier one stays outdated.
        namespace.get("b", tagged(&cell, &["t"])).await.unwrap();
        let found = namespace.lookup("a", tagged(&cell, &["t"])).await.unwrap();
        assert_eq!(
            (found.value.as_deref().copied(), found.source),
            (cell.value(), Source::Database)
        );
        assert_eq!(source(&namespace, "a", &["t"]).await, Source::Cache, "it is cached again");
    }
}

#[tokio::test]
async fn near_caches_of_other_processes_drop_what_has_the_tag() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let namespace = here.namespace::<u64>("cell", plain().near(Duration::from_secs(30)));
    within(SOON, || here.health().is_tracking).await;
    for value in 1..20 {
        let cell = Cell::new(value);
        until_in_memory(&namespace, &cell).await;
        cell.set(value + 1);
        let _ = there.invalidate_tag("t").await;
        let end = std::time::Instant::now() + SOON;
        while namespace.get("a", tagged(&cell, &["t"])).await.unwrap() != Some(Arc::new(value + 1))
        {
            assert!(std::time::Instant::now() < end, "the push should have arrived");
        }
    }
}

async fn until_in_memory(namespace: &Namespace<u64>, cell: &Cell) {
    let end = std::time::Instant::now() + SOON;
    loop {
        let found = namespace.lookup("a", tagged(cell, &["t"])).await.unwrap();
        if found.source == Source::Memory {
            return;
        }
        assert!(std::time::Instant::now() < end, "it should be in memory by now");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Each first entry of a tag changes the tag, but no copy has it yet.
#[tokio::test]
async fn entries_with_other_tags_leave_the_near_cache_alone() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let policy = plain().near(Duration::from_secs(30));
    let namespace = here.namespace::<u64>("cell", policy);
    within(SOON, || here.health().is_tracking).await;
    let cell = Cell::new(1);
    let other = there.namespace::<u64>("other", plain());
    // The first entry of a namespace starts its tag, which reaches all near caches.
    other.get("first", cell.load()).await.unwrap();
    until_in_memory(&namespace, &cell).await;
    // These tags are in other groups than "t".
    for tags in [&["u1", "u2"], &["u3", "u4"], &["u1", "u4"]] {
        other.get("x", tagged(&cell, tags)).await.unwrap();
        let _ = other.invalidate("x").await;
    }
    // Pushes arrive in order: when this one has, the others have.
    until_in_memory_as(&namespace, "last").await;
    let _ = there.namespace::<u64>("cell", plain()).invalidate("last").await;
    is_dropped(&namespace, "last").await;
    assert_eq!(source(&namespace, "a", &["t"]).await, Source::Memory);
}

async fn is_dropped(namespace: &Namespace<u64>, id: &str) {
    let is_copy = |near| matches!(near, Some(CacheState::Copy { .. }));
    while is_copy(namespace.inspect(id).await.near) {
        sleep(Duration::from_millis(2)).await;
    }
}

async fn until_in_memory_as(namespace: &Namespace<u64>, id: &str) {
    while namespace.lookup(id, Cell::new(1).load()).await.unwrap().source != Source::Memory {
        sleep(Duration::from_millis(2)).await;
    }
}

/// The invalidation waits for Redis; until then this process uses no entry with the tag,
/// even if it can read them.
#[tokio::test]
async fn a_deferred_invalidation_of_a_tag_is_honoured_here_at_once_and_elsewhere_later() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let [here_cells, there_cells] =
        [&here, &there].map(|cache| cache.namespace::<u64>("cell", plain()));
    let cell = Cell::new(1);
    here_cells.get("a", tagged(&cell, &["t"])).await.unwrap();
    cell.set(2);
    // Redis rejects writes, but not reads.
    world.redis.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert!(matches!(here.invalidate_tag("t").await, Invalidated::Deferred(_)));
    let found = here_cells.get("a", tagged(&cell, &["t"])).await.unwrap();
    assert_eq!(found, Some(Arc::new(2)), "not the copy");
    assert!(here_cells.peek("a").await.is_none());
    world.redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    within(SOON, || here.health().deferred_invalidations == 0).await;
    for cells in [here_cells, there_cells] {
        let found = cells.get("a", tagged(&cell, &["t"])).await.unwrap();
        assert_eq!(found, Some(Arc::new(2)));
    }
}

/// The reply to the copy arrives, but that about its tags does not: a miss.
#[tokio::test]
async fn tags_that_cannot_be_checked_make_a_miss() {
    let world = World::new();
    let there = world.cache().await;
    let proxy = Proxy::before(&world.redis);
    let here = world.cache_at(&proxy.url()).await;
    let cells = here.namespace::<u64>("cell", plain());
    let cell = Cell::new(1);
    cells.get("a", tagged(&cell, &["t"])).await.unwrap();
    cell.set(2);
    let _ = there.invalidate_tag("t").await;
    proxy.set(Mode::Freeze);
    let found = cells.get("a", tagged(&cell, &["t"])).await.unwrap();
    proxy.set(Mode::Pass);
    assert_eq!(found, Some(Arc::new(2)));
}

#[tokio::test]
async fn stale_copies_are_not_served_after_their_tag_was_invalidated() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let policy = plain().with_ttl(Duration::from_millis(50));
    let cells = here.namespace::<u64>("cell", policy);
    let cell = Cell::new(1);
    for is_invalidated in [false, true] {
        cells.get("a", tagged(&cell, &["t"])).await.unwrap();
        if is_invalidated {
            let _ = there.invalidate_tag("t").await;
        }
        // The TTL has to pass.
        sleep(Duration::from_millis(60)).await;
        cell.fail(true);
        let found = cells.lookup("a", tagged(&cell, &["t"])).await;
        cell.fail(false);
        assert_eq!(found.is_err(), is_invalidated, "{found:?}");
    }
}

/// All this process has is dropped by a tag, but what is still in Redis is kept for its
/// grace period again.
#[tokio::test]
async fn an_invalidation_of_others_does_not_end_the_grace_period() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain().with_ttl(Duration::from_millis(400)));
    let cell = Cell::new(1);
    cells.get("a", cell.load()).await.unwrap();
    let _ = cache.invalidate_tag("other").await;
    let _ = cache.namespace::<u64>("other", plain()).invalidate_all().await;
    assert!(cells.peek("a").await.is_some(), "it is still in Redis");
    // The TTL has to pass.
    sleep(Duration::from_millis(450)).await;
    cell.fail(true);
    assert_eq!(cells.lookup("a", cell.load()).await.unwrap().source, Source::Stale);
}

#[tokio::test]
async fn written_values_and_put_ones_have_tags() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain().on_write(OnWrite::Store));
    let cell = Cell::new(1);
    cells.write("a", tagged(&cell, &["t"])).await.unwrap();
    let put = ["b", "c"].map(|id| (id, Loaded::new(Some(1)).tag("t").tag(id)));
    assert_eq!(cells.put_all(put).await, Ok(2));
    let found = async |id: &str| cells.peek(id).await.is_some();
    assert!(found("a").await && found("b").await && found("c").await);
    let _ = cache.invalidate_tag("c").await;
    assert!(found("a").await && found("b").await && !found("c").await);
    let _ = cache.invalidate_tag("t").await;
    assert!(!found("a").await && !found("b").await);
}

#[tokio::test]
async fn everything_but_the_generation_of_a_namespace_expires() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain().on_write(OnWrite::Store));
    let cell = Cell::new(1);
    for n in 0..20_u64 {
        let load = cell.load();
        let load = async move { Ok::<_, Down>(Loaded::new(load.await?).tag(format!("t{n}"))) };
        cells.get(n, load).await.unwrap();
        let _ = cache.invalidate_tag(&format!("t{}", 2 * n)).await;
        let _ = cells.invalidate(n + 1).await;
        cells.write(n + 2, cell.write(2)).await.unwrap();
    }
    let all = world.redis.command(&["KEYS", "*"]);
    for key in all.lines() {
        let left: i64 = world.redis.command(&["PTTL", key]).parse().unwrap();
        let expires = (1..=1_400_000).contains(&left);
        assert!(expires || key == "test:tag:cell", "{key} expires in {left} ms");
    }
    assert!(all.lines().count() > 60, "{all}");
}

/// More than can be deferred one by one, and then a tag.
#[tokio::test]
async fn a_tag_beyond_the_limit_of_deferred_invalidations_is_not_forgotten() {
    let mut world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain());
    let cell = Cell::new(1);
    // What Redis holds survives its restart.
    world.redis.restart_with_args(&["--appendonly", "yes", "--appendfsync", "always"]);
    cache.ready(SOON).await.unwrap();
    cells.get("a", tagged(&cell, &["t"])).await.unwrap();
    world.redis.kill();
    for n in 0..10_000 {
        let _ = cells.invalidate(n).await;
    }
    cell.set(2);
    assert!(matches!(cache.invalidate_tag("t").await, Invalidated::Deferred(_)));
    assert!(cache.health().deferred_invalidations <= 10_001);
    world.redis.restart();
    within(SOON, || cache.health().deferred_invalidations == 0).await;
    let found = cells.get("a", tagged(&cell, &["t"])).await.unwrap();
    assert_eq!(found, Some(Arc::new(2)));
}

#[tokio::test]
async fn a_pattern_drops_what_this_process_keeps_past_its_ttl() {
    let world = World::new();
    let cache: Cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain().with_ttl(Duration::from_millis(50)));
    let cell = Cell::new(1);
    cells.get("a", cell.load()).await.unwrap();
    // The TTL has to pass.
    sleep(Duration::from_millis(60)).await;
    let pattern = Pattern::parse("*").unwrap();
    // Not a key of a namespace: it must not stop the scan.
    let foreign = redis_with_bytes(&world, b"test:cell:\xff");
    assert_eq!(foreign, "OK");
    cells.invalidate_matching(&pattern, false, |_| ()).await.unwrap();
    cell.fail(true);
    assert!(cells.lookup("a", cell.load()).await.is_err());
}

/// Sets a key that is not a text, by a script, as words are texts.
fn redis_with_bytes(world: &World, key: &[u8]) -> String {
    let escaped: String = key.iter().map(|byte| format!("\\{byte:03}")).collect();
    assert!(key.starts_with(PREFIX.as_bytes()));
    let script = format!("return redis.call('SET', '{escaped}', 'x')");
    world.redis.command(&["EVAL", &script, "0"])
}
