//! The caching policies that pages, commands and settings name.

use std::{str::FromStr, time::Duration};

use hitrate_cache::{CachePolicy, OnWrite, Protection, Refresh};

use crate::demo::strategy::Strategy;

/// A caching policy with a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The name in URLs and settings.
    pub name: &'static str,
    /// A one-line description for pages.
    pub about: &'static str,
    /// How reads and writes use cache and database.
    pub strategy: Strategy,
    /// The options of the cache.
    pub cache: CachePolicy,
}

/// The tutorial's TTL; pages replace it with their setting.
const TTL: Duration = Duration::from_secs(300);
/// The tutorial's TTLs stay recognizable: a copy lives 291 to 300 s.
const JITTER: f64 = 0.03;
/// Limits staleness if an invalidation push is lost.
const NEAR_TTL: Duration = Duration::from_secs(30);
/// The last share of the TTL, in which refresh-ahead reloads a value that is read.
const AHEAD: f64 = 0.2;

/// Every protection that needs no memory in this process.
const PROTECTED: CachePolicy = CachePolicy::ttl(TTL).jitter(JITTER);

/// Versions and the deadline only: the base for showing one protection at a time.
const UNPROTECTED: CachePolicy = CachePolicy::ttl(TTL)
    .jitter(0.0)
    .grace(Duration::ZERO)
    .soft_timeout(None)
    .lease(None)
    .refresh(Refresh::Off)
    .without(Protection::SingleFlight);

/// As [`UNPROTECTED`], with single-flight.
const SINGLE_FLIGHT: CachePolicy = CachePolicy::ttl(TTL)
    .jitter(0.0)
    .grace(Duration::ZERO)
    .soft_timeout(None)
    .lease(None)
    .refresh(Refresh::Off);

/// The name of a policy is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unknown policy. Valid policies: {}.", Policy::names())]
pub struct UnknownPolicy;

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::named(name).ok_or(UnknownPolicy)
    }
}

impl Policy {
    /// The presets for lookups, in the order in which pages offer them.
    pub const ALL: [Self; 8] = [
        Self {
            name: "none",
            about: "no cache: every lookup queries the database",
            strategy: Strategy::None,
            cache: UNPROTECTED.bypass(),
        },
        Self {
            name: "cache-aside",
            about: "the tutorial's cache-aside, without any protection",
            strategy: Strategy::CacheAside,
            cache: UNPROTECTED.without(Protection::Versions),
        },
        Self::DEFAULT,
        Self {
            name: "near-cache",
            about: "read-through, plus a cache in this process",
            cache: PROTECTED.near(NEAR_TTL),
            ..Self::DEFAULT
        },
        Self {
            name: "write-through",
            about: "an edit updates the database, then the cache",
            strategy: Strategy::WriteThrough,
            cache: PROTECTED.on_write(OnWrite::Store),
        },
        Self {
            name: "write-around",
            about: "an edit updates the database and drops the copy; the next lookup loads it",
            strategy: Strategy::WriteAround,
            cache: PROTECTED.on_write(OnWrite::Drop),
        },
        Self {
            name: "write-behind",
            about: "an edit is acknowledged once Redis has queued it; the database is updated later",
            strategy: Strategy::WriteBehind,
            cache: PROTECTED.on_write(OnWrite::Queue),
        },
        Self {
            name: "refresh-ahead",
            about: "a value read in the last fifth of its TTL is reloaded in the background",
            strategy: Strategy::RefreshAhead,
            cache: PROTECTED.refresh(Refresh::Ahead(AHEAD)),
        },
    ];

    /// One protection at a time, for `/stampede`.
    pub const ISOLATED: [Self; 4] = [
        Self {
            name: "single-flight",
            about: "concurrent misses in a process share one load",
            strategy: Strategy::ReadThrough,
            cache: SINGLE_FLIGHT,
        },
        Self {
            name: "lease",
            about: "one process at a time loads a key: it holds a lease in Redis",
            strategy: Strategy::ReadThrough,
            cache: UNPROTECTED.lease(PROTECTED.lease),
        },
        Self {
            name: "early-refresh",
            about: "a value is reloaded in the background shortly before its TTL expires",
            strategy: Strategy::ReadThrough,
            cache: SINGLE_FLIGHT.refresh(PROTECTED.refresh),
        },
        Self {
            name: "stale-while-revalidate",
            about: "a stale value is served while it is reloaded",
            strategy: Strategy::ReadThrough,
            cache: SINGLE_FLIGHT.grace(PROTECTED.grace).soft_timeout(PROTECTED.soft_timeout),
        },
    ];

    /// The default: read-through with every protection, without a near cache.
    pub const DEFAULT: Self = Self {
        name: "read-through",
        about: "read-through with every protection",
        strategy: Strategy::ReadThrough,
        cache: PROTECTED,
    };

    /// The preset of this name, if it is one of [`Self::ALL`].
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name == name)
    }

    /// The names of [`Self::ALL`], separated by commas.
    pub fn names() -> String {
        Self::ALL.map(|policy| policy.name).join(", ")
    }

    /// Sets the TTL.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { cache: self.cache.with_ttl(ttl), ..self }
    }

    /// Extends the hard timeout by the known (simulated) delay of the database.
    pub fn with_origin_delay(self, delay: Duration) -> Self {
        let hard_timeout = self.cache.hard_timeout + delay;
        Self { cache: self.cache.hard_timeout(hard_timeout), ..self }
    }

    /// Bypasses the cache: it is neither read nor filled.
    pub fn bypassing(self) -> Self {
        Self { strategy: Strategy::None, cache: self.cache.bypass(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_found_by_its_name_and_no_name_is_used_twice() {
        let all: Vec<_> = Policy::ALL.into_iter().chain(Policy::ISOLATED).collect();
        for policy in &all {
            assert_eq!(all.iter().filter(|it| it.name == policy.name).count(), 1);
        }
        assert_eq!(Policy::named("read-through"), Some(Policy::DEFAULT));
        assert_eq!(Policy::named("Default"), None);
    }
}
