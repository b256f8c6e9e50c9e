use hitrate_cache::{Invalidated, Pattern, Source, trace::Trace};

use crate::world::{PROFILE, World, default, key, named};

#[tokio::test]
async fn by_key() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    let invalidate =
        || async { cache.invalidate(&key("1"), &policy, &Trace::disabled()).await.unwrap() };
    assert_eq!(invalidate().await, Invalidated::Nothing);
    world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(invalidate().await, Invalidated::Dropped);
    assert_eq!(world.fetch(&cache, "1", &policy).await.unwrap().source, Source::Database);
}

#[tokio::test]
async fn by_tag_in_one_write() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    for n in 0..50 {
        world.origin.put(&n.to_string(), 30);
        world.fetch(&cache, &n.to_string(), &policy).await.unwrap();
    }
    for _ in 0..2 {
        let trace = Trace::start();
        cache.invalidate_tag(PROFILE, &trace).await.unwrap();
        assert_eq!(trace.spans().len(), 1);
        for n in 0..50 {
            let lookup = world.fetch(&cache, &n.to_string(), &policy).await.unwrap();
            assert_eq!(lookup.source, Source::Database);
            let again = world.fetch(&cache, &n.to_string(), &policy).await.unwrap();
            assert_eq!(again.source, Source::Cache);
        }
        // A lost tag does not bring earlier copies back.
        world.redis.command(&["DEL", "test:tag:profile"]);
        let lookup = world.fetch(&cache, "0", &policy).await.unwrap();
        assert_eq!(lookup.source, Source::Database);
    }
}

#[tokio::test]
async fn by_pattern_in_batches() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    let values: Vec<_> = (0..2_000)
        .map(|n| {
            let value = crate::world::profile(&format!("user-{n}"), 30);
            hitrate_cache::Versioned { value, version: 1 }
        })
        .collect();
    cache.put_all(&values, &policy).await.unwrap();
    world.redis.command(&["SET", "test:page_hits", "7"]);
    world.redis.command(&["SET", "other:profile:user-1", "x"]);
    let pattern = Pattern::parse("profile:user-1*", &[PROFILE]).unwrap();
    let mut progress = Vec::new();
    let trace = Trace::disabled();
    let scan = cache
        .invalidate_matching(&pattern, true, &policy, &trace, |it| progress.push(it))
        .await
        .unwrap();
    assert_eq!((scan.found, scan.dropped), (1_111, 0), "a dry run counts");
    assert!(scan.scans >= 4 && progress.len() as u64 == scan.scans, "{scan:?}");
    let scan = cache.invalidate_matching(&pattern, false, &policy, &trace, |_| ()).await.unwrap();
    assert_eq!((scan.found, scan.dropped), (1_111, 1_111));
    let again = cache.invalidate_matching(&pattern, false, &policy, &trace, |_| ()).await.unwrap();
    assert_eq!(
        (again.found, again.dropped, again.is_complete),
        (0, 0, true),
        "only tombstones are left"
    );
    let left = world.fetch(&cache, "user-2", &policy).await.unwrap();
    assert_eq!(left.source, Source::Cache);
    assert_eq!(world.redis.command(&["EXISTS", "other:profile:user-1", "test:page_hits"]), "2");
}

#[tokio::test]
async fn a_pending_write_is_not_invalidated() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.write(&cache, "1", 31, &policy).await;
    let outcome = cache.invalidate(&key("1"), &policy, &Trace::disabled()).await.unwrap();
    assert_eq!(outcome, Invalidated::Kept);
    let pattern = Pattern::parse("profile:*", &[PROFILE]).unwrap();
    let scan =
        cache.invalidate_matching(&pattern, false, &policy, &Trace::disabled(), |_| ()).await;
    assert_eq!(scan.unwrap().dropped, 0);
    cache.invalidate_tag(PROFILE, &Trace::disabled()).await.unwrap();
    let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(crate::world::age(&lookup), 31, "only the pending copy has this value");
}
