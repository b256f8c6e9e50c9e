//! A call: a connection that is opened for one purpose and closed after it.
//! What is done to it ends with it, and nobody waits behind it.

use std::{
    io,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Pipeline, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};
use tokio::net::UnixStream;

use super::{Address, Command, Refusal, Trouble, answered, link, relay, shown, told, trip};
use crate::wire::Wire;

/// An open connection. Clones share it, and it closes with the last of them.
#[derive(Clone)]
pub struct Call {
    connection: MultiplexedConnection,
    deadline: Duration,
}

/// What came back, and how long that took.
pub struct Answers {
    /// One for each command, in order.
    pub replies: Vec<Result<Value, Refusal>>,
    /// From the sending of the first to the last reply.
    pub took: Duration,
}

/// A blocking connection, for comparison: it keeps its thread until the reply is there.
pub struct BlockingCall(redis::Connection);

impl Call {
    /// Connects, within the deadline.
    pub async fn open(address: &Address) -> Result<Self, Trouble> {
        let (client, config) = (address.client(), config());
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connection = link::in_time(link::CONNECT, connecting).await?;
        Ok(Self { connection, deadline: link::DEADLINE })
    }

    /// Connects through a simulated network with this round trip. `Unsupported`
    /// where the connection is secured by TLS.
    pub async fn open_through(address: &Address, round_trip: Duration) -> io::Result<Self> {
        let stream = UnixStream::from_std(relay::through(address, round_trip / 2)?)?;
        let settings = address.redis_settings();
        let connecting = MultiplexedConnection::new_with_config(settings, stream, config());
        let connected = link::in_time(link::CONNECT, connecting).await;
        let (connection, driver) = connected.map_err(io::Error::other)?;
        tokio::spawn(driver);
        Ok(Self { connection, deadline: link::DEADLINE })
    }

    /// The same, for bulk work with no visitor waiting.
    pub fn patient(self) -> Self {
        Self { deadline: link::BULK_DEADLINE, ..self }
    }

    /// Sends commands in one round trip. Each has a reply of its own; the outer
    /// error means that none came in time.
    pub async fn ask(&mut self, commands: Vec<Command>, wire: &Wire) -> Result<Answers, Trouble> {
        let (told, count) = (told(&commands, wire), commands.len());
        let mut pipeline = Pipeline::with_capacity(count);
        for command in commands {
            pipeline.add_command(command.cmd);
        }
        let sent = Instant::now();
        let asked = self.connection.req_packed_commands(&pipeline, 0, count);
        let replies = link::in_time(self.deadline, asked).await;
        let (took, trip) = (sent.elapsed(), trip(sent));
        let replies = replies.map(|it| it.into_iter().map(answered).collect::<Vec<_>>());
        wire.record(trip, || {
            let told = told.into_iter().enumerate();
            told.map(|(n, command)| (command, shown(&replies, n)))
        });
        replies.map(|replies| Answers { replies, took })
    }

    /// Sends one command.
    pub async fn run(&mut self, command: &Command) -> Result<Value, Trouble> {
        let asked = self.connection.req_packed_command(&command.cmd);
        link::unwrapped(link::in_time(self.deadline, asked).await?)
    }
}

impl BlockingCall {
    /// Connects, within the deadline.
    pub fn open(address: &Address) -> Result<Self, Trouble> {
        let client = address.client();
        let connected = client.get_connection_with_timeout(link::CONNECT);
        let connection = connected.map_err(|error| Trouble::from(&error))?;
        let limit = Some(link::CONNECT);
        let limited = connection.set_read_timeout(limit);
        limited.and(connection.set_write_timeout(limit)).map_err(|error| Trouble::from(&error))?;
        Ok(Self(connection))
    }

    /// Sends one command, and waits.
    pub fn run(&mut self, command: &Command) -> Result<Value, Trouble> {
        let reply = command.cmd.query(&mut self.0);
        reply.map_err(|error| Trouble::from(&error))
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(link::CONNECT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(1_024)
}
