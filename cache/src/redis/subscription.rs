//! Pub/sub subscriptions.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _};
use redis::Msg;

use crate::redis::{Address, RedisError, connection::with_deadline};

/// Timeout for connecting and subscribing.
const DEADLINE: Duration = Duration::from_secs(1);

/// A subscription to one channel, on a connection of its own; closes when dropped.
pub struct Subscription(Pin<Box<dyn Stream<Item = Msg> + Send>>);

impl Subscription {
    /// Subscribes to a channel; messages arrive from now on.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if the server is unreachable or denies the channel.
    pub async fn open(address: &Address, channel: &str) -> Result<Self, RedisError> {
        let subscribing = async {
            let mut connection = address.client().get_async_pubsub().await?;
            connection.subscribe(channel).await?;
            Ok(connection)
        };
        let connection = with_deadline(Instant::now() + DEADLINE, subscribing).await;
        let connection = connection.map_err(RedisError::before_send)?;
        Ok(Self(Box::pin(connection.into_on_message())))
    }

    /// Waits for the next message; `None` if the connection is lost.
    pub async fn next(&mut self) -> Option<String> {
        let message = self.0.next().await?;
        Some(String::from_utf8_lossy(message.get_payload_bytes()).into_owned())
    }
}
