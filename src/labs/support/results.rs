//! Results that are kept in this process for a while, for going back to them
//! and for sending their address: each has a name that nobody can guess.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};

/// How long each is kept.
const KEPT: Duration = Duration::from_secs(30 * 60);

/// The last results of one kind. Clones share them.
pub struct Kept<T>(Cache<String, Arc<T>>);

impl<T: Send + Sync + 'static> Kept<T> {
    /// At most so many.
    pub fn at_most(max: u64) -> Self {
        let kept = Cache::builder().max_capacity(max).time_to_live(KEPT);
        // The latest must find room, however often the others are looked at.
        Self(kept.eviction_policy(EvictionPolicy::lru()).build())
    }

    /// The result of this name, while it is kept.
    pub fn find(&self, name: &str) -> Option<Arc<T>> {
        self.0.get(name)
    }

    /// Keeps a result. Returns the name it is found by.
    pub fn keep(&self, result: T) -> (String, Arc<T>) {
        let (name, result) = (format!("{:032x}", rand::random::<u128>()), Arc::new(result));
        self.0.insert(name.clone(), Arc::clone(&result));
        (name, result)
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_kept_and_the_latest_is_among_them() {
        let kept = Kept::at_most(8);
        let names: Vec<_> = (0..40).map(|n| kept.keep(n).0).collect();
        kept.0.run_pending_tasks();
        assert!(kept.0.entry_count() <= 8);
        assert_eq!(kept.find(&names[39]).as_deref(), Some(&39));
        assert_eq!(kept.find(&names[0]), None);
    }
}
