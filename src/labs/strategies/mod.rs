//! Runs a caching strategy on one profile, one step or a whole run at a time. After each
//! step, a snapshot of database, Redis and near cache is stored with the timeline of the
//! step.

mod run;
mod runner;
mod session;
mod snapshot;

use hitrate_cache::Source;
use serde::Serialize;
use utoipa::ToSchema;

pub use self::{
    run::{StrategyRun, StrategyStep},
    runner::StrategyRunner,
    session::StrategySession,
    snapshot::{Compared, Contents, Snapshot, StoreState},
};
use crate::{labs::support::timeline::Timeline, schemas};

/// The result of a step, with the snapshot after it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepResult {
    /// Its number in the session, from 1.
    pub number: usize,
    /// `read`, `write`, `invalidate`, `concurrent-reads`, `flush` or `pause`.
    pub act: &'static str,
    /// The policy.
    pub policy: &'static str,
    /// The result, in a sentence or two.
    pub message: String,
    /// The source of the value that was read.
    #[schema(value_type = Option<schemas::Source>)]
    pub source: Option<Source>,
    /// The effect of a write or an invalidation on the copy in Redis: `invalidated`,
    /// `nothing`, `stored`, `queued`, `kept`, `deferred` or `failed`.
    pub effect: Option<&'static str>,
    /// The version that was read or written.
    pub version: Option<u64>,
    /// Duration in microseconds, including simulated latency.
    pub elapsed_us: u64,
    /// The snapshot after the step.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// The timeline of the step.
    #[serde(skip)]
    pub timeline: Timeline,
    /// `Cache-Status` of a read.
    #[serde(skip)]
    pub cache_status: Option<String>,
}
