//! Cache-aside: Redis is asked first, then the database, whose answer is kept.

use std::error::Error;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use serde::{Serialize, de::DeserializeOwned};

/// Longer than any measurement: what is measured is a hit.
const TTL_SECONDS: u64 = 24 * 60 * 60;

/// What a handler can't do anything about.
pub struct Failed(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// A value, and whether Redis had it.
pub struct Found<T> {
    pub value: T,
    pub is_hit: bool,
}

/// The value of `key`, or what `load` brings; `None` is not kept.
pub async fn cached<T: Serialize + DeserializeOwned>(
    redis: &ConnectionManager,
    key: &str,
    load: impl Future<Output = sqlx::Result<Option<T>>>,
) -> Result<Option<Found<T>>, Failed> {
    let mut redis = redis.clone();
    let copy: Option<Vec<u8>> = redis.get(key).await?;
    if let Some(copy) = copy {
        return Ok(Some(Found { value: serde_json::from_slice(&copy)?, is_hit: true }));
    }
    let Some(value) = load.await? else { return Ok(None) };
    redis.set_ex::<_, _, ()>(key, serde_json::to_vec(&value)?, TTL_SECONDS).await?;
    Ok(Some(Found { value, is_hit: false }))
}
