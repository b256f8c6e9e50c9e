//! Product lookups, with the tutorial's log lines.

use std::{fmt, sync::Arc, time::Duration};

use hitrate_cache::{Cache, KeyPart, Loader, Lookup, Namespace, Origin, Versioned, trace::Trace};

use crate::demo::{
    db::{Db, DbError},
    keys,
    load_error::LoadError,
    model::Product,
    policy::Policy,
    strategy::Strategy,
};

/// The products behind the cache. Each worker has its own; cloning is cheap.
#[derive(Clone)]
pub struct Products {
    loader: Loader<ProductQuery, Product, ProductRows>,
}

/// The table `products` as an origin.
pub struct ProductRows(Arc<Db>);

/// A product to load.
#[derive(Clone, Copy)]
pub struct ProductQuery {
    id: u32,
    delay: Duration,
    bypass: bool,
}

impl KeyPart for ProductQuery {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        self.id.write_key(key)
    }
}

impl Origin<ProductQuery, Product> for ProductRows {
    type Loaded = Option<Versioned<Product>>;
    type Error = DbError;

    async fn load(&self, query: ProductQuery) -> Result<Option<Versioned<Product>>, DbError> {
        let ProductQuery { id, delay, bypass } = query;
        if !bypass {
            log::info!("CACHE MISS: Product {id} not found in cache.");
        }
        log::info!("DATABASE HIT: Fetching product {id} from the database...");
        self.0.product(id, delay, &Trace::disabled()).await
    }

    /// A lock is usually released within milliseconds.
    fn is_transient(&self, error: &DbError) -> bool {
        *error == DbError::Locked
    }
}

impl Products {
    /// The products of this database in this cache.
    pub fn new(cache: &Cache, db: &Arc<Db>) -> Self {
        let namespace: Namespace<Product> = cache.namespace(keys::PRODUCT, Policy::DEFAULT.cache);
        Self { loader: namespace.loader(ProductRows(Arc::clone(db))) }
    }

    /// The namespace in the cache under this policy.
    pub fn namespace(&self, policy: &Policy, trace: &Trace) -> Namespace<Product> {
        self.loader.namespace().with(policy.cache).traced(trace)
    }

    /// Looks up a product under `policy` and logs a hit or a miss. `delay` is the simulated
    /// latency of the database.
    pub async fn find(
        &self,
        id: u32,
        policy: &Policy,
        delay: Duration,
    ) -> Result<Lookup<Product>, LoadError> {
        let query = ProductQuery { id, delay, bypass: policy.strategy == Strategy::None };
        let lookup = self.loader.with(policy.with_origin_delay(delay).cache).lookup(query).await?;
        if lookup.source.is_hit() {
            log::info!("CACHE HIT: Fetching product {id} from cache.");
        }
        Ok(lookup)
    }
}
