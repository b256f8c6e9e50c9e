//! Product lookups, with the tutorial's log lines.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{Cache, CachePolicy, FetchError, Lookup, Origin, Versioned, trace::Trace};

use crate::demo::{
    db::{Db, DbError},
    keys,
    model::Product,
};

/// A row of `products` as an origin.
struct ProductRow {
    db: Arc<Db>,
    id: u32,
    delay: Duration,
    bypass: bool,
}

impl Origin<Product> for ProductRow {
    type Error = DbError;

    async fn load(&self) -> Result<Option<Versioned<Product>>, DbError> {
        let id = self.id;
        if !self.bypass {
            log::info!("CACHE MISS: Product {id} not found in cache.");
        }
        log::info!("DATABASE HIT: Fetching product {id} from the database...");
        self.db.product(id, self.delay, &Trace::disabled()).await
    }
}

/// Looks up a product under `policy` and logs a hit or a miss. `delay` is the simulated
/// latency of the database.
pub async fn find(
    cache: &Cache,
    db: &Arc<Db>,
    id: u32,
    policy: &CachePolicy,
    delay: Duration,
) -> Result<Lookup<Product>, FetchError> {
    let bypass = policy.strategy == hitrate_cache::Strategy::None;
    let row = ProductRow { db: Arc::clone(db), id, delay, bypass };
    let policy = policy.with_origin_delay(delay);
    let lookup = cache.fetch(&keys::product(id), &policy, &Trace::disabled(), row).await?;
    if lookup.source.is_hit() {
        log::info!("CACHE HIT: Fetching product {id} from cache.");
    }
    Ok(lookup)
}
