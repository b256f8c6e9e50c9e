//! The smallest program with hitbox-fn and hitbox-redis.

use std::{error::Error, time::Duration};

use hitbox::{
    concurrency::BroadcastConcurrencyManager,
    policy::{ConcurrencyLimit, PolicyConfig},
};
use hitbox_fn::{Cache, cached};
use hitbox_redis::{ConnectionMode, RedisBackend};

#[cached(prefix = "user")]
async fn find(_id: u64) -> String {
    "Ada".to_owned()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let connection = ConnectionMode::single("redis://127.0.0.1:6379");
    let policy = PolicyConfig::builder()
        .ttl(Duration::from_secs(300))
        .concurrency(ConcurrencyLimit::new(1).ok_or("a limit")?);
    let cache = Cache::builder()
        .backend(RedisBackend::builder().connection(connection).build()?)
        .policy(policy.build())
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build();
    println!("{}", find(7).cache(&cache).await);
    Ok(())
}
