//! What a namespace does on a miss, near the end of a TTL, on a write, and when the
//! origin is slow or down.

use std::time::Duration;

/// A caching policy: ten options. The defaults suit a value that takes milliseconds to
/// load and may be a few minutes old.
///
/// ```
/// use std::time::Duration;
/// use hitrate_cache::CachePolicy;
///
/// let policy = CachePolicy::ttl(Duration::from_secs(300)).near(Duration::from_secs(30));
/// # assert_eq!(policy.near, Some(Duration::from_secs(30)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CachePolicy {
    /// How long a value is fresh.
    pub ttl: Duration,
    /// The share of the TTL, 0 to 1, by which it is shortened at random, so that values
    /// loaded together don't expire together. Default: 0.1.
    pub jitter: f64,
    /// How long the absence of a value is cached; zero disables negative caching.
    /// Default: 10 s, as nothing tells the cache when the value appears.
    pub absent_ttl: Duration,
    /// How long after its TTL a copy may be served while the origin fails or is slow.
    /// Zero disables it. Default: 10 minutes, which covers a restart of a database.
    pub grace: Duration,
    /// How long to wait for the origin before serving such a copy. `None` waits until
    /// the load ends. Default: 100 ms.
    pub soft_timeout: Option<Duration>,
    /// How long a load or write may take, and how long a load may wait before that while
    /// others run. Default: 1 s.
    pub hard_timeout: Duration,
    /// How long this process may keep a copy of its own. `None` disables the near cache.
    /// Default: none.
    pub near: Option<Duration>,
    /// The TTL of the lease that lets one process at a time load a key: how long the
    /// others wait for one that died. `None` disables leases. Default: 1 s.
    pub lease: Option<Duration>,
    /// When a value is reloaded before its TTL ends. Default: [`Refresh::Early`] with
    /// β = 1.
    pub refresh: Refresh,
    /// What a write does with the copy. Default: [`OnWrite::Drop`].
    pub on_write: OnWrite,
    pub(crate) is_bypassed: bool,
    pub(crate) single_flight: bool,
    pub(crate) versioned: bool,
}

/// When a value is reloaded in the background before its TTL ends.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Refresh {
    /// Never.
    Off,
    /// With a probability that rises towards the end of the TTL, earlier for values
    /// that take long to load: XFetch with this β. The authors recommend 1; above 1
    /// refreshes earlier.
    Early(f64),
    /// On a read within this last share of the TTL, 0 to 1.
    Ahead(f64),
}

/// What a write does with the copy, after the origin has committed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnWrite {
    /// Drops it: the next lookup loads the value.
    Drop,
    /// Replaces it by the new value.
    Store,
    /// Queues the write in Redis first, and tells the origin later. Only for writes
    /// through a [`Loader`](crate::Loader) whose origin orders writes; otherwise as
    /// [`Self::Drop`].
    #[cfg(feature = "write-behind")]
    Queue,
}

/// A protection without an option of its own. Without it, the cache behaves like one
/// written by hand: for experiments and comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// Concurrent misses of a key in this process share one load, which goes on without
    /// its caller.
    SingleFlight,
    /// A fill compares versions, so that a slow reader can't store an old value.
    Versions,
}

impl CachePolicy {
    /// A policy with this TTL and the default options.
    pub const fn ttl(ttl: Duration) -> Self {
        Self {
            ttl,
            jitter: 0.1,
            absent_ttl: Duration::from_secs(10),
            grace: Duration::from_secs(600),
            soft_timeout: Some(Duration::from_millis(100)),
            hard_timeout: Duration::from_secs(1),
            near: None,
            lease: Some(Duration::from_secs(1)),
            refresh: Refresh::Early(1.0),
            on_write: OnWrite::Drop,
            is_bypassed: false,
            single_flight: true,
            versioned: true,
        }
    }

    /// Sets [`ttl`](Self::ttl).
    #[must_use]
    pub const fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Sets [`jitter`](Self::jitter).
    #[must_use]
    pub const fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Sets [`absent_ttl`](Self::absent_ttl).
    #[must_use]
    pub const fn absent_ttl(self, absent_ttl: Duration) -> Self {
        Self { absent_ttl, ..self }
    }

    /// Sets [`grace`](Self::grace).
    #[must_use]
    pub const fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Sets [`soft_timeout`](Self::soft_timeout).
    #[must_use]
    pub const fn soft_timeout(self, soft_timeout: Option<Duration>) -> Self {
        Self { soft_timeout, ..self }
    }

    /// Sets [`hard_timeout`](Self::hard_timeout).
    #[must_use]
    pub const fn hard_timeout(self, hard_timeout: Duration) -> Self {
        Self { hard_timeout, ..self }
    }

    /// Enables the near cache; see [`near`](Self::near).
    #[must_use]
    pub const fn near(self, ttl: Duration) -> Self {
        Self { near: Some(ttl), ..self }
    }

    /// Sets [`lease`](Self::lease).
    #[must_use]
    pub const fn lease(self, ttl: Option<Duration>) -> Self {
        Self { lease: ttl, ..self }
    }

    /// Sets [`refresh`](Self::refresh).
    #[must_use]
    pub const fn refresh(self, refresh: Refresh) -> Self {
        Self { refresh, ..self }
    }

    /// Sets [`on_write`](Self::on_write).
    #[must_use]
    pub const fn on_write(self, on_write: OnWrite) -> Self {
        Self { on_write, ..self }
    }

    /// Bypasses the cache: every lookup asks the origin and stores nothing. Writes still
    /// invalidate, as others may use the cache.
    #[must_use]
    pub const fn bypass(self) -> Self {
        Self { is_bypassed: true, ..self }
    }

    /// Disables a protection, for an experiment.
    #[must_use]
    pub const fn without(self, protection: Protection) -> Self {
        match protection {
            Protection::SingleFlight => Self { single_flight: false, ..self },
            Protection::Versions => Self { versioned: false, ..self },
        }
    }

    /// The policy with numbers that can be computed with: a TTL of `Duration::MAX` is
    /// one of ten years.
    pub(crate) fn bounded(self) -> Self {
        let share = |share: f64| if share >= 0.0 { share.min(1.0) } else { 0.0 };
        let [year, day] = [86_400 * 365, 86_400].map(Duration::from_secs);
        let [ttl, absent_ttl, grace] =
            [self.ttl, self.absent_ttl, self.grace].map(|it| it.min(10 * year));
        Self {
            ttl,
            absent_ttl,
            grace,
            jitter: share(self.jitter),
            hard_timeout: self.hard_timeout.min(day),
            near: self.near.map(|it| it.min(10 * year)),
            lease: self.lease.map(|it| it.min(day)),
            refresh: match self.refresh {
                Refresh::Ahead(ahead) => Refresh::Ahead(share(ahead)),
                other => other,
            },
            ..self
        }
    }

    /// The longest a load of this policy may take: the wait for a slot, the load, and
    /// the expiry of an abandoned lease.
    pub(crate) fn max_load(&self) -> Duration {
        2 * self.hard_timeout + self.lease.unwrap_or_default()
    }
}

/// Shortens a TTL by up to `jitter`, a share of it. `u` is a random number from 0 to 1.
pub(crate) fn jittered(ttl: Duration, jitter: f64, u: f64) -> Duration {
    ttl.mul_f64((1.0 - jitter * u).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extreme_options_are_bounded() {
        let max = Duration::MAX;
        let policy = CachePolicy::ttl(max).absent_ttl(max).grace(max).hard_timeout(max).near(max);
        for jitter in [f64::NAN, f64::INFINITY, -1.0] {
            let refresh = Refresh::Ahead(jitter);
            let policy = policy.jitter(jitter).refresh(refresh).lease(Some(max)).bounded();
            assert!(jittered(policy.ttl, policy.jitter, 0.5) <= policy.ttl);
            let longest = policy.max_load() + policy.ttl + policy.grace;
            assert!(longest < Duration::from_secs(86_400 * 365 * 21), "{longest:?}");
            assert!(matches!(policy.refresh, Refresh::Ahead(0.0..=1.0)));
        }
        assert_eq!(CachePolicy::ttl(Duration::from_secs(1)).bounded().jitter, 0.1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_jittered_ttl_stays_within_its_share(
            ttl_ms in 1..30 * 86_400_000_u64,
            jitter in 0.0..1.0_f64,
            u in 0.0..1.0_f64,
        ) {
            let ttl = Duration::from_millis(ttl_ms);
            let (min, varied) = (ttl.mul_f64(1.0 - jitter), jittered(ttl, jitter, u));
            prop_assert!(varied + Duration::from_micros(1) >= min && varied <= ttl);
        }
    }
}
