//! Views of what is cached, which change nothing.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{CacheState, Forward, Loaded, Source, Versioned, trace::Trace};

use crate::{
    cell::{Cell, Down, plain},
    world::{SOON, World, within},
};

#[tokio::test]
async fn a_peek_finds_a_copy_and_never_loads() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain());
    assert!(cells.peek("a").await.is_none());
    let cell = Cell::new(5);
    cells.get("a", cell.load()).await.unwrap();
    let found = cells.peek("a").await.unwrap();
    assert_eq!((found.value, found.source), (Some(Arc::new(5)), Source::Cache));
    assert_eq!((found.forward, found.key.as_str()), (Forward::No, "test:cell:a"));
    assert!(found.ttl.unwrap() > Duration::from_secs(50));
    cells.get("b", Cell::new(None).load()).await.unwrap();
    assert_eq!(cells.peek("b").await.unwrap().value, None, "an absence is a copy as well");
    assert!(cells.with(plain().bypass()).peek("a").await.is_none());
    assert_eq!(cell.loads(), 1);
}

#[tokio::test]
async fn an_inspection_tells_what_redis_and_this_process_have() {
    let world = World::new();
    let (cache, there) = (world.cache().await, world.cache().await);
    let cells = cache.namespace::<u64>("cell", plain().near(Duration::from_secs(9)));
    within(SOON, || cache.health().is_tracking).await;
    let state = async |id: &str| {
        let trace = Trace::start();
        let inspection = cells.clone().traced(&trace).inspect(id).await;
        assert!(trace.spans().is_empty());
        (inspection.redis.unwrap(), inspection.near)
    };
    assert_eq!(state("a").await, (CacheState::Nothing, Some(CacheState::Nothing)));
    let row =
        |version| async move { Ok::<_, Down>(Loaded::new(Some(5)).version(version).tag("t")) };
    cells.get("a", row(7)).await.unwrap();
    let (redis, near) = state("a").await;
    assert!(matches!(redis, CacheState::Copy { version: 7, .. }), "{redis:?}");
    assert_eq!(near, Some(CacheState::Nothing));
    cells.peek("a").await.unwrap();
    assert!(matches!(state("a").await.1, Some(CacheState::Copy { version: 7, .. })));
    let _ = there.invalidate_tag("t").await;
    assert_eq!(state("a").await.0, CacheState::Expired(7), "by its tag");
    cells.get("a", row(8)).await.unwrap();
    let _ = cells.invalidate_all().await;
    assert_eq!(state("a").await.0, CacheState::Expired(8), "by its namespace");
    let _ = cells.invalidate("a").await;
    assert_eq!(state("a").await.0, CacheState::Tombstone(8));
    cells.get("b", async { Ok::<_, Down>(None::<u64>) }).await.unwrap();
    assert!(matches!(state("b").await.0, CacheState::Absent(_)));
    world.redis.command(&["SET", "test:cell:c", "[]"]);
    assert_eq!(state("c").await.0, CacheState::Corrupt);
}

#[tokio::test]
async fn an_entry_is_decoded_as_it_is_stored() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain());
    let row = async { Ok::<_, Down>(Versioned { value: 5_u64, version: 7 }) };
    cells.get("a", row).await.unwrap();
    let entry = world.redis.command(&["GET", "test:cell:a"]);
    let decoded = cells.decode("a", entry.as_bytes()).unwrap().unwrap();
    assert_eq!((*decoded.value, decoded.version), (5, 7));
    assert!(cells.decode("b", entry.as_bytes()).is_err(), "of another id");
    assert!(cells.decode("a", b"x").is_err());
    let _ = cells.invalidate("a").await;
    let tombstone = world.redis.command(&["GET", "test:cell:a"]);
    assert_eq!(cells.decode("a", tombstone.as_bytes()), Ok(None));
}

#[tokio::test]
async fn put_values_are_found_and_replace_nothing_newer() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain());
    let row = |value: u64| async move { Ok::<_, Down>(Versioned { value, version: value }) };
    cells.get("a", row(7)).await.unwrap();
    let put = |id, version| (id, Some(Versioned { value: version, version }));
    let values = [put("a", 6), put("b", 6), ("c", None)];
    assert_eq!(cells.put_all(values).await, Ok(2), "an absence is not sent");
    let peeked = async |id| cells.peek(id).await.map(|found| *found.value.unwrap());
    assert_eq!((peeked("a").await, peeked("b").await, peeked("c").await), (Some(7), Some(6), None));
    assert_eq!(cells.put_all([put("a", 8)]).await, Ok(1));
    assert_eq!(peeked("a").await, Some(8));
    assert_eq!(cells.put_all(Vec::<(u8, u64)>::new()).await, Ok(0));
}
