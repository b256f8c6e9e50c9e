//! The crate cached, with its Redis store. Its macro does the same calls on a static.

use std::sync::Arc;

use cached::{AsyncRedisCache, ConcurrentCachedAsync as _, ConcurrentCachedAsyncExt as _};
use futures_util::future::BoxFuture;

use super::{Contestant, Instance, Memory, Settings};
use crate::{
    Result,
    origin::{Origin, Row},
};

pub const CACHED: Contestant = Contestant {
    name: "cached",
    packages: &["cached"],
    settings: "`AsyncRedisCache` with `connection_manager(true)` and \
        `async_try_get_or_set_with`; a write calls `async_cache_delete`",
    minimal: "minimal-cached",
    memory: Memory::Never,
    connect: |url, settings| Box::pin(connect(url, settings)),
};

struct Cached(Arc<AsyncRedisCache<u64, Row>>);

async fn connect(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    let builder = AsyncRedisCache::builder("row").ttl(settings.ttl);
    let cache = builder.connection_string(&url).connection_manager(true).build().await?;
    Ok(Arc::new(Cached(Arc::new(cache))))
}

impl Instance for Cached {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let (cache, origin) = (Arc::clone(&self.0), Arc::clone(origin));
        Box::pin(async move {
            Ok(cache.async_try_get_or_set_with(id, || origin.load(id)).await??.revision)
        })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let cache = Arc::clone(&self.0);
        Box::pin(async move {
            cache.async_cache_delete(&id).await?;
            Ok(())
        })
    }
}
