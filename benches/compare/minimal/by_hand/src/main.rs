//! The smallest program with moka in front of redis-rs.

use std::{error::Error, time::Duration};

use moka::future::Cache;
use redis::AsyncCommands as _;

const TTL: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let near = Cache::builder().max_capacity(10_000).time_to_live(TTL).build();
    let mut redis = redis::Client::open("redis://127.0.0.1:6379")?.get_connection_manager().await?;
    let name = near.try_get_with(7_u64, async move {
        if let Ok(Some(copy)) = redis.get::<_, Option<Vec<u8>>>("user:7").await {
            return serde_json::from_slice(&copy);
        }
        let name = "Ada".to_owned();
        let _ = redis.set_ex::<_, _, ()>("user:7", serde_json::to_vec(&name)?, TTL.as_secs()).await;
        Ok(name)
    });
    println!("{}", name.await?);
    Ok(())
}
