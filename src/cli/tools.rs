//! Database, Redis and cache, as the commands use them.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Cache,
    redis::{Address, BadAddress, RedisError},
};

use crate::{
    config::Config,
    demo::{
        db::{Db, DbError, import},
        load_error::LoadError,
        policy::{Policy, UnknownPolicy},
        products::Products,
        profiles::Profiles,
    },
    ops::{
        managed_redis::{self, ManagedRedis, ManagedRedisError},
        metrics::Metrics,
    },
};

/// Time a command waits for Redis.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Error of a command.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("REDIS_URL (or REDIS_HOST) is {0}")]
    Address(#[from] BadAddress),
    #[error("HITRATE_POLICY: {0}")]
    Policy(#[from] UnknownPolicy),
    #[error("{0}")]
    Lookup(#[from] LoadError),
    #[error(transparent)]
    ManagedRedis(#[from] ManagedRedisError),
    #[error("{0}")]
    Database(#[from] DbError),
    #[error(transparent)]
    Import(#[from] import::ImportError),
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("{0}")]
    Message(String),
}

pub struct Tools {
    pub db: Arc<Db>,
    pub cache: Cache,
    pub profiles: Profiles,
    pub products: Products,
    /// The configured policy.
    pub policy: Policy,
    managed: Option<ManagedRedis>,
}

impl Tools {
    /// Connects to the database and to Redis. If no Redis is configured, uses that of the
    /// hitrate running in the data directory, or starts one until [`close`](Self::close).
    pub async fn open(config: &Config) -> Result<Self, ToolError> {
        let policy = config.policy.parse()?;
        let metrics = Arc::new(Metrics::default());
        let db = Db::open_for_bulk(&config.database(), metrics.database_queries.clone()).await?;
        import::import(&db, config.profiles.as_deref()).await?;
        let (address, managed) = match config.redis() {
            Some(url) => (Address::parse(&url)?, None),
            None if managed_redis::is_running(&config.data_dir) => {
                (Address::unix(&managed_redis::socket(&config.data_dir)?), None)
            }
            None => {
                let managed = ManagedRedis::start(&config.data_dir).await?;
                (managed.address(), Some(managed))
            }
        };
        let cache = config.cache(&address).shared_observer(metrics).build()?;
        let db = Arc::new(db);
        let (profiles, products) = (Profiles::new(&cache, &db), Products::new(&cache, &db));
        Ok(Self { db, cache, profiles, products, policy, managed })
    }

    /// Waits until Redis responds.
    pub async fn await_redis(&self) -> Result<(), RedisError> {
        self.cache.ready(TIMEOUT).await
    }

    pub async fn close(self) {
        if let Some(managed) = self.managed {
            managed.stop().await;
        }
    }
}
