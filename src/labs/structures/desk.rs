//! The desk: one visitor at one structure, and how its commands are sent.

use std::time::{Duration, Instant};

use hitrate_cache::{
    redis::{Command, RedisError, Store, Value},
    trace::{RoundTrip, Target, Trace},
};

use super::{
    Structure,
    line::Line,
    reply::{self, Reply},
};
use crate::labs::support::{
    fields::Wrong,
    visitor_keys::{Demo, Visitor},
};

/// One visitor at one structure.
#[derive(Clone)]
pub struct Desk {
    pub(super) store: Store,
    pub(super) demo: Demo,
    pub(super) structure: &'static Structure,
}

/// Why nothing was played.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// What was sent is out of bounds.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// There is no room for more.
    #[error("{0}")]
    NoRoom(String),
    /// Redis said nothing.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Commands an act is about, and what was answered.
pub(super) struct Played {
    pub lines: Vec<Line>,
    pub replies: Vec<Reply>,
    pub look: Vec<Reply>,
}

impl Desk {
    /// This visitor's.
    pub fn of(store: Store, visitor: &Visitor, structure: &'static Structure) -> Self {
        Self { store, demo: visitor.demo(structure.slug), structure }
    }

    /// The demo whose keys are played with.
    pub fn demo(&self) -> &Demo {
        &self.demo
    }

    /// What Redis answers to these, in one round trip.
    pub(super) async fn ask(
        &self,
        lines: Vec<Line>,
        trace: &Trace,
    ) -> Result<Vec<Reply>, RedisError> {
        self.store.ask(self.commands(&lines), trace).await
    }

    /// Commands of which none need be allowed, in one round trip.
    pub(super) async fn try_all(
        &self,
        lines: &[Line],
        trace: &Trace,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let sent = Instant::now();
        let replies = self.store.try_each(self.commands(lines)).await?;
        trace.record(trip(sent), || {
            let reply = |reply: &Result<Value, RedisError>| match reply {
                Ok(value) => reply::printed(value).replace('\n', " "),
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
        lines: Vec<Line>,
        renewals: Vec<Command>,
        trace: &Trace,
    ) -> Result<Played, RedisError> {
        let looks = self.looks();
        let mut commands = self.commands(&lines);
        commands.extend(renewals);
        commands.extend(self.commands(&looks));
        let mut replies = self.store.ask(commands, trace).await?;
        let look = replies.split_off(replies.len() - looks.len());
        replies.truncate(lines.len());
        Ok(Played { lines, replies, look })
    }

    pub(super) fn commands(&self, lines: &[Line]) -> Vec<Command> {
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
