//! Events for metrics: namespaces and times, never keys or values.

use std::time::Duration;

use crate::Source;

/// Receives the events of the cache. The default methods do nothing. They are
/// called on the working thread, so they must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A lookup was answered from `source` after `elapsed`. `bypassed` says that
    /// the policy used no cache.
    fn looked_up(
        &self,
        namespace: &'static str,
        source: Source,
        bypassed: bool,
        elapsed: Duration,
    ) {
        let _ = (namespace, source, bypassed, elapsed);
    }

    /// A load was sent to the origin, whether or not it has the value.
    fn loaded(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// A load was rejected, as too many are queued.
    fn load_rejected(&self) {}

    /// A value was not stored, as its entry exceeds the size limit.
    fn entry_rejected(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// Whether a failpoint is active: tests use it to prove that they would find
    /// such a bug. Always `false` in production.
    #[doc(hidden)]
    fn failpoint(&self, failpoint: Failpoint) -> bool {
        let _ = failpoint;
        false
    }
}

/// A deliberate bug in the cache.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// Write-behind acknowledges a write before Redis has it.
    AckBeforeRedis,
    /// Write-behind removes a write from the queue before the database has it.
    FlushForgets,
}

/// Ignores all events.
impl Observer for () {}
