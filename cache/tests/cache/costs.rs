//! The round trips that README.md states, counted on the way to Redis.

use std::{
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use hitrate_cache::{
    Cache, CachePolicy, Loaded, Namespace, OnWrite, Refresh, test_util::TestRedis,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::world::{SOON, within};

/// A relay to a Redis that counts the round trips of lookups and writes.
struct Counter {
    round_trips: Arc<AtomicU64>,
    dir: TempDir,
    redis: TestRedis,
}

impl Counter {
    fn start() -> Self {
        let (redis, dir) = (TestRedis::start().unwrap(), tempfile::tempdir().unwrap());
        let counter = Self { round_trips: Arc::default(), dir, redis };
        let listener = UnixListener::bind(counter.socket()).unwrap();
        let (redis, count) = (counter.redis.socket().to_owned(), Arc::clone(&counter.round_trips));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, redis.clone(), Arc::clone(&count)));
            }
        });
        counter
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("counter.sock")
    }

    /// A cache whose scripts Redis knows.
    async fn cache(&self) -> Cache {
        let url = format!("redis+unix://{}", self.socket().display());
        let cache = Cache::connect(&url).unwrap();
        cache.ready(SOON).await.unwrap();
        let (names, storing) = (names(&cache, policy()), policy().on_write(OnWrite::Store));
        names.get("known", tagged()).await.unwrap();
        names.with(storing).write("known", name()).await.unwrap();
        let _ = (names.invalidate("known").await, names.invalidate_all().await);
        let _ = cache.invalidate_tag("team").await;
        cache
    }

    /// The round trips of an operation.
    async fn of<T>(&self, operation: impl Future<Output = T>) -> u64 {
        let before = self.round_trips.load(SeqCst);
        operation.await;
        self.round_trips.load(SeqCst) - before
    }
}

async fn relay(client: UnixStream, redis: PathBuf, count: Arc<AtomicU64>) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_redis, mut to_redis) = UnixStream::connect(redis).await?.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_redis, &mut to_client).await });
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let len = from_client.read(&mut bytes).await?;
        if len == 0 {
            return Ok(());
        }
        // The commands of the connection itself.
        let sent = String::from_utf8_lossy(&bytes[..len]);
        let is_own = ["\nPING\r", "\nTIME\r", "\nCLIENT\r", "\nHELLO\r"];
        if !is_own.iter().any(|command| sent.contains(command)) {
            count.fetch_add(1, SeqCst);
        }
        to_redis.write_all(&bytes[..len]).await?;
    }
}

fn policy() -> CachePolicy {
    CachePolicy::ttl(Duration::from_secs(60)).refresh(Refresh::Off).jitter(0.0)
}

fn names(cache: &Cache, policy: CachePolicy) -> Namespace<String> {
    cache.namespace("name", policy)
}

async fn name() -> Result<String, Infallible> {
    Ok("Ada".to_owned())
}

async fn tagged() -> Result<Loaded<String>, Infallible> {
    Ok(Loaded::new(Some("Ada".to_owned())).tag("team"))
}

/// Asserts that README.md states this number for the operation.
fn assert_stated(operation: &str, round_trips: u64) {
    let row = format!("| {operation} | {round_trips} |");
    assert!(include_str!("../../README.md").contains(&row), "README.md should say {row}");
}

#[tokio::test]
async fn a_lookup_takes_the_stated_round_trips() {
    let counter = Counter::start();
    let cache = counter.cache().await;
    let names = names(&cache, policy());
    let without_lease = names.with(policy().lease(None));
    assert_stated("miss", counter.of(names.get(1, name())).await);
    assert_stated("hit", counter.of(names.get(1, name())).await);
    assert_stated("miss, without leases", counter.of(without_lease.get(2, name())).await);
    assert_stated("miss of an entry with tags", counter.of(names.get(3, tagged())).await);
    assert_stated("hit of an entry with tags", counter.of(names.get(3, tagged())).await);
}

#[tokio::test]
async fn a_lookup_after_the_ttl_takes_the_stated_round_trips() {
    let counter = Counter::start();
    let cache = counter.cache().await;
    let short = names(&cache, policy().with_ttl(Duration::from_millis(1)));
    short.get(1, name()).await.unwrap();
    while short.peek(1).await.is_some() {}
    assert_stated(
        "miss after the TTL, with a copy in its grace period",
        counter.of(short.get(1, name())).await,
    );
}

#[tokio::test]
async fn a_lookup_without_redis_takes_the_stated_round_trips() {
    let mut counter = Counter::start();
    let near = policy().near(Duration::from_secs(60));
    let cache = counter.cache().await;
    let names = names(&cache, near);
    within(SOON, || cache.health().is_tracking).await;
    // The push of this process's own fill drops the copy; the next hit adds it.
    names.get(1, name()).await.unwrap();
    let mut near_hit = u64::MAX;
    while near_hit != 0 {
        near_hit = counter.of(names.get(1, name())).await;
    }
    assert_stated("hit in the near cache", near_hit);
    counter.redis.kill();
    names.get(2, name()).await.unwrap();
    assert_stated("lookup while Redis is unavailable", counter.of(names.get(2, name())).await);
}

#[tokio::test]
async fn a_write_takes_the_stated_round_trips() {
    let counter = Counter::start();
    let cache = counter.cache().await;
    let names = names(&cache, policy());
    let storing = names.with(policy().on_write(OnWrite::Store));
    assert_stated("`write`, which drops the copy", counter.of(names.write(1, name())).await);
    assert_stated("`write`, which stores the value", counter.of(storing.write(1, name())).await);
    assert_stated("`invalidate`", counter.of(names.invalidate(1)).await);
    assert_stated(
        "`invalidate_all`: the tag of a namespace",
        counter.of(names.invalidate_all()).await,
    );
    assert_stated(
        "`invalidate_tag`: the tag of entries",
        counter.of(cache.invalidate_tag("team")).await,
    );
    let values = (0..100).map(|id| (id, "Ada".to_owned()));
    assert_stated("`put_all`, however many values", counter.of(names.put_all(values)).await);
}
