//! Events for metrics and logs: namespaces and times, never keys or values.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod tracing;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;
use crate::{Fill, Invalidated, Source};

/// Receives the events of a cache. The default methods do nothing. They are called on
/// the working thread, so they must be quick. A panic is logged, and does not fail the
/// operation.
pub trait Observer: Send + Sync + 'static {
    /// A lookup was answered.
    fn looked_up(&self, event: &LookedUp<'_>) {
        let _ = event;
    }

    /// A load is sent to the origin, whether or not it has the value.
    fn load_started(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// A load was rejected, as too many are queued.
    fn load_rejected(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// A value was not stored, as its entry exceeds the size limit.
    fn entry_rejected(&self, namespace: &'static str) {
        let _ = namespace;
    }

    /// An entry in Redis was replaced that this namespace could not have written: for
    /// instance one of another codec, or data of another program.
    fn entry_replaced(&self, namespace: &'static str, what: &'static str) {
        let _ = (namespace, what);
    }

    /// A copy was invalidated, or will be. The namespace is empty if it was by the tag of an
    /// entry, which belongs to no namespace.
    fn invalidated(&self, namespace: &'static str, outcome: &Invalidated) {
        let _ = (namespace, outcome);
    }

    /// Whether a failpoint is active: tests use it to prove that they would find such a
    /// bug. Always `false` in production.
    #[doc(hidden)]
    fn failpoint(&self, failpoint: Failpoint) -> bool {
        let _ = failpoint;
        false
    }
}

/// An observer whose panics end nothing but the event.
pub(crate) struct Shielded(pub(crate) Arc<dyn Observer>);

impl Shielded {
    fn notify(&self, event: impl FnOnce(&dyn Observer)) {
        if catch_unwind(AssertUnwindSafe(|| event(&*self.0))).is_err() {
            log::error!("the observer panicked");
        }
    }
}

impl Observer for Shielded {
    fn looked_up(&self, event: &LookedUp<'_>) {
        self.notify(|observer| observer.looked_up(event));
    }

    fn load_started(&self, namespace: &'static str) {
        self.notify(|observer| observer.load_started(namespace));
    }

    fn load_rejected(&self, namespace: &'static str) {
        self.notify(|observer| observer.load_rejected(namespace));
    }

    fn entry_rejected(&self, namespace: &'static str) {
        self.notify(|observer| observer.entry_rejected(namespace));
    }

    fn entry_replaced(&self, namespace: &'static str, what: &'static str) {
        self.notify(|observer| observer.entry_replaced(namespace, what));
    }

    fn invalidated(&self, namespace: &'static str, outcome: &Invalidated) {
        self.notify(|observer| observer.invalidated(namespace, outcome));
    }

    fn failpoint(&self, failpoint: Failpoint) -> bool {
        self.0.failpoint(failpoint)
    }
}

/// A lookup that was answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct LookedUp<'a> {
    /// The namespace.
    pub namespace: &'static str,
    /// Where the answer came from.
    pub source: Source,
    /// How a miss changed the cache, and the trouble of Redis, if it has any.
    pub fill: &'a Fill,
    /// Whether the policy used no cache.
    pub is_bypassed: bool,
    /// Whether it shared a load that another lookup had started.
    pub is_collapsed: bool,
    /// Time until the answer.
    pub elapsed: Duration,
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
