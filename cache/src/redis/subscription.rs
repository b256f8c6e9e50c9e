//! A connection that listens to a channel.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _};
use redis::Msg;

use crate::redis::{Address, RedisError, connection::with_deadline};

/// How long connecting and subscribing may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// Listens until it is dropped, on a connection of its own.
pub struct Subscription(Pin<Box<dyn Stream<Item = Msg> + Send>>);

impl Subscription {
    /// Hears what is published there from now on.
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

    /// The next message; none when the connection is lost.
    pub async fn next(&mut self) -> Option<String> {
        let message = self.0.next().await?;
        Some(String::from_utf8_lossy(message.get_payload_bytes()).into_owned())
    }
}
