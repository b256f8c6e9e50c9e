//! The smallest program with hitrate-cache.

use std::{convert::Infallible, error::Error, time::Duration};

use hitrate_cache::{Cache, CachePolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cache = Cache::connect("redis://127.0.0.1:6379")?;
    let users = cache.namespace::<String>("user", CachePolicy::ttl(Duration::from_secs(300)));
    let load = async { Ok::<_, Infallible>("Ada".to_owned()) };
    println!("{:?}", users.get(7_u64, load).await?);
    Ok(())
}
