//! Tests of a program that caches: in memory, on a Redis of their own, and while it fails.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{
    error::Error,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hitrate_cache::{Cache, CachePolicy, test_util::TestRedis};

static LOADS: AtomicU64 = AtomicU64::new(0);

/// The function under test. Its program calls it with `Cache::connect(url)`.
async fn greeting(cache: &Cache, id: u64) -> Result<String, Box<dyn Error>> {
    let names = cache.namespace::<String>("name", CachePolicy::ttl(Duration::from_secs(300)));
    let find = async move {
        LOADS.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>((id == 7).then(|| "Ada".to_owned()))
    };
    let name = names.get(id, find).await?;
    Ok(format!("Hello, {}!", name.as_deref().map_or("stranger", String::as_str)))
}

/// Two greetings, and how many loads they took.
async fn greet_twice(cache: &Cache) -> Result<String, Box<dyn Error>> {
    LOADS.store(0, Ordering::SeqCst);
    let (first, second) = (greeting(cache, 7).await?, greeting(cache, 7).await?);
    assert_eq!(first, second);
    Ok(format!("{first} {} load(s)", LOADS.load(Ordering::SeqCst)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("in memory: {}", greet_twice(&Cache::in_memory()).await?);
    println!("off: {}", greet_twice(&Cache::off()).await?);

    let redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    println!("on Redis: {}", greet_twice(&cache).await?);
    println!("the key: {}", redis.command(&["KEYS", "name:*"]));

    redis.freeze();
    println!("on a frozen Redis: {}", greet_twice(&cache).await?);
    redis.thaw();
    Ok(())
}
