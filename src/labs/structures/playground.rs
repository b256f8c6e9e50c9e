//! The playground: one visitor's keys of one structure, and how commands on them are
//! sent.

use std::time::{Duration, Instant};

use hitrate_cache::{
    redis::{Client, Command, Notation, RedisError, Value},
    trace::{RoundTrip, Target, Trace},
};

use super::{Structure, command_template::CommandTemplate, reply::CommandReply};
use crate::{
    input::FieldError,
    labs::support::visitor_keys::{VisitorId, VisitorKeys},
};

/// One visitor's keys of one structure.
#[derive(Clone)]
pub struct Playground {
    pub(super) store: Client,
    pub(super) demo: VisitorKeys,
    pub(super) structure: &'static Structure,
}

/// The error of an action.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlaygroundError {
    /// A field has an invalid value.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// The value has reached its size limit.
    #[error("{0}")]
    Full(String),
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// The commands of an action, their replies, and the replies of the reads that follow.
pub(super) struct CommandOutcome {
    pub lines: Vec<CommandTemplate>,
    pub replies: Vec<CommandReply>,
    pub read_replies: Vec<CommandReply>,
}

impl Playground {
    /// The playground of this visitor.
    pub fn of(store: Client, visitor: &VisitorId, structure: &'static Structure) -> Self {
        Self { store, demo: visitor.keys(structure.slug), structure }
    }

    /// The visitor's keys.
    pub fn demo(&self) -> &VisitorKeys {
        &self.demo
    }

    /// Sends commands in one round trip.
    pub(super) async fn pipeline(
        &self,
        lines: Vec<CommandTemplate>,
        trace: &Trace,
    ) -> Result<Vec<CommandReply>, RedisError> {
        self.store.pipeline_raw(self.commands(&lines), trace).await
    }

    /// Sends commands in one round trip, each of which may be denied.
    pub(super) async fn pipeline_each(
        &self,
        lines: &[CommandTemplate],
        trace: &Trace,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let sent = Instant::now();
        let replies = self.store.try_each(self.commands(lines)).await?;
        trace.record(trip(sent), || {
            let reply = |reply: &Result<Value, RedisError>| match reply {
                Ok(value) => Notation::PAGE.value(value).replace('\n', " "),
                Err(error) => format!("(error) {error}"),
            };
            lines
                .iter()
                .zip(&replies)
                .map(|(line, it)| (line.shown(), reply(it)))
                .collect::<Vec<_>>()
        });
        Ok(replies)
    }

    /// Sends these commands, the TTL renewals, and all reads in one round trip.
    pub(super) async fn run(
        &self,
        lines: Vec<CommandTemplate>,
        renewals: Vec<Command>,
        trace: &Trace,
    ) -> Result<CommandOutcome, RedisError> {
        let reads = self.read_commands();
        let mut commands = self.commands(&lines);
        commands.extend(renewals);
        commands.extend(self.commands(&reads));
        let mut replies = self.store.pipeline_raw(commands, trace).await?;
        let read_replies = replies.split_off(replies.len() - reads.len());
        replies.truncate(lines.len());
        Ok(CommandOutcome { lines, replies, read_replies })
    }

    pub(super) fn commands(&self, lines: &[CommandTemplate]) -> Vec<Command> {
        lines.iter().map(|line| line.command(&self.store, &self.demo)).collect()
    }

    /// Commands that renew the TTL of the keys, except those whose TTL is part of the
    /// demo.
    pub(super) fn renewals(&self) -> Vec<Command> {
        let renewed = self.structure.keys.iter().filter(|key| !key.has_own_ttl);
        self.demo.renewals(&self.store, renewed.map(|key| key.name))
    }
}

/// A round trip that has just ended.
pub(super) fn trip(sent: Instant) -> RoundTrip {
    RoundTrip { target: Target::Redis, sent, took: sent.elapsed(), simulated: Duration::ZERO }
}
