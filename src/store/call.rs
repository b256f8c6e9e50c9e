//! A call: a connection that is opened for a few commands and closed after
//! them. What they do to a connection ends with it, and nobody waits behind them.

use std::time::{Duration, Instant};

use redis::{
    AsyncConnectionConfig, Pipeline, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};

use super::{Address, Command, Refusal, Trouble, answered, link, shown, told, trip};
use crate::wire::Wire;

/// An open connection of its own. It closes when dropped.
pub struct Call(MultiplexedConnection);

/// What came back, and how long that took.
pub struct Answers {
    /// One for each command, in order.
    pub replies: Vec<Result<Value, Refusal>>,
    /// From the sending of the first to the last reply.
    pub took: Duration,
}

impl Call {
    /// Connects, within the deadline.
    pub async fn open(address: &Address) -> Result<Self, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(link::CONNECT))
            .set_response_timeout(None);
        let client = address.client();
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self(link::in_time(link::CONNECT, connecting).await?))
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
        let asked = self.0.req_packed_commands(&pipeline, 0, count);
        let replies = link::in_time(link::DEADLINE, asked).await;
        let (took, trip) = (sent.elapsed(), trip(sent));
        let replies = replies.map(|it| it.into_iter().map(answered).collect::<Vec<_>>());
        wire.record(trip, || {
            let told = told.into_iter().enumerate();
            told.map(|(n, command)| (command, shown(&replies, n)))
        });
        replies.map(|replies| Answers { replies, took })
    }
}
