//! The run of one variant: its actors, keys and durations.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hitrate_cache::{
    redis::{Address, Client, Command, FromRedisValue, Key, RedisError, Value, typed},
    time::micros,
};
use tokio::{sync::watch, task::JoinSet};

use super::args::Args;
use crate::labs::support::visitor_keys::{KEY_TTL, VisitorKeys};

/// Upper bound of an actor's duration, in microseconds.
const MAX_DURATION_US: u64 = 60_000_000;
/// Number of keys removed per round trip.
const UNLINK_BATCH: usize = 500;

/// The run of one variant, shared by its actors.
pub struct TrialRun {
    /// The address, for actors that need another kind of connection.
    pub address: Address,
    stores: Vec<Client>,
    demo: VisitorKeys,
    args: Args,
    /// A random id, so that no two trials share a key.
    id: u64,
    keys: Mutex<BTreeMap<String, Key<()>>>,
    times: Mutex<Histogram<u64>>,
}

impl TrialRun {
    /// A run on these connections, under the keys of this demo.
    pub fn new(address: &Address, stores: &[Client], demo: &VisitorKeys, args: &Args) -> Self {
        Self {
            address: address.clone(),
            stores: stores.to_vec(),
            demo: demo.clone(),
            args: args.clone(),
            id: rand::random(),
            keys: Mutex::default(),
            times: Mutex::new(
                Histogram::new_with_bounds(1, MAX_DURATION_US, 3).expect("constants that fit"),
            ),
        }
    }

    /// Number of actors.
    pub fn actors(&self) -> u64 {
        u64::from(self.args.number("actors"))
    }

    /// The value of another field.
    pub fn number(&self, name: &str) -> u64 {
        u64::from(self.args.number(name))
    }

    /// The Redis client of this actor; actors share a few.
    pub fn store(&self, actor: u64) -> &Client {
        &self.stores[actor as usize % self.stores.len()]
    }

    /// A key of this run, removed at its end.
    pub fn key(&self, name: &str) -> Key<()> {
        let key = self.demo.key(&format!("trial:{:016x}:{name}", self.id));
        let mut keys = self.keys.lock().expect("never poisoned");
        keys.entry(key.as_str().to_owned()).or_insert_with(|| key.clone());
        key
    }

    /// A command that sets the TTL of a key to [`KEY_TTL`].
    pub fn expire(&self, actor: u64, key: &Key<()>) -> Command {
        self.store(actor).on("EXPIRE", key).arg(KEY_TTL.as_secs())
    }

    /// Sends a command for this actor, with the longer timeout of bulk commands, because
    /// hundreds are sent at once.
    pub async fn run<T: FromRedisValue>(
        &self,
        actor: u64,
        command: Command,
    ) -> Result<T, RedisError> {
        let mut replies = self.store(actor).run_many(vec![command]).await?;
        typed(replies.pop().unwrap_or(Value::Nil))
    }

    /// Sends several commands in one round trip.
    pub async fn run_all(
        &self,
        actor: u64,
        commands: Vec<Command>,
    ) -> Result<Vec<Value>, RedisError> {
        self.store(actor).run_many(commands).await
    }

    /// Runs `act` for all actors, starting at one signal, each with its number from 0.
    /// Returns their results when the last has finished, or the first error.
    pub async fn all<T, F, Fut>(self: &Arc<Self>, act: F) -> Result<Vec<T>, RedisError>
    where
        T: Send + 'static,
        F: Fn(Arc<Self>, u64) -> Fut,
        Fut: Future<Output = Result<T, RedisError>> + Send + 'static,
    {
        let signal = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for actor in 0..self.actors() {
            let (act, mut started) = (act(Arc::clone(self), actor), signal.subscribe());
            tasks.spawn(async move {
                let _ = started.wait_for(|it| *it).await;
                let since = Instant::now();
                act.await.map(|value| (value, since.elapsed()))
            });
        }
        signal.send_replace(true);
        let mut all = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (value, took) = done.unwrap_or(Err(RedisError::Unreachable))?;
            self.record(took);
            all.push(value);
        }
        Ok(all)
    }

    fn record(&self, took: Duration) {
        let mut times = self.times.lock().expect("never poisoned");
        times.saturating_record(micros(took));
    }

    /// p50, p99 and maximum duration, in microseconds.
    pub fn times(&self) -> [u64; 3] {
        let times = self.times.lock().expect("never poisoned");
        [0.5, 0.99, 1.0].map(|q| if times.is_empty() { 0 } else { times.value_at_quantile(q) })
    }

    /// Removes the keys, including those without a TTL. If Redis fails, or may still run
    /// commands of aborted actors, `later` removes them as soon as possible.
    pub async fn clear(&self, was_aborted: bool, later: &Client) {
        let keys = std::mem::take(&mut *self.keys.lock().expect("never poisoned"));
        let keys: Vec<_> = keys.into_values().collect();
        for some in keys.chunks(UNLINK_BATCH) {
            let unlink = |key: &Key<()>| self.store(0).on("UNLINK", key);
            let removed = self.store(0).run_many(some.iter().map(unlink).collect()).await;
            if was_aborted || removed.is_err() {
                for key in some {
                    later.defer(key, later.on("UNLINK", key), 0);
                }
            }
        }
    }
}
