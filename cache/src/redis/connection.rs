//! A connection to Redis: redis-rs's multiplexed connection, over TCP, TLS or a
//! unix socket, with a deadline for each round trip.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisError as DriverError, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout_at,
};

use crate::redis::{address::Address, error::RedisError};

/// Commands queued for the driver; beyond that, senders wait.
const PIPELINE_BUFFER: usize = 1_024;

/// A multiplexed connection: many commands are in flight at once. Clones share the
/// connection, which closes with the last of them.
#[derive(Clone)]
pub struct Connection(MultiplexedConnection);

/// The result of one round trip.
pub struct Reply {
    /// The reply; an error reply is a value like any other.
    pub value: Result<Value, RedisError>,
    pub sent: Instant,
    pub took: Duration,
}

impl Reply {
    /// The reply of this process.
    pub fn here(reply: impl FnOnce() -> Value) -> Self {
        let sent = Instant::now();
        Self { value: Ok(reply()), sent, took: sent.elapsed() }
    }
}

impl Connection {
    /// Connects and authenticates within `timeout`. The calling runtime drives the
    /// connection.
    pub async fn open(address: &Address, timeout: Duration) -> Result<Self, RedisError> {
        let (due, client, config) = (Instant::now() + timeout, address.client(), config());
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let opened = with_deadline(due, connecting).await.map_err(RedisError::before_send);
        let connection = Self(opened.inspect_err(|error| log::debug!("connect: {error}"))?);
        connection.set_name(address.client_name(), due).await;
        Ok(connection)
    }

    /// Authenticates over a stream that is open already. Sets no name.
    pub async fn over<S>(
        stream: S,
        address: &Address,
        timeout: Duration,
    ) -> Result<Self, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (due, settings) = (Instant::now() + timeout, address.info().redis_settings());
        let greeting = MultiplexedConnection::new_with_config(settings, stream, config());
        let (connection, driver) =
            with_deadline(due, greeting).await.map_err(RedisError::before_send)?;
        tokio::spawn(driver);
        Ok(Self(connection))
    }

    /// Names the connection for CLIENT LIST. Without the permission it stays
    /// unnamed.
    async fn set_name(&self, name: &str, due: Instant) {
        let mut set = redis::cmd("CLIENT");
        set.arg("SETNAME").arg(name);
        let _ = self
            .send_until(due, async |connection| connection.send_packed_command(&set).await)
            .await;
    }

    /// Sends one command, and waits at most `deadline` for its reply.
    pub async fn send(&self, command: &Cmd, deadline: Duration) -> Reply {
        let sent = Instant::now();
        let send = async |connection: &mut MultiplexedConnection| {
            connection.send_packed_command(command).await
        };
        let value = self.send_until(sent + deadline, send).await;
        Reply { value, sent, took: sent.elapsed() }
    }

    /// Sends a pipeline, and waits at most `deadline` for its replies. The value is
    /// an array of all of them.
    pub async fn send_all(&self, pipeline: &Pipeline, deadline: Duration) -> Reply {
        let sent = Instant::now();
        if pipeline.is_empty() {
            return Reply { value: Ok(Value::Array(Vec::new())), sent, took: Duration::ZERO };
        }
        let send = async |connection: &mut MultiplexedConnection| {
            connection.req_packed_commands(pipeline, 0, pipeline.len()).await
        };
        let value = self.send_until(sent + deadline, send).await.map(Value::Array);
        Reply { value, sent, took: sent.elapsed() }
    }

    async fn send_until<T>(
        &self,
        due: Instant,
        send: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, DriverError>,
    ) -> Result<T, RedisError> {
        let mut connection = self.0.clone();
        let mut sending = pin!(send(&mut connection));
        // An error at the first poll means that the driver has ended, so the
        // command was not sent. A later error leaves that open.
        match poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await {
            Poll::Ready(reply) => reply.map_err(|error| RedisError::from(&error).before_send()),
            Poll::Pending => with_deadline(due, sending).await,
        }
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE_BUFFER)
}

/// Maps an error reply to a [`RedisError`].
pub fn check_error(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(RedisError::from_code(Some(error.code()))),
        value => Ok(value),
    }
}

/// Unwraps the replies of a pipeline.
pub fn into_array(value: Value) -> Result<Vec<Value>, RedisError> {
    match value {
        Value::Array(replies) => Ok(replies),
        _ => Err(RedisError::Other("not an array".to_owned())),
    }
}

/// Awaits the driver's reply until `due`.
pub async fn with_deadline<T>(
    due: Instant,
    reply: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, RedisError> {
    match timeout_at(due.into(), reply).await {
        Ok(reply) => reply.map_err(|error| RedisError::from(&error)),
        Err(_) => Err(RedisError::TimedOut),
    }
}
