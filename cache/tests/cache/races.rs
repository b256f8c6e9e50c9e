//! Sequences in which a cache like this one once held, or served, what was older
//! than something acknowledged before.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hitrate_cache::{
    Cache, Committed, Engine, Origin, Source, Versioned, Writable, WriteOrder,
    redis::{Address, Health, Store, Value},
    trace::Trace,
    write_behind::Flusher,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::world::{
    Behind, Down, PACE, PREFIX, PROFILE, Profile, Row, SOON, World, age, default, key, named,
    profile, within,
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A load has read its row, then the copies are dropped on purpose.
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
                true => cache.invalidate_tag(PROFILE, &Trace::disabled()).await.unwrap(),
                false => {
                    cache.invalidate(&key("1"), &policy, &Trace::disabled()).await.unwrap();
                }
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

/// An origin whose writes take their time.
struct SlowWrites(Row, Duration);

impl Origin<Profile> for SlowWrites {
    type Error = Down;

    async fn load(&self) -> Result<Option<Versioned<Profile>>, Down> {
        self.0.load().await
    }
}

impl Writable<Profile> for SlowWrites {
    async fn write(&self, value: &Profile, order: WriteOrder) -> Result<Option<Committed>, Down> {
        sleep(self.1).await;
        self.0.write(value, order).await
    }
}

/// A write-through is under way while a write-behind is acknowledged: once
/// read, the later one stays.
#[tokio::test]
async fn a_write_through_does_not_hide_a_later_write_that_waits() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let through = async {
        let origin = SlowWrites(world.row("1"), ms(200));
        let policy = named("write-through");
        cache.write(profile("1", 99), &policy, &Trace::disabled(), origin).await.unwrap()
    };
    let behind = async {
        sleep(ms(50)).await;
        world.write(&cache, "1", 31, &named("write-behind")).await;
        age(&world.fetch(&cache, "1", &default()).await.unwrap())
    };
    let (_, first) = tokio::join!(through, behind);
    let second = age(&world.fetch(&cache, "1", &default()).await.unwrap());
    let _flusher = Flusher::start(&cache, Behind(Arc::clone(&world.origin)), PACE);
    within(SOON, || world.redis.run(&["XLEN", "test:write-behind"]) == Value::Int(0)).await;
    let third = age(&world.fetch(&cache, "1", &default()).await.unwrap());
    assert_eq!([first, second, third], [31; 3]);
}

/// The fill of an old row fails because Redis has died, and the row is not
/// remembered for its grace either: a later one was acknowledged here.
#[tokio::test]
async fn a_load_that_a_write_outdated_is_not_remembered_for_its_grace() {
    let mut world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    world.origin.lag_ms.store(400, Ordering::SeqCst);
    let (there, row) = (cache.clone(), world.row("1"));
    let load = async move { there.fetch(&key("1"), &policy, &Trace::disabled(), row).await };
    let load = tokio::spawn(load);
    within(SOON, || world.origin.loads() == 1).await;
    world.write(&cache, "1", 31, &policy).await;
    world.redis.kill();
    load.await.unwrap().unwrap();
    world.origin.fails.store(true, Ordering::SeqCst);
    assert!(world.fetch(&cache, "1", &policy).await.is_err());
}

/// Two processes; one reads the new version in the other's copy. When that has
/// ended and the origin is slow, it does not fall back to its own old copy.
#[tokio::test]
async fn grace_never_goes_back_behind_an_edit_made_elsewhere() {
    for reads_it in [true, false] {
        let world = World::new();
        world.origin.put("1", 30);
        let (here, there) = (world.cache().await, world.cache().await);
        let policy = default().ttl(ms(300));
        world.fetch(&here, "1", &policy).await.unwrap();
        world.write(&there, "1", 31, &policy).await;
        world.fetch(&there, "1", &policy).await.unwrap();
        if reads_it {
            assert_eq!(age(&world.fetch(&here, "1", &policy).await.unwrap()), 31);
        }
        // The TTL has to pass.
        sleep(ms(310)).await;
        world.origin.slow(300);
        let seen = world.fetch(&here, "1", &policy).await.unwrap();
        assert_eq!(age(&seen), 31, "read before: {reads_it}, from {:?}", seen.source);
        let expected = if reads_it { Source::Stale } else { Source::Database };
        assert_eq!(seen.source, expected);
    }
}

/// Passes everything on, but the command that queues a write: its client is
/// cut, and the command arrives 150 ms later.
async fn late(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(relay(client, TcpStream::connect(("127.0.0.1", port)).await.unwrap()));
        }
    });
    url
}

async fn relay(client: TcpStream, server: TcpStream) {
    let (mut asked, mut told) = client.into_split();
    let (mut answers, mut asks) = server.into_split();
    let back = tokio::spawn(async move { copy(&mut answers, &mut told).await.map(|_| ()) });
    let mut bytes = vec![0; 65_536];
    while let Ok(n @ 1..) = asked.read(&mut bytes).await {
        let queues = bytes[..n].windows(4).any(|it| it == b"XADD");
        if queues {
            back.abort();
            let _ = back.await;
            drop(asked);
            sleep(ms(150)).await;
            let _ = asks.write_all(&bytes[..n]).await;
            return sleep(ms(500)).await;
        }
        let _ = asks.write_all(&bytes[..n]).await;
    }
}

#[tokio::test]
async fn a_write_whose_connection_broke_does_not_overtake_a_later_one() {
    let world = World::new();
    world.origin.put("1", 30);
    let address = Address::parse(&late(world.redis.port).await).unwrap();
    let store = Store::open(&address, PREFIX, &Arc::new(Health::default()));
    store.ready(Duration::from_secs(3)).await.unwrap();
    let cache = Cache::new(store, Arc::new(Engine::new(PREFIX, &[PROFILE], Arc::new(()))));
    world.fetch(&cache, "1", &named("write-behind")).await.unwrap();
    world.write(&cache, "1", 31, &named("write-behind")).await;
    world.write(&cache, "1", 32, &default()).await;
    // Until what was late has arrived; then until it would have been flushed.
    sleep(ms(400)).await;
    let seen = world.fetch(&cache, "1", &default()).await.unwrap();
    let _flusher = Flusher::start(&cache, Behind(Arc::clone(&world.origin)), PACE);
    sleep(ms(500)).await;
    assert_eq!((age(&seen), world.origin.age("1")), (32, 32));
}

/// The connection is gone when it is needed; Redis is not.
#[tokio::test]
async fn a_lookup_whose_connection_breaks_asks_again() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    world.fetch(&cache, "1", &policy).await.unwrap();
    let mut hits = 0;
    for _ in 0..10 {
        world.redis.run(&["CLIENT", "KILL", "TYPE", "normal"]);
        let seen = world.fetch(&cache, "1", &policy).await.unwrap();
        hits += u64::from(seen.source == Source::Cache);
        cache.store().ready(Duration::from_secs(3)).await.unwrap();
    }
    // By chance all waits may be shorter than connecting takes.
    assert!(hits >= 5, "{hits} of 10 were answered by Redis");
}

/// Redis misses a write, and then one that failed: what it has to be told of
/// the second takes nothing from what it has to be told of the first.
#[tokio::test]
async fn a_write_that_failed_does_not_hide_the_one_before_it() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, default());
    world.write(&cache, "1", 31, &named("write-behind")).await;
    world.redis.signal("STOP");
    world.write(&cache, "1", 32, &policy).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    let failed = cache.write(profile("1", 33), &policy, &Trace::disabled(), world.row("1")).await;
    assert!(failed.is_err());
    world.origin.fails.store(false, Ordering::SeqCst);
    world.redis.signal("CONT");
    cache.store().ready(Duration::from_secs(5)).await.unwrap();
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 32);
}

/// More keys than can be remembered one by one: then no copy of the namespace is
/// used until Redis can be told, and none of before after that.
#[tokio::test]
async fn however_many_edits_redis_missed_none_is_hidden() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    for n in 0..10_050 {
        world.origin.put(&n.to_string(), 30);
    }
    let last = || (10_000..10_050).map(|n| n.to_string());
    for id in last() {
        world.fetch(&cache, &id, &policy).await.unwrap();
    }
    world.redis.signal("STOP");
    for n in 0..10_050 {
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    world.redis.signal("CONT");
    cache.store().ready(Duration::from_secs(5)).await.unwrap();
    for id in last() {
        assert_eq!(age(&world.fetch(&cache, &id, &policy).await.unwrap()), 31, "{id}");
    }
}

/// A clock that was set back gives later writes earlier times; their stamps
/// go on all the same.
#[tokio::test]
async fn stamps_do_not_go_back_with_the_clock() {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    let _flusher = Flusher::start(&cache, Behind(Arc::clone(&world.origin)), PACE);
    let ahead = (1_u64 << 52).to_string();
    world.redis.run(&["SET", "test:write-clock", &ahead]);
    let policies =
        ["write-behind", "read-through", "write-behind", "write-through", "write-behind"];
    for (n, name) in (31..).zip(policies) {
        world.write(&cache, "1", n, &named(name)).await;
        assert_eq!(age(&world.fetch(&cache, "1", &default()).await.unwrap()), n, "{name}");
        within(SOON, || world.origin.age("1") == n).await;
    }
}
