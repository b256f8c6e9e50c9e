use std::time::Duration;

use hitrate_cache::{Cache, CachePolicy, Effect, Fill, Source, Written, write_behind::Flusher};

use crate::world::{
    FLUSH_POLICY, Profile, RowSink, World, age, default, named, profile, profiles, within,
};

/// 10,000 bytes for the value, plus its metadata.
const MAX_BYTES: usize = 10_300;
/// The default limit.
const DEFAULT_MAX_BYTES: usize = 1024 * 1024;

async fn write(
    world: &World,
    cache: &Cache,
    age: u32,
    bytes: usize,
    policy: &CachePolicy,
) -> Written<Profile> {
    let mut value = profile("1", age);
    value.name = "n".repeat(bytes);
    world.loader(cache, policy).write("1".to_owned(), value).await.unwrap()
}

fn is_stored(world: &World) -> bool {
    let entry = world.redis.command(&["GET", "test:profile:1"]);
    !entry.is_empty() && !entry.contains(r#""gone":true"#)
}

#[tokio::test]
async fn a_large_value_is_loaded_once() {
    for bytes in [63 * 1024, 70 * 1024, DEFAULT_MAX_BYTES - 1024] {
        let world = World::new();
        world.origin.put("1", 30);
        world.origin.grow("1", bytes);
        let cache = world.cache().await;
        for _ in 0..5 {
            world.fetch(&cache, "1", &default()).await.unwrap();
        }
        assert_eq!(world.origin.loads(), 1, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_value_above_the_size_limit_is_counted_and_not_stored() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.grow("1", MAX_BYTES);
    let (cache, rejected) = world.cache_for(MAX_BYTES).await;
    for n in 1..=3 {
        let lookup = world.fetch(&cache, "1", &default()).await.unwrap();
        assert_eq!((lookup.source, lookup.fill), (Source::Database, Fill::TooLarge));
        assert_eq!((world.origin.loads(), rejected.count()), (n, n));
        assert_eq!(world.redis.command(&["DBSIZE"]), "1", "no copy, no lease");
    }
    world.origin.grow("1", 10_000);
    for _ in 0..3 {
        world.fetch(&cache, "1", &default()).await.unwrap();
    }
    assert_eq!((world.origin.loads(), rejected.count()), (4, 3));
}

#[tokio::test]
async fn an_entry_above_this_processs_limit_is_neither_used_nor_replaced() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.grow("1", MAX_BYTES);
    let large_limit = world.cache().await;
    world.fetch(&large_limit, "1", &default()).await.unwrap();
    let (small_limit, _) = world.cache_for(MAX_BYTES).await;
    let lookup = world.fetch(&small_limit, "1", &default()).await.unwrap();
    assert_eq!((lookup.source, lookup.fill), (Source::Database, Fill::TooLarge));
    assert!(is_stored(&world), "the other process still uses it");
    world.fetch(&large_limit, "1", &default()).await.unwrap();
    assert_eq!(world.origin.loads(), 2);
}

#[tokio::test]
async fn an_edit_that_makes_a_value_too_large_leaves_no_older_copy() {
    for name in ["read-through", "write-through", "write-around", "write-behind", "refresh-ahead"] {
        let (world, policy) = (World::new(), named(name));
        world.origin.put("1", 30);
        let (cache, _) = world.cache_for(MAX_BYTES).await;
        world.fetch(&cache, "1", &policy).await.unwrap();
        assert!(is_stored(&world), "{name}");
        let written = write(&world, &cache, 31, MAX_BYTES, &policy).await;
        assert_ne!(written.effect, Effect::Queued, "{name}: it was not queued");
        assert_eq!((world.origin.age("1"), is_stored(&world)), (31, false), "{name}");
        assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31, "{name}");
    }
}

#[tokio::test]
async fn a_large_write_behind_value_reaches_the_origin() {
    let (world, policy) = (World::new(), named("write-behind"));
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let _flusher =
        Flusher::start(&cache, RowSink(std::sync::Arc::clone(&world.origin)), FLUSH_POLICY);
    let written = write(&world, &cache, 31, 500_000, &policy).await;
    assert_eq!(written.effect, Effect::Queued);
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31);
    within(Duration::from_secs(3), || world.origin.age("1") == 31).await;
}

#[tokio::test]
async fn a_bulk_fill_skips_and_counts_values_above_the_size_limit() {
    let world = World::new();
    let (cache, rejected) = world.cache_for(MAX_BYTES).await;
    let sized = |id: &str, bytes: usize| {
        let mut value = profile(id, 30);
        value.name = "n".repeat(bytes);
        (id.to_owned(), hitrate_cache::Versioned { value, version: 1 })
    };
    let values = [sized("1", 10), sized("2", MAX_BYTES), sized("3", 10)];
    assert_eq!(profiles(&cache, &default()).put_all(values).await, Ok(2));
    assert_eq!(rejected.count(), 1);
    assert_eq!(world.redis.command(&["EXISTS", "test:profile:2"]), "0");
}
