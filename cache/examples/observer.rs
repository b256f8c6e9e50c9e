//! An observer: the events of a cache, for metrics and logs. The features `metrics` and
//! `tracing` have ready ones.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{
    convert::Infallible,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hitrate_cache::{Cache, CachePolicy, Invalidated, LookedUp, Observer, test_util::TestRedis};

/// Counts what happens. An observer gets the namespace of a value, never its key.
#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
    deferred: AtomicU64,
}

impl Observer for Counts {
    fn looked_up(&self, event: &LookedUp<'_>) {
        let count = if event.source.is_hit() { &self.hits } else { &self.misses };
        count.fetch_add(1, Relaxed);
    }

    fn load_started(&self, _namespace: &'static str) {
        self.loads.fetch_add(1, Relaxed);
    }

    fn invalidated(&self, _namespace: &'static str, outcome: &Invalidated) {
        let is_deferred = matches!(outcome, Invalidated::Deferred(_));
        self.deferred.fetch_add(is_deferred.into(), Relaxed);
    }
}

async fn load() -> Result<String, Infallible> {
    Ok("Ada".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut redis, counts) = (TestRedis::start()?, Arc::new(Counts::default()));
    let cache = Cache::builder(&redis.url()).shared_observer(Arc::clone(&counts) as _).build()?;
    let names = cache.namespace::<String>("name", CachePolicy::ttl(Duration::from_secs(300)));

    // Of a hundred at once, one loads.
    let lookups: Vec<_> = (0..100).map(|_| names.get(7, load())).collect();
    futures_util::future::try_join_all(lookups).await?;
    names.get(7, load()).await?;
    println!("loads: {}", counts.loads.load(Relaxed));
    println!("misses: {}, hits: {}", counts.misses.load(Relaxed), counts.hits.load(Relaxed));

    redis.kill();
    let outcome = names.invalidate(7).await;
    println!("{outcome:?}, deferred: {}", counts.deferred.load(Relaxed));
    println!("waiting for Redis: {}", cache.health().deferred_invalidations);
    Ok(())
}
