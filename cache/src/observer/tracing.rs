//! An observer for the crate `tracing`.

use crate::{Fill, Invalidated, LookedUp, Observer};

/// Emits an event for each lookup, at level TRACE, and for what is out of the ordinary, at
/// level DEBUG or WARN. The target is `hitrate_cache`. It opens no spans.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingObserver;

const TARGET: &str = "hitrate_cache";

impl Observer for TracingObserver {
    fn looked_up(&self, event: &LookedUp<'_>) {
        let (namespace, source) = (event.namespace, event.source.name());
        let (collapsed, elapsed) = (event.is_collapsed, event.elapsed);
        tracing::trace!(target: TARGET, namespace, source, collapsed, ?elapsed, "lookup");
        if let Fill::Failed(error) = event.fill {
            tracing::debug!(target: TARGET, namespace, %error, "not stored");
        }
    }

    fn load_started(&self, namespace: &'static str) {
        tracing::trace!(target: TARGET, namespace, "load");
    }

    fn load_rejected(&self, namespace: &'static str) {
        tracing::warn!(target: TARGET, namespace, "load rejected: too many are queued");
    }

    fn entry_rejected(&self, namespace: &'static str) {
        tracing::debug!(target: TARGET, namespace, "entry above the size limit");
    }

    fn entry_replaced(&self, namespace: &'static str, what: &'static str) {
        tracing::warn!(target: TARGET, namespace, what, "entry replaced");
    }

    fn invalidated(&self, namespace: &'static str, outcome: &Invalidated) {
        match outcome {
            Invalidated::Deferred(error) => {
                tracing::debug!(target: TARGET, namespace, %error, "invalidation deferred");
            }
            outcome => tracing::trace!(target: TARGET, namespace, ?outcome, "invalidated"),
        }
    }
}
