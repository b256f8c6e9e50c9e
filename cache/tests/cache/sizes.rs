use std::time::Duration;

use hitrate_cache::{
    Cache, CachePolicy, Effect, Fill, MAX_ENTRY_BYTES, Source, Written, trace::Trace,
    write_behind::Flusher,
};

use crate::world::{Behind, PACE, World, age, default, named, profile, within};

/// Room for 10,000 bytes of value and what stands around it.
const ROOM: usize = 10_200;

async fn write(
    world: &World,
    cache: &Cache,
    age: u32,
    bytes: usize,
    policy: &CachePolicy,
) -> Written {
    let mut value = profile("1", age);
    value.name = "n".repeat(bytes);
    cache.write(value, policy, &Trace::disabled(), world.row("1")).await.unwrap()
}

fn is_stored(world: &World) -> bool {
    match world.redis.run(&["GET", "test:profile:1"]) {
        redis::Value::BulkString(bytes) => !bytes.ends_with(b"\"gone\":true}"),
        _ => false,
    }
}

#[tokio::test]
async fn a_large_value_is_loaded_once() {
    for bytes in [63 * 1024, 70 * 1024, MAX_ENTRY_BYTES - 1024] {
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
async fn a_value_beyond_the_bound_is_counted_and_never_stored_in_vain() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.grow("1", ROOM);
    let (cache, rejected) = world.cache_for(ROOM).await;
    for n in 1..=3 {
        let seen = world.fetch(&cache, "1", &default()).await.unwrap();
        assert_eq!((seen.source, seen.fill), (Source::Database, Fill::TooLarge));
        assert_eq!((world.origin.loads(), rejected.count()), (n, n));
        assert_eq!(world.redis.run(&["DBSIZE"]), redis::Value::Int(0), "no copy, no lease");
    }
    world.origin.grow("1", 10_000);
    for _ in 0..3 {
        world.fetch(&cache, "1", &default()).await.unwrap();
    }
    assert_eq!((world.origin.loads(), rejected.count()), (4, 3));
}

#[tokio::test]
async fn an_entry_that_another_process_may_store_is_loaded_anew_and_left_alone() {
    let world = World::new();
    world.origin.put("1", 30);
    world.origin.grow("1", ROOM);
    let ample = world.cache().await;
    world.fetch(&ample, "1", &default()).await.unwrap();
    let (tight, _) = world.cache_for(ROOM).await;
    let seen = world.fetch(&tight, "1", &default()).await.unwrap();
    assert_eq!((seen.source, seen.fill), (Source::Database, Fill::TooLarge));
    assert!(is_stored(&world), "the other process still uses it");
    world.fetch(&ample, "1", &default()).await.unwrap();
    assert_eq!(world.origin.loads(), 2);
}

#[tokio::test]
async fn an_edit_that_makes_a_value_too_large_leaves_no_older_copy() {
    for name in ["read-through", "write-through", "write-around", "write-behind", "refresh-ahead"] {
        let (world, policy) = (World::new(), named(name));
        world.origin.put("1", 30);
        let (cache, _) = world.cache_for(ROOM).await;
        world.fetch(&cache, "1", &policy).await.unwrap();
        assert!(is_stored(&world), "{name}");
        let written = write(&world, &cache, 31, ROOM, &policy).await;
        assert_ne!(written.effect, Effect::Queued, "{name}: it waits for nothing");
        assert_eq!((world.origin.age("1"), is_stored(&world)), (31, false), "{name}");
        assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31, "{name}");
    }
}

#[tokio::test]
async fn a_large_write_behind_arrives() {
    let (world, policy) = (World::new(), named("write-behind"));
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let _flusher = Flusher::start(&cache, Behind(std::sync::Arc::clone(&world.origin)), PACE);
    let written = write(&world, &cache, 31, 500_000, &policy).await;
    assert_eq!(written.effect, Effect::Queued);
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31);
    within(Duration::from_secs(3), || world.origin.age("1") == 31).await;
}

#[tokio::test]
async fn filling_in_bulk_leaves_out_what_is_too_large_and_says_so() {
    let world = World::new();
    let (cache, rejected) = world.cache_for(ROOM).await;
    let sized = |id: &str, bytes: usize| {
        let mut value = profile(id, 30);
        value.name = "n".repeat(bytes);
        hitrate_cache::Versioned { value, version: 1 }
    };
    let values = [sized("1", 10), sized("2", ROOM), sized("3", 10)];
    assert_eq!(cache.put_all(&values, &default()).await, Ok(2));
    assert_eq!(rejected.count(), 1);
    assert_eq!(world.redis.run(&["EXISTS", "test:profile:2"]), redis::Value::Int(0));
}
