//! The smallest program with multi-tier-cache.

use std::{error::Error, sync::Arc};

use multi_tier_cache::{
    CacheManager, CacheStrategy, InvalidationConfig, L1Cache, L2Cache, MokaCacheConfig,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = "redis://127.0.0.1:6379";
    let l1 = Arc::new(L1Cache::new(MokaCacheConfig::default())?);
    let l2 = Arc::new(L2Cache::with_url(url).await?);
    let pubsub = InvalidationConfig::default();
    let cache = CacheManager::new_with_invalidation(l1, l2, url, pubsub).await?;
    let load = || async { Ok("Ada".to_owned()) };
    let name = cache.get_or_compute_typed("user:7", CacheStrategy::ShortTerm, load).await?;
    println!("{name}");
    Ok(())
}
