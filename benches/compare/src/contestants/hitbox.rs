//! The crates hitbox, hitbox-fn and hitbox-redis.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hitbox::{
    CacheKey,
    backend::Backend as _,
    concurrency::BroadcastConcurrencyManager,
    offload::OffloadManager,
    policy::{ConcurrencyLimit, PolicyConfig, StalePolicy},
};
use hitbox_fn::{Cache, CacheableResponse, cached};
use hitbox_redis::{ConnectionMode, RedisBackend};
use serde::{Deserialize, Serialize};

use super::{Contestant, Instance, Memory, Settings};
use crate::{
    Result,
    origin::{Origin, OriginDown, Row},
};

pub const HITBOX: Contestant = Contestant {
    name: "hitbox",
    packages: &["hitbox", "hitbox-fn", "hitbox-redis"],
    settings: "hitbox-fn on hitbox-redis with `BroadcastConcurrencyManager`, concurrency 1, a \
        stale window, `OffloadRevalidate` and an `OffloadManager`; a write calls the \
        backend's `remove`",
    minimal: "minimal-hitbox",
    memory: Memory::Never,
    connect: |url, settings| Box::pin(connect(url, settings)),
};

type Found = std::result::Result<CachedRow, OriginDown>;

/// A row as hitbox stores it.
#[derive(Clone, Serialize, Deserialize, CacheableResponse)]
struct CachedRow {
    row: Row,
}

#[derive(Clone)]
struct Hitbox(Cache<RedisBackend, BroadcastConcurrencyManager<Found>, OffloadManager>);

async fn connect(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    let backend = RedisBackend::builder().connection(ConnectionMode::single(url)).build()?;
    let policy = PolicyConfig::builder()
        // The time until a copy is stale, within the time until it expires.
        .stale(settings.ttl)
        .ttl(settings.ttl + settings.grace)
        .stale_policy(StalePolicy::OffloadRevalidate)
        .concurrency(ConcurrencyLimit::new(1).ok_or("a limit")?)
        .build();
    let cache = Cache::builder()
        .backend(backend)
        .policy(policy)
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .offload(OffloadManager::with_defaults())
        .build();
    Ok(Arc::new(Hitbox(cache)))
}

#[cached(prefix = "row", skip(origin))]
async fn find(id: u64, origin: Arc<Origin>) -> Found {
    origin.load(id).await.map(|row| CachedRow { row })
}

impl Instance for Hitbox {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let call = find(id, Arc::clone(origin)).cache(self.0.clone());
        Box::pin(async move { Ok(call.await?.row.revision) })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let backend = self.0.backend().clone();
        let id = id.to_string();
        Box::pin(async move {
            let key = CacheKey::from_slice(&[("fn", Some("row")), ("id", Some(&id))]);
            let removed = backend.remove(&key).await;
            removed.map(drop).map_err(|error| error.to_string().into())
        })
    }
}
