//! The last commands of each visitor, in this process and for a while.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::ConsoleEntry;

/// The most commands of one visitor.
const LAST: usize = 20;
/// Bytes for all visitors together.
const MAX_ENTRIES: u64 = 16 * 1024 * 1024;
/// How long they are kept after the last one.
const KEPT: Duration = Duration::from_secs(30 * 60);
/// Bytes of an entry beside its texts.
const OVERHEAD: usize = 512;

/// What one visitor typed, the latest first.
pub type Entries = Arc<[Arc<ConsoleEntry>]>;

/// Of all visitors, each under the name of its keys.
pub struct History(Cache<String, Entries>);

impl Default for History {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(KEPT);
        let weigh = |_: &String, entries: &Entries| {
            entries.iter().map(|entry| weight(entry)).sum::<usize>().try_into().unwrap_or(u32::MAX)
        };
        // The latest must find room, however often the others are looked at.
        Self(cache.weigher(weigh).eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl History {
    /// What this visitor typed.
    pub fn of(&self, visitor: &str) -> Entries {
        self.0.get(visitor).unwrap_or_else(|| Arc::new([]))
    }

    /// Puts one before the others.
    pub fn add(&self, visitor: &str, entry: ConsoleEntry) -> Entries {
        let earlier = self.of(visitor);
        let earlier = earlier.iter().take(LAST - 1).cloned();
        let entries: Entries = std::iter::once(Arc::new(entry)).chain(earlier).collect();
        self.0.insert(visitor.to_owned(), Arc::clone(&entries));
        entries
    }

    /// Forgets what this visitor typed.
    pub fn clear(&self, visitor: &str) {
        self.0.invalidate(visitor);
    }
}

fn weight(entry: &ConsoleEntry) -> usize {
    let texts = [&entry.sent, &entry.reply, &entry.refused, &entry.summary, &entry.complexity];
    let steps: usize =
        entry.trace.iter().map(|step| step.command.len() + step.reply.len() + 96).sum();
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    OVERHEAD + entry.typed.len() + texts + steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(typed: String) -> ConsoleEntry {
        ConsoleEntry { typed, ..ConsoleEntry::default() }
    }

    #[test]
    fn the_last_twenty_are_kept_the_latest_first() {
        let history = History::default();
        for n in 0..30 {
            history.add("one", entry(n.to_string()));
        }
        let typed: Vec<_> = history.of("one").iter().map(|it| it.typed.clone()).collect();
        assert_eq!((typed.len(), typed[0].as_str(), typed[19].as_str()), (LAST, "29", "10"));
        assert!(history.of("other").is_empty(), "nobody sees another's");
        history.clear("one");
        assert!(history.of("one").is_empty());
    }

    #[test]
    fn all_visitors_together_have_a_bound() {
        let history = History::default();
        for n in 0..2_000 {
            history.add(&n.to_string(), entry("x".repeat(16 * 1024)));
        }
        history.0.run_pending_tasks();
        assert!(history.0.weighted_size() <= MAX_ENTRIES);
        assert!(!history.of("1999").is_empty(), "the latest is among them");
    }
}
