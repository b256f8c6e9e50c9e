//! How often each operation waits for Redis.

use std::{collections::BTreeSet, time::Duration};

use hitrate_cache::{
    CachePolicy, Loaded, Namespace, OnWrite, Versioned,
    trace::{Target, Trace},
};

use crate::{
    cell::{Cell, Down, plain},
    world::{SOON, World, within},
};

/// Counts the round trips to Redis while this runs.
async fn round_trips<R>(
    cells: &Namespace<u64>,
    work: impl AsyncFnOnce(Namespace<u64>) -> R,
) -> usize {
    let trace = Trace::start();
    work(cells.clone().traced(&trace)).await;
    let spans = trace.spans();
    let redis = spans.iter().filter(|span| span.target == Target::Redis);
    redis.map(|span| span.round_trip).collect::<BTreeSet<_>>().len()
}

/// A namespace under this policy whose tag exists.
async fn cells(world: &World, policy: CachePolicy) -> Namespace<u64> {
    let cells = world.cache().await.namespace::<u64>("cell", policy);
    cells.get("first", Cell::new(1).load()).await.unwrap();
    cells
}

#[tokio::test]
async fn lookups() {
    let world = World::new();
    let cells = cells(&world, plain()).await;
    let load = || Cell::new(1).load();
    let tagged = || async { Ok::<_, Down>(Loaded::new(Some(1)).tag("s").tag("t")) };
    // A miss: the copy; the lease with the copy; the fill with the release.
    assert_eq!(round_trips(&cells, async |it| it.get("a", load()).await).await, 3, "a miss");
    assert_eq!(round_trips(&cells, async |it| it.get("a", load()).await).await, 1, "a hit");
    assert_eq!(round_trips(&cells, async |it| it.peek("a").await).await, 1, "a peek");
    let absent = || Cell::new(None).load();
    assert_eq!(round_trips(&cells, async |it| it.get("b", absent()).await).await, 3);
    assert_eq!(round_trips(&cells, async |it| it.get("b", absent()).await).await, 1);
    // With tags, their generations are read before the fill, and at each hit.
    assert_eq!(round_trips(&cells, async |it| it.get("c", tagged()).await).await, 4);
    assert_eq!(round_trips(&cells, async |it| it.get("c", tagged()).await).await, 2);
    let alone = cells.with(plain().lease(None));
    assert_eq!(round_trips(&alone, async |it| it.get("d", load()).await).await, 2, "no lease");
    let bypassed = cells.with(plain().bypass());
    assert_eq!(round_trips(&bypassed, async |it| it.get("a", load()).await).await, 0);
}

#[tokio::test]
async fn the_first_lookup_of_a_namespace_starts_its_tag_with_the_lease() {
    let world = World::new();
    let cells = world.cache().await.namespace::<u64>("cell", plain());
    let load = || Cell::new(1).load();
    // The script is sent by its digest, and then as a text.
    assert_eq!(round_trips(&cells, async |it| it.get("a", load()).await).await, 3);
    let entry = world.redis.command(&["GET", "test:cell:a"]);
    assert!(entry.starts_with(r#"{"version":0,"at":1"#), "{entry}");
}

#[tokio::test]
async fn stale_copies() {
    let world = World::new();
    let policy = plain().with_ttl(Duration::from_millis(30));
    let cells = cells(&world, policy).await;
    let cell = Cell::new(1);
    cells.get("a", cell.load()).await.unwrap();
    // The TTL has to pass.
    tokio::time::sleep(Duration::from_millis(40)).await;
    cell.fail(true);
    // The copy, what outdates stale ones, and the lease.
    assert_eq!(round_trips(&cells, async |it| it.get("a", cell.load()).await).await, 3);
}

#[tokio::test]
async fn near_hits() {
    let world = World::new();
    let cells = cells(&world, plain().near(Duration::from_secs(9))).await;
    within(SOON, || cells.cache().health().is_tracking).await;
    let tagged = || async { Ok::<_, Down>(Loaded::new(Some(1)).tag("t")) };
    cells.get("a", tagged()).await.unwrap();
    let hit = async || round_trips(&cells, async |it| it.get("a", tagged()).await).await;
    while hit().await > 0 {}
    assert_eq!(hit().await, 0);
}

#[tokio::test]
async fn writes_and_invalidations() {
    let world = World::new();
    let drop = cells(&world, plain()).await;
    let store = drop.with(plain().on_write(OnWrite::Store));
    let write = || Cell::new(1).write(2);
    assert_eq!(round_trips(&drop, async |it| it.write("a", write()).await).await, 1);
    // The generation of the namespace before the write, then the value.
    assert_eq!(round_trips(&store, async |it| it.write("b", write()).await).await, 2);
    assert_eq!(round_trips(&drop, async |it| it.invalidate("a").await).await, 1);
    assert_eq!(round_trips(&drop, async |it| it.invalidate_all().await).await, 1);
    // Their generation, then all values.
    let values = || (0..500).map(|n| (n, 1));
    let mut put = 0;
    let counted = round_trips(&drop, async |it| put = it.put_all(values()).await.unwrap()).await;
    assert_eq!((counted, put), (1, 500), "the bulk one is not traced");
}

#[tokio::test]
async fn writes_with_a_version() {
    let world = World::new();
    let row = || async { Ok::<_, Down>(Versioned { value: 1_u64, version: 1 }) };
    let cells = world.cache().await.namespace::<u64>("cell", plain().on_write(OnWrite::Store));
    cells.get("first", row()).await.unwrap();
    assert_eq!(round_trips(&cells, async |it| it.write("a", row()).await).await, 2);
    let drop = cells.with(plain());
    assert_eq!(round_trips(&drop, async |it| it.write("a", row()).await).await, 1);
}
