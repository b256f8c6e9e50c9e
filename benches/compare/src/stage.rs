//! The stage of a trial: a contestant, a fresh Redis, and calls with a deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::test_util::TestRedis;
use tokio::time::timeout;

use crate::{
    Result,
    contestants::{Contestant, Instance, Memory, Settings},
    fact::{Fact, format_time},
    origin::Origin,
    pace::Pace,
};

/// TTL, unless a trial measures hits: short, as a trial waits for its end.
const TTL: Duration = Duration::from_secs(2);
/// TTL of the trials that measure hits, longer than any of them.
const LONG_TTL: Duration = Duration::from_secs(600);
const GRACE: Duration = Duration::from_secs(60);

pub const SETTINGS: Settings = Settings { ttl: TTL, grace: GRACE };

/// The environment of a trial.
pub struct Stage {
    pub contestant: &'static Contestant,
    pub redis: TestRedis,
    pub pace: Pace,
}

impl Stage {
    /// Connects an instance with the contestant's usual memory.
    pub async fn connect(&self) -> Result<Arc<dyn Instance>> {
        (self.contestant.connect)(self.redis.url(), SETTINGS).await
    }

    /// Connects an instance that keeps copies in memory, if the contestant can.
    pub async fn connect_with_memory(&self) -> Result<Arc<dyn Instance>> {
        match self.contestant.memory {
            Memory::Optional(connect) => connect(self.redis.url(), SETTINGS).await,
            Memory::Never | Memory::Always => self.connect().await,
        }
    }

    /// Connects an instance that answers hits from this place, and whose copies outlive
    /// the trial. `None` if the contestant has no such instance.
    pub async fn connect_for_hits(&self, place: Place) -> Result<Option<Arc<dyn Instance>>> {
        let connect = match (place, self.contestant.memory) {
            (Place::Redis, Memory::Always) | (Place::Memory, Memory::Never) => return Ok(None),
            (Place::Memory, Memory::Optional(connect)) => connect,
            _ => self.contestant.connect,
        };
        let settings = Settings { ttl: LONG_TTL, ..SETTINGS };
        connect(self.redis.url(), settings).await.map(Some)
    }
}

/// Where a hit is answered from.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Redis,
    Memory,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// The row of this revision.
    Row(u64),
    Error,
    /// None before the deadline.
    Cut,
}

/// A finished call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub answer: Answer,
    pub time: Duration,
}

impl Call {
    pub fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Row(_))
    }

    /// The call in words, such as "first error after 502 ms".
    pub fn fact(&self, name: &str) -> Fact {
        match self.answer {
            Answer::Row(_) => Fact::time(&format!("{name}{{}}"), self.time),
            Answer::Error => Fact::time(&format!("{name}error after {{}}"), self.time),
            Answer::Cut => Fact::time(&format!("{name}no answer in {{}}"), self.time),
        }
    }
}

/// Calls `get`, for at most `limit`.
pub async fn call(
    instance: &Arc<dyn Instance>,
    id: u64,
    origin: &Arc<Origin>,
    limit: Duration,
) -> Call {
    let start = Instant::now();
    let answer = match timeout(limit, instance.get(id, origin)).await {
        Ok(Ok(revision)) => Answer::Row(revision),
        Ok(Err(_)) => Answer::Error,
        Err(_) => return Call { answer: Answer::Cut, time: limit },
    };
    Call { answer, time: start.elapsed() }
}

/// Calls `get` once per id, all at the same time, each in its own task.
pub async fn crowd(
    instance: &Arc<dyn Instance>,
    ids: impl IntoIterator<Item = u64>,
    origin: &Arc<Origin>,
    limit: Duration,
) -> Result<Crowd> {
    let start = Instant::now();
    let spawn = |id| {
        let (instance, origin) = (Arc::clone(instance), Arc::clone(origin));
        tokio::spawn(async move { call(&instance, id, &origin, limit).await })
    };
    let tasks: Vec<_> = ids.into_iter().map(spawn).collect();
    let mut calls = Vec::with_capacity(tasks.len());
    for task in tasks {
        calls.push(task.await?);
    }
    Ok(Crowd { calls, time: start.elapsed(), limit })
}

/// The calls of a crowd.
pub struct Crowd {
    pub calls: Vec<Call>,
    /// Until the last call had ended.
    pub time: Duration,
    limit: Duration,
}

impl Crowd {
    pub fn answered(&self) -> usize {
        self.calls.iter().filter(|call| call.is_answered()).count()
    }

    /// When the last call ended, or how many were cut off.
    pub fn end(&self) -> Fact {
        let cut = self.calls.iter().filter(|call| call.answer == Answer::Cut).count();
        match cut {
            0 => Fact::time("{}", self.time),
            _ => Fact::count(&format!("{{}} not done in {}", format_time(self.limit)), cut),
        }
    }
}
