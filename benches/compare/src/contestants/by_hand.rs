//! The thirty lines that an application has without a library: moka in front of redis-rs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use moka::future::Cache;
use redis::{AsyncCommands as _, aio::ConnectionManager};

use super::{Contestant, Instance, Memory, Settings};
use crate::{
    Result,
    origin::{Origin, Row},
};

pub const BY_HAND: Contestant = Contestant {
    name: "by hand",
    packages: &["moka", "redis"],
    settings: "moka's `try_get_with` around `GET`, load and `SET PX`, and redis-rs's \
        `ConnectionManager`; a write sends `DEL` and invalidates moka",
    minimal: "minimal-by-hand",
    memory: Memory::Always,
    connect: |url, settings| Box::pin(connect(url, settings)),
};

/// Copies in memory at most.
const MAX_ENTRIES: u64 = 10_000;

#[derive(Clone)]
struct ByHand {
    near: Cache<u64, Arc<Row>>,
    redis: ConnectionManager,
    ttl_ms: u64,
}

async fn connect(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    let near = Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(settings.ttl).build();
    let redis = redis::Client::open(url)?.get_connection_manager().await?;
    let ttl_ms = u64::try_from(settings.ttl.as_millis())?;
    Ok(Arc::new(ByHand { near, redis, ttl_ms }))
}

impl ByHand {
    async fn find(mut self, id: u64, origin: Arc<Origin>) -> Result<Arc<Row>> {
        let key = format!("row:{id}");
        if let Ok(Some(copy)) = self.redis.get::<_, Option<Vec<u8>>>(&key).await {
            return Ok(serde_json::from_slice(&copy)?);
        }
        let row = Arc::new(origin.load(id).await?);
        let copy = serde_json::to_vec(&row)?;
        let _ = self.redis.pset_ex::<_, _, ()>(&key, copy, self.ttl_ms).await;
        Ok(row)
    }
}

impl Instance for ByHand {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let (cache, origin) = (self.clone(), Arc::clone(origin));
        Box::pin(async move {
            let row = cache.near.clone().try_get_with(id, cache.find(id, origin)).await;
            row.map(|row| row.revision).map_err(|error| error.to_string().into())
        })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let mut cache = self.clone();
        Box::pin(async move {
            cache.redis.del::<_, ()>(format!("row:{id}")).await?;
            cache.near.invalidate(&id).await;
            Ok(())
        })
    }
}
