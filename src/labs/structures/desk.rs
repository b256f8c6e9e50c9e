//! The desk: one visitor at one structure, and how its commands are sent.

use std::time::{Duration, Instant};

use hitrate_cache::{
    redis::{Command, Notation, RedisError, Store, Value},
    trace::{RoundTrip, Target, Trace},
};

use super::{Structure, line::CommandTemplate, reply::Reply};
use crate::{
    input::FieldError,
    labs::support::visitor_keys::{VisitorId, VisitorKeys},
};

/// One visitor at one structure.
#[derive(Clone)]
pub struct Playground {
    pub(super) store: Store,
    pub(super) demo: VisitorKeys,
    pub(super) structure: &'static Structure,
}

/// Why nothing was played.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlaygroundError {
    /// What was sent is out of bounds.
    #[error(transparent)]
    Wrong(#[from] FieldError),
    /// There is no room for more.
    #[error("{0}")]
    Full(String),
    /// Redis said nothing.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Commands an act is about, and what was answered.
pub(super) struct CommandOutcome {
    pub lines: Vec<CommandTemplate>,
    pub replies: Vec<Reply>,
    pub look: Vec<Reply>,
}

impl Playground {
    /// This visitor's.
    pub fn of(store: Store, visitor: &VisitorId, structure: &'static Structure) -> Self {
        Self { store, demo: visitor.keys(structure.slug), structure }
    }

    /// The demo whose keys are played with.
    pub fn demo(&self) -> &VisitorKeys {
        &self.demo
    }

    /// What Redis answers to these, in one round trip.
    pub(super) async fn ask(
        &self,
        lines: Vec<CommandTemplate>,
        trace: &Trace,
    ) -> Result<Vec<Reply>, RedisError> {
        self.store.pipeline_raw(self.commands(&lines), trace).await
    }

    /// Commands of which none need be allowed, in one round trip.
    pub(super) async fn try_all(
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

    /// These commands, what renews the keys, and everything that is read: one round trip.
    pub(super) async fn run(
        &self,
        lines: Vec<CommandTemplate>,
        renewals: Vec<Command>,
        trace: &Trace,
    ) -> Result<CommandOutcome, RedisError> {
        let looks = self.looks();
        let mut commands = self.commands(&lines);
        commands.extend(renewals);
        commands.extend(self.commands(&looks));
        let mut replies = self.store.pipeline_raw(commands, trace).await?;
        let look = replies.split_off(replies.len() - looks.len());
        replies.truncate(lines.len());
        Ok(CommandOutcome { lines, replies, look })
    }

    pub(super) fn commands(&self, lines: &[CommandTemplate]) -> Vec<Command> {
        lines.iter().map(|line| line.command(&self.store, &self.demo)).collect()
    }

    /// What gives the keys another day, but those whose TTL is part of the demo.
    pub(super) fn renewals(&self) -> Vec<Command> {
        let kept = self.structure.keys.iter().filter(|key| !key.has_own_ttl);
        self.demo.keep(&self.store, kept.map(|key| key.name))
    }
}

/// A round trip that has just ended.
pub(super) fn trip(sent: Instant) -> RoundTrip {
    RoundTrip { target: Target::Redis, sent, took: sent.elapsed(), simulated: Duration::ZERO }
}
