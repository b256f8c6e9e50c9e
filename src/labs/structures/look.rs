//! Looking: everything that is read of a visitor's copy, and what it says.

use hitrate_cache::{redis::RedisError, trace::Trace};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    desk::Playground,
    line::CommandTemplate,
    outcome::Done,
    picture::Picture,
    reply::{self, Reply},
};

/// What there is to see.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaygroundView {
    /// The value.
    pub picture: Picture,
    /// Its keys.
    pub keys: Vec<KeyFacts>,
}

/// A key of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyFacts {
    /// What the documents call it.
    pub key: &'static str,
    /// What it is called in Redis.
    pub name: String,
    /// Bytes that it takes, by MEMORY USAGE; null if it is not there.
    pub memory_bytes: Option<u64>,
    /// How Redis keeps it, by OBJECT ENCODING; null if it is not there.
    pub encoding: Option<String>,
    /// Seconds until it ends; null if it is not there, or never does.
    pub ttl_s: Option<u64>,
}

/// What a picture is made of.
pub struct Readings<'a> {
    /// What Redis answered to what is read, in the order of the commands.
    pub replies: &'a [Reply],
    /// The keys.
    pub keys: &'a [KeyFacts],
    /// The last act.
    pub done: Option<&'a Done>,
}

impl Readings<'_> {
    /// Bytes that a key takes; 0 if it is not there.
    pub fn bytes(&self, key: &str) -> u64 {
        let facts = self.keys.iter().find(|facts| facts.key == key);
        facts.and_then(|facts| facts.memory_bytes).unwrap_or_default()
    }
}

impl Playground {
    /// Reads everything, and changes nothing.
    pub async fn look(
        &self,
        done: Option<&Done>,
        trace: &Trace,
    ) -> Result<PlaygroundView, RedisError> {
        let replies = self.ask(self.looks(), trace).await?;
        Ok(self.seen(&replies, done))
    }

    /// Everything that is read: for the picture, then of each key.
    pub(super) fn looks(&self) -> Vec<CommandTemplate> {
        let reads = self.structure.reads.iter().map(|form| CommandTemplate::plain(form));
        let facts = self.structure.keys.iter().flat_map(|key| {
            ["MEMORY USAGE", "OBJECT ENCODING", "TTL"]
                .map(|verb| CommandTemplate::plain(&format!("{verb} @{}", key.name)))
        });
        reads.chain(facts).collect()
    }

    pub(super) fn seen(&self, replies: &[Reply], done: Option<&Done>) -> PlaygroundView {
        let (reads, facts) = replies.split_at(self.structure.reads.len());
        let keys = self.structure.keys.iter().zip(facts.chunks(3));
        let keys: Vec<_> = keys.map(|(key, facts)| self.facts(key.name, facts)).collect();
        let picture = (self.structure.draw)(&Readings { replies: reads, keys: &keys, done });
        PlaygroundView { picture, keys }
    }

    fn facts(&self, key: &'static str, replies: &[Reply]) -> KeyFacts {
        let known = |reply: &Reply| Some(reply::count(reply)).filter(|count| *count > 0);
        KeyFacts {
            key,
            name: self.store.full_key(&self.demo.key(key)),
            memory_bytes: known(&replies[0]),
            encoding: replies[1].as_ref().ok().and_then(reply::text),
            ttl_s: known(&replies[2]),
        }
    }
}
