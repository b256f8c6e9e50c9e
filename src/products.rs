//! Looking up products, with the documents' log lines.

use std::time::Duration;

use crate::{
    cache::{Cache, Lookup, Plan},
    db::{self, Db},
    keys,
    model::{Product, Source},
    wire::Wire,
};

/// Finds a product, in the cache first, and logs how that went.
pub async fn find(
    cache: &Cache,
    db: &Db,
    id: u32,
    ttl: Duration,
    delay: Duration,
    bypass: bool,
) -> Result<Lookup<Product>, db::Error> {
    let plan = Plan { ttl, absent_ttl: ttl, bypass };
    let load = async || {
        if !bypass {
            log::info!("CACHE MISS: Product {id} not found in cache.");
        }
        log::info!("DATABASE HIT: Fetching product {id} from the database...");
        db.product(id, delay, &Wire::off()).await
    };
    let lookup = cache.fetch(&keys::product(id), plan, &Wire::off(), load).await?;
    if lookup.source == Source::Cache {
        log::info!("CACHE HIT: Fetching product {id} from cache.");
    }
    Ok(lookup)
}
