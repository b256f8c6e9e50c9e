//! Caching policies: a strategy, and the protections that go with it.

use std::{str::FromStr, time::Duration};

use crate::strategy::Strategy;

/// A caching policy. Plain data: take a preset by name and change its fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachePolicy {
    /// The name in URLs and settings.
    pub name: &'static str,
    /// A one-line description for pages.
    pub about: &'static str,
    /// How reads and writes use cache and origin.
    pub strategy: Strategy,
    /// How long a value is fresh.
    pub ttl: Duration,
    /// The share of the TTL, 0 to 1, by which bulk fills vary it, so that the
    /// copies don't expire together.
    pub jitter: f64,
    /// How long the absence of a value is cached; zero disables negative caching.
    /// Short, because nothing invalidates the entry when the value is created.
    pub absent_ttl: Duration,
    /// How long after its TTL a copy may be served if the origin fails or is slow.
    pub grace: Duration,
    /// The parameter β of XFetch (see [`crate::fetch::xfetch`]): above 1 refreshes
    /// earlier, below 1 later. `None` disables early refresh.
    pub xfetch_beta: Option<f64>,
    /// Whether concurrent misses of a key in this process share one load.
    pub single_flight: bool,
    /// The TTL of the lease that lets one process at a time load a key, and so how
    /// long the others wait if it dies. `None` disables leases.
    pub lease: Option<Duration>,
    /// How long this process may keep its own copy. `None` disables the near cache.
    pub near: Option<Duration>,
    /// How long to wait for the origin when a stale copy can be served instead.
    pub soft_timeout: Option<Duration>,
    /// How long a load may take, and how long it may wait for a slot before that.
    pub hard_timeout: Duration,
    /// Whether a fill compares versions, so that a slow reader can't store an old
    /// value. Disabled only to demonstrate the race.
    pub versioned: bool,
}

/// The β that the authors of XFetch recommend.
const BETA: f64 = 1.0;
/// ±10 %.
const JITTER: f64 = 0.1;
/// Long enough to absorb a burst of requests, short enough to go unnoticed.
const ABSENT_TTL: Duration = Duration::from_secs(10);
/// Covers a database restart or failover.
const GRACE: Duration = Duration::from_secs(600);
/// How long other processes wait for one that died while loading. A live holder
/// renews its lease three times in this time; see [`crate::fetch::lease`].
const LEASE_TTL: Duration = Duration::from_secs(1);
/// Limits staleness if an invalidation push is lost.
const NEAR_TTL: Duration = Duration::from_secs(30);
/// Below what a visitor notices.
const SOFT_TIMEOUT: Duration = Duration::from_millis(100);
/// Beyond this a visitor assumes a failure.
const HARD_TIMEOUT: Duration = Duration::from_secs(1);
/// The tutorial's TTL; pages replace it with their setting.
const TTL: Duration = Duration::from_secs(300);

/// The tutorial's cache-aside: no protection but the deadline.
const CACHE_ASIDE: CachePolicy = CachePolicy {
    name: "cache-aside",
    about: "the tutorial's cache-aside, without any protection",
    strategy: Strategy::CacheAside,
    ttl: TTL,
    jitter: 0.0,
    absent_ttl: ABSENT_TTL,
    grace: Duration::ZERO,
    xfetch_beta: None,
    single_flight: false,
    lease: None,
    near: None,
    soft_timeout: None,
    hard_timeout: HARD_TIMEOUT,
    versioned: false,
};

/// Every protection that needs no memory in this process.
const READ_THROUGH: CachePolicy = CachePolicy {
    name: "read-through",
    about: "read-through with every protection",
    strategy: Strategy::ReadThrough,
    jitter: JITTER,
    grace: GRACE,
    xfetch_beta: Some(BETA),
    single_flight: true,
    lease: Some(LEASE_TTL),
    soft_timeout: Some(SOFT_TIMEOUT),
    versioned: true,
    ..CACHE_ASIDE
};

/// Versions only: the base for showing one protection at a time.
const UNPROTECTED: CachePolicy =
    CachePolicy { strategy: Strategy::ReadThrough, versioned: true, ..CACHE_ASIDE };

/// The name of a policy is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unknown policy. Valid policies: {}.", CachePolicy::names())]
pub struct UnknownPolicy;

impl FromStr for CachePolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::named(name).ok_or(UnknownPolicy)
    }
}

impl CachePolicy {
    /// The presets for lookups, in the order in which pages offer them.
    pub const ALL: [Self; 8] = [
        Self {
            name: "none",
            about: "no cache: every lookup queries the database",
            strategy: Strategy::None,
            ..CACHE_ASIDE
        },
        CACHE_ASIDE,
        READ_THROUGH,
        Self {
            name: "near-cache",
            about: "read-through, plus a cache in this process",
            near: Some(NEAR_TTL),
            ..READ_THROUGH
        },
        Self {
            name: "write-through",
            about: "an edit updates the database, then the cache",
            strategy: Strategy::WriteThrough,
            ..READ_THROUGH
        },
        Self {
            name: "write-around",
            about: "an edit updates the database and drops the copy; the next lookup loads it",
            strategy: Strategy::WriteAround,
            ..READ_THROUGH
        },
        Self {
            name: "write-behind",
            about: "an edit is acknowledged once Redis has queued it; the database is updated later",
            strategy: Strategy::WriteBehind,
            ..READ_THROUGH
        },
        Self {
            name: "refresh-ahead",
            about: "a value read in the last fifth of its TTL is reloaded in the background",
            strategy: Strategy::RefreshAhead,
            xfetch_beta: None,
            ..READ_THROUGH
        },
    ];

    /// One protection at a time, for `/stampede`.
    pub const ISOLATED: [Self; 4] = [
        Self {
            name: "single-flight",
            about: "concurrent misses in a process share one load",
            single_flight: true,
            ..UNPROTECTED
        },
        Self {
            name: "lease",
            about: "one process at a time loads a key: it holds a lease in Redis",
            lease: Some(LEASE_TTL),
            ..UNPROTECTED
        },
        Self {
            name: "early-refresh",
            about: "a value is reloaded in the background shortly before its TTL expires",
            xfetch_beta: Some(BETA),
            single_flight: true,
            ..UNPROTECTED
        },
        Self {
            name: "stale-while-revalidate",
            about: "a stale value is served while it is reloaded",
            grace: GRACE,
            soft_timeout: Some(SOFT_TIMEOUT),
            single_flight: true,
            ..UNPROTECTED
        },
    ];

    /// The default: read-through with every protection, without a near cache.
    pub const DEFAULT: Self = READ_THROUGH;

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
        Self { ttl, ..self }
    }

    /// Extends the hard timeout by the known (simulated) delay of the origin.
    pub fn with_origin_delay(self, delay: Duration) -> Self {
        Self { hard_timeout: self.hard_timeout + delay, ..self }
    }

    /// Bypasses the cache: it is neither read nor filled.
    pub fn bypassing(self) -> Self {
        Self { strategy: Strategy::None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_found_by_its_name_and_no_name_is_used_twice() {
        let all: Vec<_> = CachePolicy::ALL.into_iter().chain(CachePolicy::ISOLATED).collect();
        for policy in &all {
            assert_eq!(all.iter().filter(|it| it.name == policy.name).count(), 1);
        }
        assert_eq!(CachePolicy::named("read-through"), Some(CachePolicy::DEFAULT));
        assert_eq!(CachePolicy::named("Default"), None);
    }

    #[test]
    fn cache_aside_has_no_protection() {
        let policy = CachePolicy::named("cache-aside").unwrap();
        assert!(!policy.single_flight && !policy.versioned && policy.grace.is_zero());
        assert_eq!(
            (policy.xfetch_beta, policy.lease, policy.near, policy.soft_timeout),
            (None, None, None, None)
        );
    }
}
