use hitrate_cache::{Invalidated, Pattern, Source, trace::Trace};

use crate::world::{World, default, named, profiles};

#[tokio::test]
async fn by_key() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    let invalidate = || async { profiles(&cache, &policy).invalidate("1").await };
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
        let outcome = profiles(&cache, &policy).traced(&trace).invalidate_all().await;
        assert_eq!(outcome, Invalidated::Dropped);
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
            (format!("user-{n}"), hitrate_cache::Versioned { value, version: 1 })
        })
        .collect();
    let profiles = profiles(&cache, &policy);
    profiles.put_all(values).await.unwrap();
    world.redis.command(&["SET", "test:page_hits", "7"]);
    world.redis.command(&["SET", "other:profile:user-1", "x"]);
    let pattern = Pattern::parse("user-1*").unwrap();
    let mut progress = Vec::new();
    let scan = profiles.invalidate_matching(&pattern, true, |it| progress.push(it)).await.unwrap();
    assert_eq!((scan.found, scan.dropped), (1_111, 0), "a dry run counts");
    assert!(scan.scans >= 4 && progress.len() as u64 == scan.scans, "{scan:?}");
    let scan = profiles.invalidate_matching(&pattern, false, |_| ()).await.unwrap();
    assert_eq!((scan.found, scan.dropped), (1_111, 1_111));
    let again = profiles.invalidate_matching(&pattern, false, |_| ()).await.unwrap();
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
    let outcome = profiles(&cache, &policy).invalidate("1").await;
    assert_eq!(outcome, Invalidated::Kept);
    let pattern = Pattern::parse("*").unwrap();
    let scan = profiles(&cache, &policy).invalidate_matching(&pattern, false, |_| ()).await;
    assert_eq!(scan.unwrap().dropped, 0);
    let _ = profiles(&cache, &policy).invalidate_all().await;
    let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!(crate::world::age(&lookup), 31, "only the pending copy has this value");
}
