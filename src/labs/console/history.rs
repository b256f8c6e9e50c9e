//! The last commands of each visitor.

use std::sync::Arc;

use super::ConsoleEntry;
use crate::labs::support::result_store::ResultStore;

/// The most commands of one visitor.
const LAST: usize = 20;
/// The most bytes of all visitors together.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of an entry beside its texts.
const OVERHEAD: usize = 512;

/// What one visitor typed, the latest first.
pub type Entries = Arc<Vec<Arc<ConsoleEntry>>>;

/// Of all visitors, each under the name of its keys.
pub struct History(ResultStore<String, Vec<Arc<ConsoleEntry>>>);

impl Default for History {
    fn default() -> Self {
        Self(ResultStore::with_max_bytes(BYTES_MAX, |entries| {
            entries.iter().map(|entry| weight(entry)).sum()
        }))
    }
}

impl History {
    /// What this visitor typed.
    pub fn of(&self, visitor: &str) -> Entries {
        self.0.get(&visitor.to_owned()).unwrap_or_default()
    }

    /// Puts one before the others.
    pub fn add(&self, visitor: &str, entry: ConsoleEntry) -> Entries {
        let earlier = self.of(visitor);
        let earlier = earlier.iter().take(LAST - 1).cloned();
        let entries = std::iter::once(Arc::new(entry)).chain(earlier).collect();
        self.0.put(visitor.to_owned(), entries)
    }

    /// Forgets what this visitor typed.
    pub fn clear(&self, visitor: &str) {
        self.0.remove(&visitor.to_owned());
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
}
