//! A hand-written single-flight in front of Redis: the baseline of the cost of misses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use redis::{AsyncCommands as _, aio::ConnectionManager};

use crate::{
    Result,
    contestants::Instance,
    origin::{Origin, Row},
    stage::SETTINGS,
};

type Flight = Shared<BoxFuture<'static, Result<Arc<Row>, String>>>;
type Flights = Arc<Mutex<HashMap<u64, Flight>>>;

/// Loads in progress, and the connection that they use.
#[derive(Clone)]
pub struct SingleFlight {
    flights: Flights,
    redis: ConnectionManager,
}

impl SingleFlight {
    pub async fn connect(url: &str) -> Result<Arc<dyn Instance>> {
        let redis = redis::Client::open(url)?.get_connection_manager().await?;
        Ok(Arc::new(Self { flights: Flights::default(), redis }))
    }

    /// Joins the load of this row, or starts one.
    fn join(&self, id: u64, origin: &Arc<Origin>) -> Flight {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || self.clone().fly(id, Arc::clone(origin)).boxed().shared();
        flights.entry(id).or_insert_with(start).clone()
    }

    async fn fly(self, id: u64, origin: Arc<Origin>) -> Result<Arc<Row>, String> {
        let found = self.find(id, origin).await.map_err(|error| error.to_string());
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        found
    }

    async fn find(&self, id: u64, origin: Arc<Origin>) -> Result<Arc<Row>> {
        let (mut redis, key) = (self.redis.clone(), format!("single-flight:{id}"));
        if let Some(copy) = redis.get::<_, Option<Vec<u8>>>(&key).await? {
            return Ok(serde_json::from_slice(&copy)?);
        }
        let row = Arc::new(origin.load(id).await?);
        let ttl_ms = u64::try_from(SETTINGS.ttl.as_millis())?;
        redis.pset_ex::<_, _, ()>(&key, serde_json::to_vec(&row)?, ttl_ms).await?;
        Ok(row)
    }
}

impl Instance for SingleFlight {
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>> {
        let flight = self.join(id, origin);
        Box::pin(async move { Ok(flight.await?.revision) })
    }

    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>> {
        let mut redis = self.redis.clone();
        Box::pin(async move { Ok(redis.del::<_, ()>(format!("single-flight:{id}")).await?) })
    }
}
