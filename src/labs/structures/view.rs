//! The view of a playground: everything that is read from the visitor's keys.

use hitrate_cache::{redis::RedisError, trace::Trace};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    command_template::CommandTemplate,
    picture::Picture,
    playground::{Playground, PlaygroundError},
    reply::{self, CommandReply},
    results::{CompletedAction, PlaygroundResult},
};

/// The current state of a playground.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaygroundView {
    /// The value, as a picture.
    pub picture: Picture,
    /// Its keys.
    pub keys: Vec<KeyFacts>,
}

/// The result of an action, and the view after it.
pub(super) type Performed = Result<(PlaygroundResult, PlaygroundView), PlaygroundError>;

/// A key of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyFacts {
    /// Its name in the tutorial.
    pub key: &'static str,
    /// Its full name in Redis.
    pub name: String,
    /// Memory in bytes, by MEMORY USAGE; null if the key does not exist.
    pub memory_bytes: Option<u64>,
    /// Encoding, by OBJECT ENCODING; null if the key does not exist.
    pub encoding: Option<String>,
    /// TTL in seconds; null if the key does not exist or does not expire.
    pub ttl_s: Option<u64>,
}

/// The input of a picture.
pub struct Readings<'a> {
    /// The replies to the reads, in the order of the commands.
    pub replies: &'a [CommandReply],
    /// The keys.
    pub keys: &'a [KeyFacts],
    /// The last action.
    pub last_action: Option<&'a CompletedAction>,
}

impl Readings<'_> {
    /// Memory of a key in bytes; 0 if it does not exist.
    pub fn bytes(&self, key: &str) -> u64 {
        let facts = self.keys.iter().find(|facts| facts.key == key);
        facts.and_then(|facts| facts.memory_bytes).unwrap_or_default()
    }
}

impl Playground {
    /// Reads everything without changing or renewing anything.
    pub async fn view(
        &self,
        last_action: Option<&CompletedAction>,
        trace: &Trace,
    ) -> Result<PlaygroundView, RedisError> {
        let replies = self.pipeline(self.read_commands(), trace).await?;
        Ok(self.view_of(&replies, last_action))
    }

    /// All reads: for the picture, then for each key.
    pub(super) fn read_commands(&self) -> Vec<CommandTemplate> {
        let reads = self.structure.reads.iter().map(|form| CommandTemplate::plain(form));
        let facts = self.structure.keys.iter().flat_map(|key| {
            ["MEMORY USAGE", "OBJECT ENCODING", "TTL"]
                .map(|verb| CommandTemplate::plain(&format!("{verb} @{}", key.name)))
        });
        reads.chain(facts).collect()
    }

    pub(super) fn view_of(
        &self,
        replies: &[CommandReply],
        last_action: Option<&CompletedAction>,
    ) -> PlaygroundView {
        let (reads, facts) = replies.split_at(self.structure.reads.len());
        let keys = self.structure.keys.iter().zip(facts.chunks(3));
        let keys: Vec<_> = keys.map(|(key, facts)| self.facts(key.name, facts)).collect();
        let picture = (self.structure.draw)(&Readings { replies: reads, keys: &keys, last_action });
        PlaygroundView { picture, keys }
    }

    fn facts(&self, key: &'static str, replies: &[CommandReply]) -> KeyFacts {
        let known = |reply: &CommandReply| Some(reply::count(reply)).filter(|count| *count > 0);
        KeyFacts {
            key,
            name: self.store.full_key(&self.demo.key(key)),
            memory_bytes: known(&replies[0]),
            encoding: replies[1].as_ref().ok().and_then(reply::text),
            ttl_s: known(&replies[2]),
        }
    }
}
