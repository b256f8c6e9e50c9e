//! An observer for the crate `metrics`.

use crate::{Fill, Invalidated, LookedUp, Observer};

/// Counts the events with the macros of the crate `metrics`, for whatever recorder the
/// program has installed.
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `cache_lookups_total` | counter | `namespace`, `source` |
/// | `cache_lookup_seconds` | histogram | `namespace`, `source` |
/// | `cache_bypasses_total` | counter | `namespace` |
/// | `cache_fills_failed_total`: Redis could not store a value | counter | `namespace` |
/// | `cache_origin_loads_total` | counter | `namespace` |
/// | `cache_origin_rejected_total`: too many loads were queued | counter | `namespace` |
/// | `cache_entries_rejected_total`: above the size limit | counter | `namespace` |
/// | `cache_entries_replaced_total`: not an entry of the namespace | counter | `namespace` |
/// | `cache_invalidations_total` | counter | `namespace` |
/// | `cache_invalidations_deferred_total` | counter | `namespace` |
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsObserver;

impl Observer for MetricsObserver {
    fn looked_up(&self, event: &LookedUp<'_>) {
        let (namespace, source) = (event.namespace, event.source.name());
        metrics::counter!("cache_lookups_total", "namespace" => namespace, "source" => source)
            .increment(1);
        metrics::histogram!("cache_lookup_seconds", "namespace" => namespace, "source" => source)
            .record(event.elapsed);
        if event.is_bypassed {
            count("cache_bypasses_total", namespace);
        }
        if matches!(event.fill, Fill::Failed(_)) {
            count("cache_fills_failed_total", namespace);
        }
    }

    fn load_started(&self, namespace: &'static str) {
        count("cache_origin_loads_total", namespace);
    }

    fn load_rejected(&self, namespace: &'static str) {
        count("cache_origin_rejected_total", namespace);
    }

    fn entry_rejected(&self, namespace: &'static str) {
        count("cache_entries_rejected_total", namespace);
    }

    fn entry_replaced(&self, namespace: &'static str, _: &'static str) {
        count("cache_entries_replaced_total", namespace);
    }

    fn invalidated(&self, namespace: &'static str, outcome: &Invalidated) {
        count("cache_invalidations_total", namespace);
        if matches!(outcome, Invalidated::Deferred(_)) {
            count("cache_invalidations_deferred_total", namespace);
        }
    }
}

fn count(name: &'static str, namespace: &'static str) {
    metrics::counter!(name, "namespace" => namespace).increment(1);
}
