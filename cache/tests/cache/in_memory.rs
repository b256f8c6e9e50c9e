//! A cache in memory behaves as one on Redis.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, CacheState, Effect, Fill, Invalidated, Loaded, Lookup, Namespace, OnWrite, Pattern,
    Refresh, Source,
};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::time::sleep;

use crate::{
    cell::{Down, plain},
    seed::seed_or,
    world::World,
};

/// A call of the public API.
#[derive(Debug, Clone)]
enum Call {
    Get(u8, Origin),
    Write(u8, Origin),
    Store(u8, Origin),
    Peek(u8),
    Inspect(u8),
    Invalidate(u8),
    InvalidateAll,
    InvalidateTag(&'static str),
    InvalidateMatching(&'static str, bool),
    PutAll(Vec<(u8, u64)>),
}

/// What the origin answers.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Value(u64, Option<&'static str>),
    Nothing,
    Fails,
}

const TAGS: [&str; 3] = ["s", "t", "*"];

fn random_origin(rng: &mut impl Rng) -> Origin {
    match rng.random_range(0..10) {
        0 => Origin::Fails,
        1 | 2 => Origin::Nothing,
        3..7 => Origin::Value(rng.random_range(1..50), TAGS.choose(rng).copied()),
        _ => Origin::Value(rng.random_range(1..50), None),
    }
}

fn random_call(rng: &mut impl Rng) -> Call {
    let id = rng.random_range(0..4);
    match rng.random_range(0..20) {
        0..7 => Call::Get(id, random_origin(rng)),
        7..9 => Call::Write(id, random_origin(rng)),
        9..11 => Call::Store(id, random_origin(rng)),
        11..13 => Call::Peek(id),
        13 => Call::Inspect(id),
        14 | 15 => Call::Invalidate(id),
        16 => Call::InvalidateAll,
        17 => Call::InvalidateTag(TAGS.choose(rng).copied().unwrap()),
        18 => Call::InvalidateMatching(
            ["*", "1", "?", "x*"].choose(rng).copied().unwrap(),
            rng.random(),
        ),
        _ => Call::PutAll(
            (0..3).map(|_| (rng.random_range(0..4), rng.random_range(1..50))).collect(),
        ),
    }
}

/// Answers as the origin does. A value is its own version, if values have one.
async fn answer(origin: Origin, is_versioned: bool) -> Result<Loaded<u64>, Down> {
    match origin {
        Origin::Fails => Err(Down),
        Origin::Nothing => Ok(Loaded::new(None)),
        Origin::Value(value, tag) => {
            let loaded = Loaded::new(Some(value));
            let loaded = if is_versioned { loaded.version(value) } else { loaded };
            Ok(tag.into_iter().fold(loaded, Loaded::tag))
        }
    }
}

/// Makes the call, and describes its result without what depends on time.
async fn make(call: &Call, cells: &Namespace<u64>, is_versioned: bool) -> String {
    let store = cells.with(cells.policy().on_write(OnWrite::Store));
    match call {
        Call::Get(id, origin) => match cells.lookup(*id, answer(*origin, is_versioned)).await {
            Ok(lookup) => described(&lookup, is_versioned),
            Err(error) => error.to_string(),
        },
        Call::Write(id, origin) => written(cells, *id, *origin, is_versioned).await,
        Call::Store(id, origin) => written(&store, *id, *origin, is_versioned).await,
        Call::Peek(id) => match cells.peek(*id).await {
            Some(lookup) => described(&lookup, is_versioned),
            None => "no copy".to_owned(),
        },
        Call::Inspect(id) => match cells.inspect(*id).await.redis.unwrap() {
            CacheState::Copy { value, .. } => format!("copy {value}"),
            CacheState::Absent(_) => "absent".to_owned(),
            CacheState::Tombstone(version) => format!("tombstone {version}"),
            CacheState::Expired(_) => "expired".to_owned(),
            other => format!("{other:?}"),
        },
        Call::Invalidate(id) => format!("{:?}", cells.invalidate(*id).await),
        Call::InvalidateAll => format!("{:?}", cells.invalidate_all().await),
        Call::InvalidateTag(tag) => format!("{:?}", cells.cache().invalidate_tag(tag).await),
        Call::InvalidateMatching(pattern, dry_run) => {
            let pattern = Pattern::parse(pattern).unwrap();
            let scan = cells.invalidate_matching(&pattern, *dry_run, |_| ()).await.unwrap();
            format!("found {}, dropped {}", scan.found, scan.dropped)
        }
        Call::PutAll(values) => {
            let loaded = |(id, value): &(u8, u64)| {
                let loaded = Loaded::new(Some(*value)).tag("s");
                (*id, if is_versioned { loaded.version(*value) } else { loaded })
            };
            format!("{:?}", cells.put_all(values.iter().map(loaded)).await)
        }
    }
}

async fn written(cells: &Namespace<u64>, id: u8, origin: Origin, is_versioned: bool) -> String {
    match cells.write(id, answer(origin, is_versioned)).await {
        Ok(written) => format!("{:?} {:?} {:?}", written.value, written.version, written.effect),
        Err(error) => error.to_string(),
    }
}

fn described(lookup: &Lookup<u64>, is_versioned: bool) -> String {
    let fill = match lookup.fill {
        Fill::Stored(_) => "stored".to_owned(),
        ref other => format!("{other:?}"),
    };
    let version = lookup.version.filter(|_| is_versioned);
    format!("{:?} {version:?} {:?} {fill}", lookup.value, lookup.source)
}

#[tokio::test]
async fn any_calls_have_the_same_results_in_memory_and_on_redis() {
    let (world, mut rng) = (World::new(), StdRng::seed_from_u64(seed_or(4)));
    let policy = plain().refresh(Refresh::Off);
    for is_versioned in [true, false] {
        for round in 0..20 {
            world.redis.flush();
            let caches = [world.cache().await, Cache::in_memory()];
            let [redis, memory] = caches.map(|cache| cache.namespace::<u64>("cell", policy));
            let mut calls = Vec::new();
            for _ in 0..40 {
                // What follows faster than clocks can tell counts as overlapping.
                let error = redis.cache().client().clock_error();
                sleep(error * 2 + Duration::from_millis(3)).await;
                let call = random_call(&mut rng);
                let results = (
                    make(&call, &redis, is_versioned).await,
                    make(&call, &memory, is_versioned).await,
                );
                calls.push(call);
                assert_eq!(
                    results.0, results.1,
                    "versions: {is_versioned}, round {round}: {calls:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn copies_in_memory_expire() {
    let cache = Cache::in_memory();
    let cells = cache.namespace::<u64>("cell", plain().with_ttl(Duration::from_millis(30)));
    let load = || answer(Origin::Value(1, None), false);
    cells.get("a", load()).await.unwrap();
    assert_eq!(cells.lookup("a", load()).await.unwrap().source, Source::Cache);
    // The TTL has to pass.
    sleep(Duration::from_millis(40)).await;
    assert_eq!(cells.lookup("a", load()).await.unwrap().source, Source::Database);
}

#[tokio::test]
async fn caches_in_memory_share_nothing() {
    let caches = [Cache::in_memory(), Cache::in_memory()];
    let [one, other] = caches.each_ref().map(|cache| cache.namespace::<u64>("cell", plain()));
    one.get("a", answer(Origin::Value(1, None), false)).await.unwrap();
    assert!(one.peek("a").await.is_some() && other.peek("a").await.is_none());
    let own = caches[0].with_own_connection().namespace::<u64>("cell", plain());
    assert_eq!(own.peek("a").await.unwrap().value, Some(Arc::new(1)));
    assert_eq!(own.invalidate("a").await, Invalidated::Dropped);
    let written = one.write("a", answer(Origin::Value(2, None), false)).await.unwrap();
    assert_eq!(written.effect, Effect::Invalidated(false));
}
