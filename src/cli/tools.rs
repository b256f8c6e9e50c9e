//! The parts a command works with: database, Redis and the cache between them.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, CachePolicy, Engine, FetchError, UnknownPolicy,
    redis::{Address, BadAddress, Health, RedisError, Store},
};

use crate::{
    config::Config,
    demo::{
        db::{self, Db, import},
        keys,
    },
    ops::{
        managed_redis::{self, ManagedRedis, ManagedRedisError},
        metrics::Metrics,
    },
};

/// How long a command waits for Redis.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a command can't do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error("HITRATE_POLICY: {0}")]
    CachePolicy(#[from] UnknownPolicy),
    #[error("{0}")]
    Lookup(#[from] FetchError),
    #[error(transparent)]
    Own(#[from] ManagedRedisError),
    #[error("{0}")]
    Database(#[from] db::Error),
    #[error(transparent)]
    Import(#[from] import::ImportError),
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("{0}")]
    Told(String),
}

pub struct Tools {
    pub db: Arc<Db>,
    pub store: Store,
    pub cache: Cache,
    /// As configured.
    pub policy: CachePolicy,
    own: Option<ManagedRedis>,
}

impl Tools {
    /// Opens both. Without a configured Redis it is the one of the hitrate
    /// that runs on the data directory, or else one for as long as this lasts.
    pub async fn open(config: &Config) -> Result<Self, ToolError> {
        let policy = config.policy.parse()?;
        let metrics = Arc::new(Metrics::default());
        let db = Db::open_patiently(&config.database(), metrics.database_queries.clone()).await?;
        import::import(&db, config.profiles.as_deref()).await?;
        let (address, own) = match config.redis() {
            Some(url) => (Address::parse(&url)?, None),
            None if managed_redis::is_running(&config.data_dir) => {
                (Address::unix(&managed_redis::socket(&config.data_dir)?), None)
            }
            None => {
                let own = ManagedRedis::start(&config.data_dir).await?;
                (own.address(), Some(own))
            }
        };
        let store = Store::open(&address, &config.key_prefix, &Arc::new(Health::default()));
        let engine = Engine::new(&config.key_prefix, &keys::CACHED, metrics);
        let engine = Arc::new(engine.with_max_entry_bytes(config.max_entry_bytes));
        let cache = Cache::new(store.clone(), engine);
        Ok(Self { db: Arc::new(db), store, cache, policy, own })
    }

    /// Waits until Redis answers.
    pub async fn redis(&self) -> Result<(), RedisError> {
        self.store.ready(TIMEOUT).await
    }

    pub async fn close(self) {
        if let Some(own) = self.own {
            own.stop().await;
        }
    }
}
