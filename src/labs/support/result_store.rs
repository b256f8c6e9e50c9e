//! An in-memory store that keeps results for [`RETENTION`], so that the page after a
//! redirect can show them.

use std::{fmt, hash::Hash, str::FromStr, sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use serde::{Serialize, Serializer};

/// Lifetime of a result after it was stored.
pub const RETENTION: Duration = Duration::from_secs(30 * 60);

/// Results by key, with LRU eviction. Clones share the store.
pub struct ResultStore<K, V>(Cache<K, Arc<V>>);

/// The name of a result in a URL (`?run=`): 128 random bits as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunToken(u128);

/// The error of parsing a [`RunToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARunToken;

/// The result that a request names by `?run=`.
pub enum RequestedRun<V> {
    /// The request names no result.
    NotRequested,
    /// The result is in the store.
    Found(RunToken, Arc<V>),
    /// The result has expired or never existed.
    Expired,
}

impl<K, V> ResultStore<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A store of at most `max_entries` results.
    pub fn with_max_entries(max_entries: u64) -> Self {
        let cache = Cache::builder().max_capacity(max_entries).time_to_live(RETENTION);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    /// A store of at most `max_bytes` in total, as measured by `weigh`.
    pub fn with_max_bytes(max_bytes: u64, weigh: fn(&V) -> usize) -> Self {
        let cache = Cache::builder().max_capacity(max_bytes).time_to_live(RETENTION);
        let cache =
            cache.weigher(move |_, value: &Arc<V>| u32::try_from(weigh(value)).unwrap_or(u32::MAX));
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    /// The result under `key`, if it is in the store.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.get(key)
    }

    /// Stores a result under `key`, replacing the previous one.
    pub fn put(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.0.insert(key, Arc::clone(&value));
        value
    }

    /// Removes the result under `key`.
    pub fn remove(&self, key: &K) {
        self.0.invalidate(key);
    }
}

impl<V: Send + Sync + 'static> ResultStore<RunToken, V> {
    /// Stores a result under a new token.
    pub fn add(&self, value: V) -> (RunToken, Arc<V>) {
        let token = RunToken::random();
        (token, self.put(token, value))
    }

    /// The result that the parameter `run` names, if `fits` accepts it.
    pub fn requested(&self, run: Option<&str>, fits: impl Fn(&V) -> bool) -> RequestedRun<V> {
        let Some(text) = run else { return RequestedRun::NotRequested };
        let found = text.parse().ok().and_then(|token| Some((token, self.get(&token)?)));
        match found.filter(|(_, value)| fits(value)) {
            Some((token, value)) => RequestedRun::Found(token, value),
            None => RequestedRun::Expired,
        }
    }
}

impl<K, V> Clone for ResultStore<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> RequestedRun<V> {
    /// Whether the request names a result that is not in the store.
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired)
    }

    /// The result and its token.
    pub fn found(self) -> Option<(RunToken, Arc<V>)> {
        match self {
            Self::Found(token, value) => Some((token, value)),
            Self::NotRequested | Self::Expired => None,
        }
    }
}

impl RunToken {
    /// A new token.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for RunToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for RunToken {
    type Err = NotARunToken;

    fn from_str(text: &str) -> Result<Self, NotARunToken> {
        let token = u128::from_str_radix(text, 16).map(Self).map_err(|_| NotARunToken)?;
        if token.to_string() == text { Ok(token) } else { Err(NotARunToken) }
    }
}

impl Serialize for RunToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let token = RunToken(7);
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in ["", "7", "x", &"F".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert_eq!(bad.parse::<RunToken>(), Err(NotARunToken), "{bad}");
        }
    }

    #[test]
    fn the_number_of_results_is_bounded_and_the_latest_is_among_them() {
        let store = ResultStore::with_max_entries(8);
        let tokens: Vec<_> = (0..40).map(|n| store.add(n).0).collect();
        store.0.run_pending_tasks();
        assert!(store.0.entry_count() <= 8);
        assert_eq!(store.get(&tokens[39]).as_deref(), Some(&39));
        assert_eq!(store.get(&tokens[0]), None);
    }

    #[test]
    fn the_size_of_all_results_is_bounded_and_the_latest_is_among_them() {
        let store = ResultStore::with_max_bytes(1 << 20, String::len);
        for n in 0..40 {
            store.put(n, "x".repeat(1 << 17));
        }
        store.0.run_pending_tasks();
        assert!(store.0.weighted_size() <= 1 << 20);
        assert!(store.get(&39).is_some() && store.get(&0).is_none());
    }

    #[test]
    fn a_result_that_does_not_fit_the_page_counts_as_gone() {
        let store = ResultStore::with_max_entries(8);
        let token = store.add("sets").0.to_string();
        assert!(store.requested(None, |_| true).found().is_none());
        assert!(store.requested(Some("none"), |_| true).is_expired());
        assert!(store.requested(Some(&token), |slug| *slug == "lists").is_expired());
        assert!(store.requested(Some(&token), |slug| *slug == "sets").found().is_some());
    }
}
