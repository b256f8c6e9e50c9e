//! What the crate writes to the log: no keys, no values, no name of any program.

use std::{
    sync::{Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use hitrate_cache::{Cache, Json, OnWrite, RedisError, RedisStatus, Versioned};
use log::{LevelFilter, Log, Metadata, Record};

use crate::{
    cell::{Down, plain},
    proxy::{Mode, Proxy},
    timing::BUSY,
    world::{SOON, World, default, within},
};

/// Everything that was logged by the crate, in this whole test process.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collector;

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hitrate_cache")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.lock().unwrap().push(format!("{}: {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// In every id, value, tag, prefix and password of the test below.
const SECRET: &str = "s3cret";

/// Whatever can go wrong does.
#[tokio::test]
async fn no_line_and_no_error_names_a_key_a_value_or_a_program() {
    log::set_logger(&Collector).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let mut world = World::new();
    let (proxy, id, mut errors) = (Proxy::before(&world.redis), format!("id-{SECRET}"), Vec::new());
    let builder = Cache::builder(&proxy.url()).prefix(format!("{SECRET}:")).max_entry_bytes(500);
    let cache = builder.build().unwrap();
    cache.ready(SOON).await.unwrap();
    let cells = cache.namespace::<String>("cell", plain().near(SOON).on_write(OnWrite::Store));
    let text = |bytes: usize| async move { Ok::<_, Down>(SECRET.repeat(bytes / 6)) };
    // An entry of another schema, one that is too large, values with and without versions.
    let other = cells.clone().codec(Json::schema(2));
    other.get(&id, text(60)).await.unwrap();
    cells.get(&id, text(60)).await.unwrap();
    cells.get((&id, 2), text(6_000)).await.unwrap();
    let versioned =
        async { Ok::<_, Down>(Versioned { value: SECRET.to_owned(), version: 1 << 60 }) };
    cache.namespace::<String>("row", plain()).get((&id, 3), versioned).await.unwrap();
    let mixed = async { Ok::<_, Down>(Versioned { value: SECRET.to_owned(), version: 1 }) };
    cells.get((&id, 3), mixed).await.unwrap();
    // Errors and panics of the origin, a timeout, too many loads.
    errors.push(cells.get((&id, 4), async { Err::<String, _>(Down) }).await.unwrap_err());
    let panics = async { panic!("on purpose") as Result<String, Down> };
    errors.push(cells.get((&id, 5), panics).await.unwrap_err());
    let fast = cells.with(plain().hard_timeout(Duration::from_millis(1)));
    let slow = async {
        tokio::time::sleep(SOON).await;
        Ok::<_, Down>(String::new())
    };
    errors.push(fast.get((&id, 6), slow).await.unwrap_err());
    // A network of all kinds, then no Redis, a full and a denying one.
    for mode in [Mode::Garbage(b"$5\r\ns3cret\r\n"), Mode::CutOff(3), Mode::Refuse, Mode::HalfOpen]
    {
        proxy.set(mode);
        for _ in 0..3 {
            cells.get(&id, text(60)).await.unwrap();
            let _ = cells.invalidate(&id).await;
            let _ = cache.invalidate_tag(&id).await;
        }
        proxy.set(Mode::Pass);
        cache.ready(SOON).await.unwrap();
    }
    let denied = vec!["--user", "default", "on", "nopass", "~*", "+get", "+mget", "+ping"];
    for (rules, expected) in
        [(denied, RedisError::Denied), (vec!["--maxmemory", "1"], RedisError::Full)]
    {
        world.redis.restart_with_args(&rules);
        let refuses =
            |status| matches!(status, RedisStatus::Refusing(error, _) if error == expected);
        // Until it has noticed.
        let end = Instant::now() + SOON * BUSY;
        while !refuses(cache.health().redis) {
            assert!(Instant::now() < end, "{:?}", cache.health());
            cells.get(&id, text(60)).await.unwrap();
            cells.write(&id, text(60)).await.unwrap();
            let _ = cells.invalidate_all().await;
        }
    }
    world.redis.restart_with_args(&[]);
    within(SOON, || cache.health().deferred_invalidations == 0).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    errors.push(world.fetch(&cache, &id, &default()).await.unwrap_err());

    let mut lines = LINES.lock().unwrap().clone();
    let expected = [
        "connection",
        "recovered",
        "overwritten",
        "not cached: the limit",
        "2^53",
        "mixes",
        "denied",
    ];
    for expected in expected {
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:#?}");
    }
    lines.extend(errors.iter().map(|error| format!("{error} {error:?}")));
    lines.push(format!("{:?}", Cache::connect(&format!("redis://{SECRET}@[/x")).unwrap_err()));
    lines.push(format!("{cache:?} {cells:?}"));
    for line in &lines {
        for word in [SECRET, "id-", "hitrate", "Hitrate", "REDIS_URL", "profile:"] {
            assert!(!line.contains(word), "{word} in: {line}");
        }
    }
}
