//! What the cache tells its user while it works: namespaces and times, never
//! keys or values. Counting and exporting is the user's.

use std::time::Duration;

use crate::Source;

/// Hears what happens in the cache. Every method does nothing unless it is
/// overridden; each is called on the thread that works, so it should be quick.
pub trait Observer: Send + Sync + 'static {
    /// A lookup was answered, from `source`, after `elapsed`. `bypassed` when the
    /// caller wanted no cache.
    fn looked_up(
        &self,
        namespace: &'static str,
        source: Source,
        bypassed: bool,
        elapsed: Duration,
    ) {
        let _ = (namespace, source, bypassed, elapsed);
    }

    /// The origin was asked for a value, whether or not it had one.
    fn loaded(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// A load was turned away, as too many wait for their turn already.
    fn load_rejected(&self) {}

    /// A value was not stored, as its entry is larger than the cache allows.
    fn entry_rejected(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// Whether the cache should misbehave in this way. For tests that show that
    /// such a fault would be found; `false` in any program for use.
    #[doc(hidden)]
    fn failpoint(&self, failpoint: Failpoint) -> bool {
        let _ = failpoint;
        false
    }
}

/// A deliberate fault of the cache.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// Write-behind acknowledges a write that only this process knows of.
    AckBeforeRedis,
    /// Write-behind takes a write off the queue before the database has it.
    FlushForgets,
}

/// Hears nothing.
impl Observer for () {}
