//! A cache that is off, and a policy that bypasses it.

use std::sync::Arc;

use hitrate_cache::{Cache, CacheState, Fill, Forward, Loaded, OnWrite, Pattern, Source};

use crate::{
    cell::{Cell, Down, plain},
    world::World,
};

#[tokio::test]
async fn a_cache_that_is_off_asks_the_origin_each_time_and_keeps_nothing() {
    let cache = Cache::off();
    let cells = cache.namespace::<u64>("cell", plain().on_write(OnWrite::Store));
    let cell = Cell::new(1);
    for n in 1..=3 {
        cell.set(n);
        let found = cells.lookup("a", cell.load()).await.unwrap();
        assert_eq!((found.value, found.source), (Some(Arc::new(n)), Source::Database));
        assert_eq!((found.fill, found.forward), (Fill::Bypassed, Forward::Bypass));
        assert_eq!(cell.loads(), n);
    }
    let written = cells.write("a", cell.write(9)).await.unwrap();
    assert_eq!(written.value, Some(Arc::new(9)));
    let tagged = async { Ok::<_, Down>(Loaded::new(Some(1)).tag("t")) };
    assert_eq!(cells.get("b", tagged).await.unwrap(), Some(Arc::new(1)));
    assert_eq!(cells.put_all([("c", 1)]).await, Ok(0));
    let _ = (cells.invalidate("a").await, cells.invalidate_all().await);
    let _ = cache.invalidate_tag("t").await;
    let all = Pattern::parse("*").unwrap();
    let scan = cells.invalidate_matching(&all, false, |_| ()).await.unwrap();
    assert_eq!((scan.found, scan.is_complete), (0, true));
    for id in ["a", "b", "c"] {
        assert!(cells.peek(id).await.is_none());
        let inspection = cells.inspect(id).await;
        assert_eq!((inspection.redis.unwrap(), inspection.near), (CacheState::Nothing, None));
    }
    cache.ready(crate::world::SOON).await.unwrap();
    assert_eq!(cache.with_own_connection().health().deferred_invalidations, 0);
    assert!(cells.get("a", async { Err::<u64, _>(Down) }).await.is_err());
}

#[tokio::test]
async fn a_bypassed_cache_is_not_read_but_its_writes_invalidate() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain());
    let bypassed = cells.with(plain().on_write(OnWrite::Store).bypass());
    let cell = Cell::new(1);
    cells.get("a", cell.load()).await.unwrap();
    cell.set(2);
    let found = bypassed.lookup("a", cell.load()).await.unwrap();
    assert_eq!((found.value, found.fill), (Some(Arc::new(2)), Fill::Bypassed));
    assert_eq!(cells.peek("a").await.unwrap().value, Some(Arc::new(1)), "it stored nothing");
    bypassed.write("a", cell.write(3)).await.unwrap();
    assert_eq!(cells.get("a", cell.load()).await.unwrap(), Some(Arc::new(3)));
}
