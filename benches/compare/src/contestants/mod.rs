//! The caches that are compared, each behind the same few methods.

mod by_hand;
mod cached;
mod hitbox;
mod hitrate;
mod multi_tier;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{Result, origin::Origin};

/// A cache, as one process holds it. Two instances share nothing but Redis.
pub trait Instance: Send + Sync {
    /// Returns the revision of the row that is served, which is loaded from the origin
    /// if it is not cached.
    fn get(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<u64>>;

    /// Drops the copy of a row that has changed at the origin.
    fn invalidate(&self, id: u64) -> BoxFuture<'static, Result<()>>;

    /// Changes a row at the origin and tells the cache, as the documentation of the
    /// cache recommends.
    fn write(&self, id: u64, origin: &Arc<Origin>) -> BoxFuture<'static, Result<()>> {
        origin.write();
        self.invalidate(id)
    }
}

/// Settings that every contestant gets, as far as it has such a setting.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub ttl: Duration,
    /// How long after its TTL a copy may be served if the origin fails.
    pub grace: Duration,
}

type Connect = fn(String, Settings) -> BoxFuture<'static, Result<Arc<dyn Instance>>>;

/// Whether instances keep copies in the memory of their process.
#[derive(Clone, Copy)]
pub enum Memory {
    Never,
    /// Only when connected by this function.
    Optional(Connect),
    Always,
}

/// A cache, and how to connect an instance of it to a Redis.
pub struct Contestant {
    pub name: &'static str,
    /// Its packages, whose versions the table shows.
    pub packages: &'static [&'static str],
    /// Settings that differ from its defaults.
    pub settings: &'static str,
    /// The package of `minimal/` that uses it.
    pub minimal: &'static str,
    pub memory: Memory,
    pub connect: Connect,
}

/// All contestants, in the order of the columns.
pub const ALL: [&Contestant; 5] = [
    &hitrate::HITRATE,
    &hitbox::HITBOX,
    &cached::CACHED,
    &multi_tier::MULTI_TIER,
    &by_hand::BY_HAND,
];

/// The contestant of this name.
pub fn named(name: &str) -> Option<&'static Contestant> {
    ALL.into_iter().find(|contestant| contestant.name == name)
}
