//! The crate hitrate-cache.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use hitrate_cache::{
    Cache, CachePolicy, Cached, Engine, Key, Namespace, OriginError, Versioned,
    redis::{Address, Health, Store},
    trace::Trace,
};
use tokio::time::{sleep, timeout};

use super::{Contestant, Instance, Memory, Settings};
use crate::{
    Result,
    origin::{Origin, OriginDown, Row},
};

pub const HITRATE: Contestant = Contestant {
    name: "hitrate-cache",
    packages: &["hitrate-cache"],
    settings: "`CachePolicy::DEFAULT` without early refresh; a write calls `invalidate`",
    minimal: "minimal-hitrate",
    memory: Memory::Optional(|url, settings| Box::pin(connect_near(url, settings))),
    connect: |url, settings| Box::pin(connect(url, settings)),
};

const ROWS: Namespace = Namespace::new("row");
const PREFIX: &str = "compare:";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Cached for Row {
    fn key(&self) -> Key<Self> {
        key(self.id)
    }
}

impl OriginError for OriginDown {}

fn key(id: u64) -> Key<Row> {
    Key::of(ROWS, &id.to_string())
}

#[derive(Clone)]
struct Hitrate {
    cache: Cache,
    policy: CachePolicy,
}

async fn connect(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    Ok(Arc::new(Hitrate::connect(&url, settings).await?))
}

async fn connect_near(url: String, settings: Settings) -> Result<Arc<dyn Instance>> {
    let mut hitrate = Hitrate::connect(&url, settings).await?;
    hitrate.policy.near = Some(settings.ttl);
    hitrate.cache.engine().track(&Address::parse(&url)?, PREFIX);
    let tracking = async {
        while !hitrate.cache.engine().near().1 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(CONNECT_TIMEOUT, tracking).await?;
    Ok(Arc::new(hitrate))
}

impl Hitrate {
    async fn connect(url: &str, settings: Settings) -> Result<Self> {
        let store = Store::open(&Address::parse(url)?, PREFIX, &Arc::new(Health::default()));
        store.ready(CONNECT_TIMEOUT).await?;
        let cache = Cache::new(store, Arc::new(Engine::new(PREFIX, &[ROWS], Arc::new(()))));
        let policy = CachePolicy {
            ttl: settings.ttl,
            grace: settings.grace,
            xfetch_beta: None,
            ..CachePolicy::DEFAULT
        };
        Ok(Self { cache, policy })
    }
}

impl Instance for Hitrate {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let (this, origin) = (self.clone(), Arc::clone(origin));
        Box::pin(async move {
            let load = move || {
                let load = Arc::clone(&origin).load(id);
                async move {
                    let row = load.await?;
                    Ok::<_, OriginDown>(Some(Versioned { version: row.revision, value: row }))
                }
            };
            let trace = Trace::disabled();
            let lookup = this.cache.fetch(&key(id), &this.policy, &trace, load).await?;
            Ok(lookup.value.ok_or("no row")?.revision)
        })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let this = self.clone();
        Box::pin(async move {
            this.cache.invalidate(&key(id), &this.policy, &Trace::disabled()).await?;
            Ok(())
        })
    }
}
