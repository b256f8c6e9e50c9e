//! The hit counter: one `INCR` per visit (redis.io/docs/latest/commands/incr).

use crate::{
    keys,
    metrics::Metrics,
    store::{Store, Trouble},
    wire::Wire,
};

/// Counts a visit and returns the number it got. INCR is atomic: no two
/// visits get the same, however many come at once.
pub async fn visit(store: &Store, metrics: &Metrics, wire: &Wire) -> Result<u64, Trouble> {
    let hits = store.run(store.write("INCR", &keys::page_hits()), wire).await?;
    metrics.visits.inc();
    Ok(hits)
}
