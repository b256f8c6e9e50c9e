//! Samples for the panels: a background task takes one per second, so that requests need
//! not.

use std::{cell::RefCell, sync::Arc, time::Duration};

use hitrate_cache::{
    Cache,
    redis::{KeyCount, RedisStatus},
};
use tokio::{sync::watch, task::JoinHandle, time};

use crate::{
    demo::counter,
    ops::{metrics::Metrics, stats::Sample},
};

/// Time between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// Takes samples until it is dropped.
pub struct Sampler {
    latest: watch::Receiver<Arc<Sample>>,
    task: JoinHandle<()>,
}

impl Sampler {
    /// Takes a first sample, then starts sampling on the calling runtime.
    pub async fn start(cache: &Cache, metrics: Arc<Metrics>) -> Self {
        let cache = cache.clone();
        let mut keys = KeyCount::default();
        let first = sample(&cache, &metrics, &mut keys).await;
        let (sender, latest) = watch::channel(Arc::new(first));
        let task = tokio::spawn(async move {
            let mut interval = time::interval(PERIOD);
            interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                let next = sample(&cache, &metrics, &mut keys).await;
                sender.send_replace(Arc::new(next));
            }
        });
        Self { latest, task }
    }

    /// Follows the samples. The channel closes when sampling stops.
    pub fn follow(&self) -> watch::Receiver<Arc<Sample>> {
        self.latest.clone()
    }

    /// Stops sampling, and closes the channels of all followers.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The latest sample, cloned for one thread, so that threads do not contend for the
/// reference count of a shared one.
pub struct LatestSample(RefCell<(watch::Receiver<Arc<Sample>>, Arc<Sample>)>);

impl LatestSample {
    /// Follows this sampler.
    pub fn new(sampler: &Sampler) -> Self {
        let mut samples = sampler.follow();
        let copy = Arc::new(Sample::clone(&samples.borrow_and_update()));
        Self(RefCell::new((samples, copy)))
    }

    /// The sample, at most one period old while sampling runs.
    pub fn get(&self) -> Arc<Sample> {
        let (samples, copy) = &mut *self.0.borrow_mut();
        // An error means that sampling has stopped; the last sample may still be unseen.
        if samples.has_changed().unwrap_or(true) {
            let latest = samples.borrow_and_update();
            if latest.has_changed() {
                *copy = Arc::new(Sample::clone(&latest));
            }
        }
        Arc::clone(copy)
    }
}

async fn sample(cache: &Cache, metrics: &Metrics, keys: &mut KeyCount) -> Sample {
    let store = cache.client();
    let info = store.info().await;
    if matches!(store.status(), RedisStatus::Refusing(..)) {
        // There may be no other write for a while that would detect the recovery.
        let _ = counter::touch(store).await;
    }
    if info.is_ok() {
        // A SCAN cursor is not valid on another server: start over.
        let counted = store.count_keys(keys).await;
        if counted.is_err() {
            keys.restart();
        }
    } else {
        keys.restart();
    }
    metrics.update_gauges(cache).await;
    Sample::new(cache, metrics, info.ok(), keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a Redis that is not there.
    async fn sampler() -> Sampler {
        let cache = Cache::connect("redis://127.0.0.1:1").unwrap();
        Sampler::start(&cache, Arc::new(Metrics::default())).await
    }

    #[tokio::test]
    async fn sampling_ends_when_it_is_told_to_and_when_its_owner_is_dropped() {
        for is_dropped in [true, false] {
            let sampler = sampler().await;
            let mut samples = sampler.follow();
            match is_dropped {
                true => drop(sampler),
                false => sampler.stop(),
            }
            let ended = async { while samples.changed().await.is_ok() {} };
            time::timeout(PERIOD * 5, ended).await.expect("the channel closes");
        }
    }

    #[tokio::test]
    async fn the_last_sample_is_seen_after_the_end_and_copied_once() {
        let first = sampler().await.follow().borrow().clone();
        let (sender, samples) = watch::channel(Arc::clone(&first));
        let latest = LatestSample(RefCell::new((samples, first)));
        let before = latest.get();
        let mut last = Sample::clone(&before);
        last.cache.hits = 7;
        sender.send_replace(Arc::new(last));
        drop(sender);
        let seen = latest.get();
        assert_eq!((before.cache.hits, seen.cache.hits), (0, 7));
        assert!(Arc::ptr_eq(&seen, &latest.get()), "nothing new, so nothing is copied");
    }
}
