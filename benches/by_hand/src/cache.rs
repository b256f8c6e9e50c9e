//! Cache-aside: reads Redis, then the database, and stores the row in Redis.

use std::error::Error;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use serde::{Serialize, de::DeserializeOwned};

/// Longer than any measurement, so that only hits are measured.
const TTL_SECONDS: u64 = 24 * 60 * 60;

/// An internal error, answered with 500.
pub struct InternalError(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for InternalError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for InternalError {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// A value, and whether it was cached.
pub struct Found<T> {
    pub value: T,
    pub is_hit: bool,
}

/// Returns the cached value of `key`, or loads and stores it. `None` is not stored.
pub async fn cached<T: Serialize + DeserializeOwned>(
    redis: &ConnectionManager,
    key: &str,
    load: impl Future<Output = sqlx::Result<Option<T>>>,
) -> Result<Option<Found<T>>, InternalError> {
    let mut redis = redis.clone();
    let copy: Option<Vec<u8>> = redis.get(key).await?;
    if let Some(copy) = copy {
        return Ok(Some(Found { value: serde_json::from_slice(&copy)?, is_hit: true }));
    }
    let Some(value) = load.await? else { return Ok(None) };
    redis.set_ex::<_, _, ()>(key, serde_json::to_vec(&value)?, TTL_SECONDS).await?;
    Ok(Some(Found { value, is_hit: false }))
}
