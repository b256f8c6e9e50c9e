//! Races in which a cache could hold or serve a value older than an acknowledged
//! one.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hitrate_cache::{
    Origin, Source, Versioned,
    write_behind::{Committed, Flusher, OrderedOrigin, WriteOrder},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream, UnixStream},
    time::sleep,
};

use crate::world::{
    FLUSH_POLICY, Profile, RowError, RowOrigin, RowSink, SOON, World, age, default, named, profile,
    profiles, within,
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A load reads its row, then the key is invalidated.
#[tokio::test]
async fn a_load_that_began_before_an_invalidation_is_neither_shared_nor_stored() {
    for by_tag in [true, false] {
        let world = World::new();
        world.origin.put("1", 30);
        let (cache, policy) = (world.cache().await, default());
        world.origin.lag_ms.store(300, Ordering::SeqCst);
        let before = async { world.fetch(&cache, "1", &policy).await.unwrap() };
        let after = async {
            within(SOON, || world.origin.loads() == 1).await;
            world.origin.put("1", 99);
            match by_tag {
                true => drop(profiles(&cache, &policy).invalidate_all().await),
                false => drop(profiles(&cache, &policy).invalidate("1").await),
            }
            world.origin.lag_ms.store(0, Ordering::SeqCst);
            world.fetch(&cache, "1", &policy).await.unwrap()
        };
        let (_, after) = tokio::join!(before, after);
        assert_eq!(age(&after), 99, "by tag: {by_tag}");
        let later = world.fetch(&cache, "1", &policy).await.unwrap();
        assert_eq!(age(&later), 99, "by tag: {by_tag}, from {:?}", later.source);
    }
}

/// An origin with slow writes.
struct SlowWrites(RowOrigin, Duration);

impl Origin<String, Profile> for SlowWrites {
    type Loaded = Option<Versioned<Profile>>;
    type Error = RowError;

    async fn load(&self, id: String) -> Result<Option<Versioned<Profile>>, RowError> {
        self.0.load(id).await
    }
}

impl OrderedOrigin<String, Profile> for SlowWrites {
    async fn write(
        &self,
        id: String,
        value: &Profile,
        order: WriteOrder,
    ) -> Result<Option<Committed>, RowError> {
        sleep(self.1).await;
        self.0.write(id, value, order).await
    }
}

/// A write-through is in progress while a write-behind is acknowledged: once read,
/// the later value stays.
#[tokio::test]
async fn a_write_through_does_not_hide_a_later_pending_write() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let through = async {
        let origin = SlowWrites(RowOrigin(Arc::clone(&world.origin)), ms(200));
        let loader = profiles(&cache, &named("write-through")).loader(origin);
        loader.write("1".to_owned(), profile("1", 99)).await.unwrap()
    };
    let behind = async {
        sleep(ms(50)).await;
        world.write(&cache, "1", 31, &named("write-behind")).await;
        age(&world.fetch(&cache, "1", &default()).await.unwrap())
    };
    let (_, first) = tokio::join!(through, behind);
    let second = age(&world.fetch(&cache, "1", &default()).await.unwrap());
    let _flusher = Flusher::start(&cache, RowSink(Arc::clone(&world.origin)), FLUSH_POLICY);
    within(SOON, || world.redis.command(&["XLEN", "test:write-behind"]) == "0").await;
    let third = age(&world.fetch(&cache, "1", &default()).await.unwrap());
    assert_eq!([first, second, third], [31; 3]);
}

/// The fill of an old row fails because Redis died, and the row is not kept as a
/// stale copy either, as a later write was acknowledged here.
#[tokio::test]
async fn a_load_outdated_by_a_write_is_not_kept_as_a_stale_copy() {
    let mut world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    world.origin.lag_ms.store(400, Ordering::SeqCst);
    let loader = world.loader(&cache, &policy);
    let load = tokio::spawn(async move { loader.lookup("1".to_owned()).await });
    within(SOON, || world.origin.loads() == 1).await;
    world.write(&cache, "1", 31, &policy).await;
    world.redis.kill();
    load.await.unwrap().unwrap();
    world.origin.fails.store(true, Ordering::SeqCst);
    assert!(world.fetch(&cache, "1", &policy).await.is_err());
}

/// Two processes; one reads the new version from the other's copy. When that has
/// expired and the origin is slow, it does not fall back to its own older copy.
#[tokio::test]
async fn a_stale_copy_is_not_served_after_an_edit_by_another_process() {
    for reads_it in [true, false] {
        let world = World::new();
        world.origin.put("1", 30);
        let (here, there) = (world.cache().await, world.cache().await);
        let policy = default().with_ttl(ms(300));
        world.fetch(&here, "1", &policy).await.unwrap();
        world.write(&there, "1", 31, &policy).await;
        world.fetch(&there, "1", &policy).await.unwrap();
        if reads_it {
            assert_eq!(age(&world.fetch(&here, "1", &policy).await.unwrap()), 31);
        }
        // Wait until the TTL has expired.
        sleep(ms(310)).await;
        world.origin.slow(300);
        let lookup = world.fetch(&here, "1", &policy).await.unwrap();
        assert_eq!(age(&lookup), 31, "read before: {reads_it}, from {:?}", lookup.source);
        let expected = if reads_it { Source::Stale } else { Source::Database };
        assert_eq!(lookup.source, expected);
    }
}

/// Forwards everything except the command that queues a write: its client is
/// disconnected, and the command arrives 150 ms later.
async fn delaying_proxy(socket: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(relay(client, UnixStream::connect(&socket).await.unwrap()));
        }
    });
    url
}

async fn relay(client: TcpStream, server: UnixStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back =
        tokio::spawn(async move { copy(&mut from_server, &mut to_client).await.map(|_| ()) });
    let mut bytes = vec![0; 65_536];
    while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
        let queues = bytes[..n].windows(4).any(|it| it == b"XADD");
        if queues {
            back.abort();
            let _ = back.await;
            drop(from_client);
            sleep(ms(150)).await;
            let _ = to_server.write_all(&bytes[..n]).await;
            return sleep(ms(500)).await;
        }
        let _ = to_server.write_all(&bytes[..n]).await;
    }
}

#[tokio::test]
async fn a_write_on_a_broken_connection_does_not_overtake_a_later_one() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache_at(&delaying_proxy(world.redis.socket().to_owned()).await).await;
    world.fetch(&cache, "1", &named("write-behind")).await.unwrap();
    world.write(&cache, "1", 31, &named("write-behind")).await;
    world.write(&cache, "1", 32, &default()).await;
    // First until the delayed write has arrived, then until its flush would have run.
    sleep(ms(400)).await;
    let lookup = world.fetch(&cache, "1", &default()).await.unwrap();
    let _flusher = Flusher::start(&cache, RowSink(Arc::clone(&world.origin)), FLUSH_POLICY);
    sleep(ms(500)).await;
    assert_eq!((age(&lookup), world.origin.age("1")), (32, 32));
}

/// The connection breaks; Redis keeps running.
#[tokio::test]
async fn a_lookup_is_retried_when_its_connection_breaks() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    world.fetch(&cache, "1", &policy).await.unwrap();
    let mut hits = 0;
    for _ in 0..10 {
        world.redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
        hits += u64::from(lookup.source == Source::Cache);
        cache.client().ready(Duration::from_secs(3)).await.unwrap();
    }
    // All random delays may be shorter than the time to connect.
    assert!(hits >= 5, "{hits} of 10 lookups were hits");
}

/// Redis misses a write, and then a failed one: the deferred invalidation of the
/// second must not replace that of the first.
#[tokio::test]
async fn a_failed_write_does_not_hide_the_one_before_it() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    world.write(&cache, "1", 31, &named("write-behind")).await;
    world.redis.freeze();
    world.write(&cache, "1", 32, &policy).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    let failed = world.loader(&cache, &policy).write("1".to_owned(), profile("1", 33)).await;
    assert!(failed.is_err());
    world.origin.fails.store(false, Ordering::SeqCst);
    world.redis.thaw();
    cache.client().ready(Duration::from_secs(5)).await.unwrap();
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 32);
}

/// More keys than can be deferred one by one: no copy of the namespace is used
/// until Redis is back, and no earlier copy after that.
#[tokio::test]
async fn no_edit_is_hidden_however_many_redis_missed() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    for n in 0..10_050 {
        world.origin.put(&n.to_string(), 30);
    }
    let last = || (10_000..10_050).map(|n| n.to_string());
    for id in last() {
        world.fetch(&cache, &id, &policy).await.unwrap();
    }
    world.redis.freeze();
    for n in 0..10_050 {
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    world.redis.thaw();
    cache.client().ready(Duration::from_secs(5)).await.unwrap();
    for id in last() {
        assert_eq!(age(&world.fetch(&cache, &id, &policy).await.unwrap()), 31, "{id}");
    }
}

/// The clock is set back, but stamps continue to increase.
#[tokio::test]
async fn stamps_do_not_go_back_with_the_clock() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let _flusher = Flusher::start(&cache, RowSink(Arc::clone(&world.origin)), FLUSH_POLICY);
    let ahead = (1_u64 << 52).to_string();
    world.redis.command(&["SET", "test:clock:{test:profile:1}", &ahead]);
    let policies =
        ["write-behind", "read-through", "write-behind", "write-through", "write-behind"];
    for (n, name) in (31..).zip(policies) {
        world.write(&cache, "1", n, &named(name)).await;
        assert_eq!(age(&world.fetch(&cache, "1", &default()).await.unwrap()), n, "{name}");
        within(SOON, || world.origin.age("1") == n).await;
    }
}
