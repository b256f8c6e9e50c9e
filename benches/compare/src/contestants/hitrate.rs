//! The crate hitrate-cache.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use hitrate_cache::{Cache, CachePolicy, Namespace, Refresh};
use tokio::time::{sleep, timeout};

use super::{Contestant, Instance, Memory, Settings};
use crate::{
    Result,
    origin::{Origin, OriginDown, Row},
};

pub const HITRATE: Contestant = Contestant {
    name: "hitrate-cache",
    packages: &["hitrate-cache"],
    settings: "`CachePolicy::ttl` with a grace period and without early refresh; a write calls \
        `write`",
    minimal: "minimal-hitrate",
    memory: Memory::Optional(|url, settings| Box::pin(connect_near(url, settings))),
    connect: |url, settings| Box::pin(connect(url, settings)),
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

struct Hitrate(Namespace<Row>);

async fn connect(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    open(&url, policy(settings)).await
}

async fn connect_near(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    open(&url, policy(settings).near(settings.ttl)).await
}

fn policy(settings: Settings) -> CachePolicy {
    CachePolicy::ttl(settings.ttl).grace(settings.grace).refresh(Refresh::Off)
}

async fn open(url: &str, policy: CachePolicy) -> Result<Arc<dyn Instance>> {
    let cache = Cache::connect(url)?;
    // The other contestants are connected by now, too. Until then, nothing is stored.
    cache.ready(CONNECT_TIMEOUT).await?;
    let rows = cache.namespace("row", policy);
    if policy.near.is_some() {
        timeout(CONNECT_TIMEOUT, tracking(&cache)).await?;
    }
    Ok(Arc::new(Hitrate(rows)))
}

/// Waits until Redis reports changes: only then are copies kept in memory.
async fn tracking(cache: &Cache) {
    while !cache.health().is_tracking {
        sleep(Duration::from_millis(5)).await;
    }
}

impl Instance for Hitrate {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let (rows, load) = (self.0.clone(), Arc::clone(origin).load(id));
        Box::pin(async move { Ok(rows.get(id, load).await?.ok_or("no row")?.revision) })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let rows = self.0.clone();
        Box::pin(async move {
            let _ = rows.invalidate(id).await;
            Ok(())
        })
    }

    fn write(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<()>> {
        let (rows, origin) = (self.0.clone(), Arc::clone(origin));
        let write = async move {
            origin.write();
            Ok::<_, OriginDown>(origin.row(id))
        };
        Box::pin(async move {
            rows.write(id, write).await?;
            Ok(())
        })
    }
}
