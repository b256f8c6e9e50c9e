//! The command history of each visitor.

use std::sync::Arc;

use super::ConsoleEntry;
use crate::labs::support::result_store::ResultStore;

/// Maximum number of entries per visitor.
const ENTRIES_MAX: usize = 20;
/// Maximum size of all histories together, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Size of an entry without its texts, in bytes.
const OVERHEAD: usize = 512;

/// The history of one visitor, the latest entry first.
pub type Entries = Arc<Vec<Arc<ConsoleEntry>>>;

/// The histories of all visitors, by the name of their keys.
pub struct History(ResultStore<String, Vec<Arc<ConsoleEntry>>>);

impl Default for History {
    fn default() -> Self {
        Self(ResultStore::with_max_bytes(BYTES_MAX, |entries| {
            entries.iter().map(|entry| weight(entry)).sum()
        }))
    }
}

impl History {
    /// The history of a visitor.
    pub fn of(&self, visitor: &str) -> Entries {
        self.0.get(&visitor.to_owned()).unwrap_or_default()
    }

    /// Adds an entry at the front.
    pub fn add(&self, visitor: &str, entry: ConsoleEntry) -> Entries {
        let earlier = self.of(visitor);
        let earlier = earlier.iter().take(ENTRIES_MAX - 1).cloned();
        let entries = std::iter::once(Arc::new(entry)).chain(earlier).collect();
        self.0.put(visitor.to_owned(), entries)
    }

    /// Removes the history of a visitor.
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
        assert_eq!((typed.len(), typed[0].as_str(), typed[19].as_str()), (ENTRIES_MAX, "29", "10"));
        assert!(history.of("other").is_empty(), "nobody sees another's");
        history.clear("one");
        assert!(history.of("one").is_empty());
    }
}
