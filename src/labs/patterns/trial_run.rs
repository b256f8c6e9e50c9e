//! One way's turn in a trial: its actors, its keys, its times.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hitrate_cache::{
    Key,
    redis::{Address, Command, FromRedisValue, RedisError, Store, Value, typed},
    time::micros,
};
use tokio::{sync::watch, task::JoinSet};

use super::args::Args;
use crate::labs::support::visitor_keys::VisitorKeys;

/// No actor takes longer, in microseconds.
const LONGEST_US: u64 = 60_000_000;
/// Keys that are removed in one round trip.
const CONCURRENCY: usize = 500;

/// Where the actors of one way meet.
pub struct TrialRun {
    /// For those who need a connection of another kind.
    pub address: Address,
    stores: Vec<Store>,
    demo: VisitorKeys,
    args: Args,
    /// So that no two trials share a key.
    id: u64,
    keys: Mutex<BTreeMap<String, Key<()>>>,
    times: Mutex<Histogram<u64>>,
}

impl TrialRun {
    /// With these connections, under the keys of this demo.
    pub fn new(address: &Address, stores: &[Store], demo: &VisitorKeys, args: &Args) -> Self {
        Self {
            address: address.clone(),
            stores: stores.to_vec(),
            demo: demo.clone(),
            args: args.clone(),
            id: rand::random(),
            keys: Mutex::default(),
            times: Mutex::new(
                Histogram::new_with_bounds(1, LONGEST_US, 3).expect("constants that fit"),
            ),
        }
    }

    /// How many act.
    pub fn actors(&self) -> u64 {
        u64::from(self.args.number("actors"))
    }

    /// What else was set.
    pub fn number(&self, name: &str) -> u64 {
        u64::from(self.args.number(name))
    }

    /// The door of this actor; they share a few.
    pub fn store(&self, actor: u64) -> &Store {
        &self.stores[actor as usize % self.stores.len()]
    }

    /// A key of this turn alone, removed at its end.
    pub fn key(&self, name: &str) -> Key<()> {
        let key = self.demo.key(&format!("trial:{:016x}:{name}", self.id));
        let mut keys = self.keys.lock().expect("nobody panics while noting a key");
        keys.entry(key.as_str().to_owned()).or_insert_with(|| key.clone());
        key
    }

    /// Sends a command for this actor. It may take longer than for a page, as
    /// hundreds come at once.
    pub async fn run<T: FromRedisValue>(
        &self,
        actor: u64,
        command: Command,
    ) -> Result<T, RedisError> {
        let mut replies = self.store(actor).run_many(vec![command]).await?;
        typed(replies.pop().unwrap_or(Value::Nil))
    }

    /// Sends several in one round trip.
    pub async fn run_all(
        &self,
        actor: u64,
        commands: Vec<Command>,
    ) -> Result<Vec<Value>, RedisError> {
        self.store(actor).run_many(commands).await
    }

    /// All actors do this at one signal, each with its number from 0 on. Returns
    /// what they say when the last is done, or the first error.
    pub async fn all<T, F, Fut>(self: &Arc<Self>, act: F) -> Result<Vec<T>, RedisError>
    where
        T: Send + 'static,
        F: Fn(Arc<Self>, u64) -> Fut,
        Fut: Future<Output = Result<T, RedisError>> + Send + 'static,
    {
        let signal = watch::Sender::new(false);
        let mut crowd = JoinSet::new();
        for actor in 0..self.actors() {
            let (act, mut started) = (act(Arc::clone(self), actor), signal.subscribe());
            crowd.spawn(async move {
                let _ = started.wait_for(|it| *it).await;
                let since = Instant::now();
                act.await.map(|said| (said, since.elapsed()))
            });
        }
        signal.send_replace(true);
        let mut all = Vec::new();
        while let Some(done) = crowd.join_next().await {
            let (said, took) = done.unwrap_or(Err(RedisError::Unreachable))?;
            self.took(took);
            all.push(said);
        }
        Ok(all)
    }

    fn took(&self, took: Duration) {
        let mut times = self.times.lock().expect("nobody panics while noting a time");
        times.saturating_record(micros(took));
    }

    /// p50, p99 and the most, in microseconds.
    pub fn times(&self) -> [u64; 3] {
        let times = self.times.lock().expect("nobody panics while noting a time");
        [0.5, 0.99, 1.0].map(|q| if times.is_empty() { 0 } else { times.value_at_quantile(q) })
    }

    /// Removes the keys, those without a TTL included. When Redis can't be told,
    /// or may still find commands of actors who were cut off, `later` tells it
    /// as soon as it can.
    pub async fn clear(&self, was_cut_off: bool, later: &Store) {
        let keys = std::mem::take(&mut *self.keys.lock().expect("nobody panics meanwhile"));
        let keys: Vec<_> = keys.into_values().collect();
        for some in keys.chunks(CONCURRENCY) {
            let unlink = |key: &Key<()>| self.store(0).on("UNLINK", key);
            let removed = self.store(0).run_many(some.iter().map(unlink).collect()).await;
            if was_cut_off || removed.is_err() {
                for key in some {
                    later.defer(key, later.on("UNLINK", key), 0);
                }
            }
        }
    }
}
