//! Dedicated connections: opened for one purpose and closed after it. Their state
//! ends with them, and no one waits behind them.

use std::{io, time::Duration};

use redis::Value;
use tokio::net::UnixStream;

use crate::{
    redis::{
        Address, Command, RedisError, Refusal,
        batch::Batch,
        connection::{Connection, Reply, check_error, into_array},
        delay_proxy, reply, supervisor,
    },
    trace::{RoundTrip, Trace},
};

/// A connection for one purpose. Clones share it, and it closes with the last of
/// them.
#[derive(Clone)]
pub struct DedicatedConnection {
    connection: Connection,
    deadline: Duration,
}

/// The replies of a pipeline, and how long they took.
pub struct PipelineReplies {
    /// One for each command, in order.
    pub replies: Vec<Result<Value, Refusal>>,
    /// Time from sending the first command to the last reply.
    pub took: Duration,
}

/// A blocking connection, for comparison: it occupies its thread until the reply
/// arrives.
pub struct BlockingConnection(redis::Connection);

impl DedicatedConnection {
    /// Connects, within the connect timeout.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if the server is unreachable or denies access.
    pub async fn open(address: &Address) -> Result<Self, RedisError> {
        let connection = Connection::open(address, supervisor::CONNECT_TIMEOUT).await?;
        Ok(Self { connection, deadline: supervisor::DEADLINE })
    }

    /// Connects through a simulated network with this round-trip time.
    ///
    /// # Errors
    /// Returns `Unsupported` for a TLS address, or the error of the connection.
    pub async fn open_through(address: &Address, round_trip: Duration) -> io::Result<Self> {
        let stream = UnixStream::from_std(delay_proxy::start(address, round_trip / 2)?)?;
        let connected = Connection::over(stream, address, supervisor::CONNECT_TIMEOUT).await;
        let connection = connected.map_err(io::Error::other)?;
        Ok(Self { connection, deadline: supervisor::DEADLINE })
    }

    /// Uses the deadline for bulk work, for which no visitor waits.
    pub fn with_bulk_deadline(self) -> Self {
        Self { deadline: supervisor::BULK_DEADLINE, ..self }
    }

    /// Sends commands in one round trip. Each has its own result.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if none of the replies arrived in time.
    pub async fn pipeline_raw(
        &mut self,
        commands: Vec<Command>,
        trace: &Trace,
    ) -> Result<PipelineReplies, RedisError> {
        let batch = Batch::of(commands, trace.is_enabled());
        let reply = self.connection.send_all(&batch.pipeline, self.deadline).await;
        let Reply { value, sent, took } = reply;
        let replies = match value.and_then(into_array) {
            Ok(replies) => Ok(self.eval_unknown(&batch, replies).await),
            Err(error) => Err(error),
        };
        trace.record(RoundTrip::to_redis(sent, took), || {
            let texts = batch.texts.into_iter().enumerate();
            texts.map(|(n, command)| (command, reply::text_at(&replies, n))).collect::<Vec<_>>()
        });
        replies.map(|replies| PipelineReplies { replies, took })
    }

    async fn eval_unknown(
        &self,
        batch: &Batch,
        replies: Vec<Value>,
    ) -> Vec<Result<Value, Refusal>> {
        let replies = match batch.retry(&replies) {
            None => replies.into_iter().map(Ok).collect(),
            Some(retry) => {
                let again = self.connection.send_all(&retry.pipeline, self.deadline).await;
                retry.merge(replies, again.value.and_then(into_array))
            }
        };
        replies.into_iter().map(reply::or_refusal).collect()
    }

    /// Sends one command.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if it times out or Redis replies with an error.
    pub async fn run(&mut self, command: &Command) -> Result<Value, RedisError> {
        check_error(self.connection.send(&command.cmd, self.deadline).await.value?)
    }
}

impl BlockingConnection {
    /// Connects, within the connect timeout.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if the server is unreachable or denies access.
    pub fn open(address: &Address) -> Result<Self, RedisError> {
        let client = address.client();
        let connected = client.get_connection_with_timeout(supervisor::CONNECT_TIMEOUT);
        let mut connection = connected.map_err(|error| RedisError::from(&error).before_send())?;
        let timeout = Some(supervisor::CONNECT_TIMEOUT);
        let timeouts_set = connection.set_read_timeout(timeout);
        timeouts_set
            .and(connection.set_write_timeout(timeout))
            .map_err(|error| RedisError::from(&error))?;
        // A user that may not name its connection may still use it.
        let name = address.client_name();
        let _ = redis::cmd("CLIENT").arg("SETNAME").arg(name).exec(&mut connection);
        Ok(Self(connection))
    }

    /// Sends one command, and blocks until the reply.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if it times out or Redis replies with an error.
    pub fn run(&mut self, command: &Command) -> Result<Value, RedisError> {
        let reply = command.cmd.query(&mut self.0);
        reply.map_err(|error| RedisError::from(&error))
    }
}
