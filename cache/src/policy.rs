//! A caching design as a value: a strategy, and which protections go with it.

use std::{str::FromStr, time::Duration};

use crate::strategy::Strategy;

/// One design. Plain data: take a preset by name and change what you like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachePolicy {
    /// What it is called in a URL.
    pub name: &'static str,
    /// In one line, for someone who has to choose.
    pub about: &'static str,
    /// Who reads from where, and who writes where first.
    pub strategy: Strategy,
    /// How long a value is fresh.
    pub ttl: Duration,
    /// Share of the TTL, 0 to 1, by which it is varied when many values are
    /// set together, so that they don't end together.
    pub jitter: f64,
    /// How long the absence of a value is kept; zero keeps none. Short,
    /// because nobody invalidates it when the value appears.
    pub absent_ttl: Duration,
    /// How long past its TTL a value may still be served when the origin fails
    /// or is slow.
    pub grace: Duration,
    /// The parameter β of XFetch; see [`crate::fetch::xfetch`]. More than 1 refreshes
    /// earlier, less than 1 later.
    pub xfetch_beta: Option<f64>,
    /// Whether concurrent misses of one key in this process share one load.
    pub single_flight: bool,
    /// How long another process waits for one that loads the same key and died.
    pub lease: Option<Duration>,
    /// How long this process may keep its own copy.
    pub near: Option<Duration>,
    /// How long a visitor waits for the origin when there is something stale to serve.
    pub soft_timeout: Option<Duration>,
    /// How long a load may take at all, and before that the wait for its turn.
    pub hard_timeout: Duration,
    /// Whether a fill compares versions, so that a slow reader can't store an
    /// old value. Off is only to see what happens.
    pub versioned: bool,
}

/// β of XFetch as its authors recommend it.
const BETA: f64 = 1.0;
/// A tenth up or down.
const JITTER: f64 = 0.1;
/// Takes a burst of requests off the database, and is not noticed.
const ABSENT_TTL: Duration = Duration::from_secs(10);
/// A database may be gone as long as a restart or a failover takes.
const GRACE: Duration = Duration::from_secs(600);
/// How long the others wait for a process that died while loading. A living
/// one renews its lease three times as often; see [`crate::fetch::lease`].
const LEASE_TTL: Duration = Duration::from_secs(1);
/// Backstop for an invalidation that never came.
const NEAR_TTL: Duration = Duration::from_secs(30);
/// What a visitor does not notice.
const SOFT_TIMEOUT: Duration = Duration::from_millis(100);
/// What a visitor takes for a fault.
const HARD_TIMEOUT: Duration = Duration::from_secs(1);
/// The documents' TTL; pages put their setting in its place.
const TTL: Duration = Duration::from_secs(300);

/// The documents' cache-aside: no protection but the deadline.
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

/// Every protection that costs no memory here.
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

/// Nothing but versions: the ground on which one protection is shown at a time.
const UNPROTECTED: CachePolicy =
    CachePolicy { strategy: Strategy::ReadThrough, versioned: true, ..CACHE_ASIDE };

/// Why a text names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("There is no policy of this name, only {}.", CachePolicy::names())]
pub struct UnknownPolicy;

impl FromStr for CachePolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::named(name).ok_or(UnknownPolicy)
    }
}

impl CachePolicy {
    /// The presets for lookups, in the order in which a page offers them.
    pub const ALL: [Self; 8] = [
        Self {
            name: "none",
            about: "no cache: each lookup asks the database",
            strategy: Strategy::None,
            ..CACHE_ASIDE
        },
        CACHE_ASIDE,
        READ_THROUGH,
        Self {
            name: "near-cache",
            about: "read-through, and a second cache in this process",
            near: Some(NEAR_TTL),
            ..READ_THROUGH
        },
        Self {
            name: "write-through",
            about: "an edit goes to the database and, in the same act, to the cache",
            strategy: Strategy::WriteThrough,
            ..READ_THROUGH
        },
        Self {
            name: "write-around",
            about: "an edit goes to the database only; the next lookup loads it",
            strategy: Strategy::WriteAround,
            ..READ_THROUGH
        },
        Self {
            name: "write-behind",
            about: "an edit is done when Redis has it; the database gets it later",
            strategy: Strategy::WriteBehind,
            ..READ_THROUGH
        },
        Self {
            name: "refresh-ahead",
            about: "what is asked for near its end is reloaded in the background",
            strategy: Strategy::RefreshAhead,
            xfetch_beta: None,
            ..READ_THROUGH
        },
    ];

    /// One protection at a time, for `/stampede`.
    pub const ISOLATED: [Self; 4] = [
        Self {
            name: "single-flight",
            about: "one load in each process, and all who request share it",
            single_flight: true,
            ..UNPROTECTED
        },
        Self {
            name: "lease",
            about: "one load among all processes: Redis lends the right to it",
            lease: Some(LEASE_TTL),
            ..UNPROTECTED
        },
        Self {
            name: "early-refresh",
            about: "a value is reloaded in the background shortly before its TTL ends",
            xfetch_beta: Some(BETA),
            single_flight: true,
            ..UNPROTECTED
        },
        Self {
            name: "stale-while-revalidate",
            about: "a value past its TTL is served while it is reloaded",
            grace: GRACE,
            soft_timeout: Some(SOFT_TIMEOUT),
            single_flight: true,
            ..UNPROTECTED
        },
    ];

    /// Every protection, and no near cache.
    pub const DEFAULT: Self = READ_THROUGH;

    /// The preset of this name, for a lookup.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name == name)
    }

    /// The names of the presets for lookups.
    pub fn names() -> String {
        Self::ALL.map(|policy| policy.name).join(", ")
    }

    /// With this TTL.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// For an origin that is known to take this long: a load may take so much longer.
    pub fn with_origin_delay(self, delay: Duration) -> Self {
        Self { hard_timeout: self.hard_timeout + delay, ..self }
    }

    /// Without any cache: neither read nor filled.
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
