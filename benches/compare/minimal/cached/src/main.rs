//! The smallest program with cached and its Redis store.

use std::{convert::Infallible, error::Error, time::Duration};

use cached::{AsyncRedisCache, ConcurrentCachedAsyncExt as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let users: AsyncRedisCache<u64, String> = AsyncRedisCache::builder("user")
        .ttl(Duration::from_secs(300))
        .connection_string("redis://127.0.0.1:6379")
        .connection_manager(true)
        .build()
        .await?;
    let load = || async { Ok::<_, Infallible>("Ada".to_owned()) };
    println!("{}", users.async_try_get_or_set_with(7, load).await??);
    Ok(())
}
