//! The crate multi-tier-cache: moka, Redis, and invalidations by pub/sub.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use multi_tier_cache::{
    CacheManager, CacheStrategy, InvalidationConfig, L1Cache, L2Cache, MokaCacheConfig,
    error::CacheError,
};

use super::{Contestant, Instance, Memory, Settings};
use crate::{
    Result,
    origin::{Origin, Row},
};

pub const MULTI_TIER: Contestant = Contestant {
    name: "multi-tier-cache",
    packages: &["multi-tier-cache"],
    settings: "`CacheManager::new_with_invalidation` (pub/sub) and `get_or_compute_typed`; \
        a write calls `invalidate`",
    minimal: "minimal-multi-tier",
    memory: Memory::Always,
    connect: |url, settings| Box::pin(connect(url, settings)),
};

#[derive(Clone)]
struct MultiTier {
    cache: Arc<CacheManager>,
    strategy: CacheStrategy,
}

async fn connect(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    let l1 = Arc::new(L1Cache::new(MokaCacheConfig::default())?);
    let l2 = Arc::new(L2Cache::with_url(&url).await?);
    let pubsub = InvalidationConfig::default();
    let cache = CacheManager::new_with_invalidation(l1, l2, &url, pubsub).await?;
    let strategy = CacheStrategy::Custom(settings.ttl);
    Ok(Arc::new(MultiTier { cache: Arc::new(cache), strategy }))
}

impl Instance for MultiTier {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let (this, origin) = (self.clone(), Arc::clone(origin));
        Box::pin(async move {
            let load = || async move {
                origin.load(id).await.map_err(|error| CacheError::InternalError(error.to_string()))
            };
            let key = format!("row:{id}");
            let row: Row = this.cache.get_or_compute_typed(&key, this.strategy, load).await?;
            Ok(row.revision)
        })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let cache = Arc::clone(&self.cache);
        Box::pin(async move { Ok(cache.invalidate(&format!("row:{id}")).await?) })
    }
}
