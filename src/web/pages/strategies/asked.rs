//! What a request to `/strategies` asks for: a policy, a profile and a visit.

use std::{sync::Arc, time::Duration};

use hitrate_cache::CachePolicy;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    demo::model::UserId,
    input::Integer,
    labs::{
        strategies::{StrategyRunner, StrategySession},
        support::result_store::{RequestedRun, RunToken},
    },
    web::{
        error::Result,
        form, nav,
        pages::{
            policies::{self, PolicyName},
            profiles::DelayMs,
        },
        state::WorkerState,
    },
};

/// The documents' profile.
pub const ID: &str = "123";
/// Long enough to be seen in a diagram, short enough to try many things, in milliseconds.
const DELAY: u32 = 200;

/// What a request asks about.
pub struct Asked {
    /// Whose profile.
    pub id: UserId,
    /// How it is cached.
    pub policy: CachePolicy,
    /// Simulated latency of the database.
    pub delay_ms: u32,
    /// The visit that it goes on with.
    pub visit: RequestedRun<StrategySession>,
}

impl Asked {
    /// The request of this query.
    pub fn of(app: &WorkerState, query: StrategiesQuery) -> Result<Self> {
        let id = query.id.map_or_else(|| usual_id(app), Ok)?;
        Ok(Self {
            visit: app.shared.visits.requested(query.run.as_deref(), |visit| visit.id == id),
            id,
            policy: policies::chosen(app, query.policy, None).ttl(app.shared.config.profile_ttl),
            delay_ms: query.delay_ms.map_or(DELAY, DelayMs::get),
        })
    }

    /// The profile, to be played with.
    pub fn runner(&self, app: &WorkerState) -> StrategyRunner {
        StrategyRunner {
            cache: app.cache.clone(),
            db: Arc::clone(&app.shared.db),
            id: self.id.clone(),
            policy: self.policy,
            delay: Duration::from_millis(u64::from(self.delay_ms)),
        }
    }

    /// Where a visit is shown.
    pub fn address(&self, run: RunToken) -> String {
        let (Self { id, policy, delay_ms, .. }, path) = (self, nav::STRATEGIES.path);
        format!("{path}?policy={}&id={id}&delay_ms={delay_ms}&run={run}", policy.name)
    }
}

/// The documents' profile, or any that is there.
fn usual_id(app: &WorkerState) -> Result<UserId> {
    let known = &app.shared.known_ids;
    let usual = known.iter().find(|id| id.as_str() == ID).or_else(|| known.first());
    Ok(usual.cloned().map_or_else(|| ID.parse(), Ok)?)
}

/// What a GET asks for.
#[derive(Default, Deserialize)]
pub struct StrategiesQuery {
    /// How the profile is cached.
    pub policy: Option<PolicyName>,
    /// Whose profile.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    pub id: Option<UserId>,
    /// Simulated latency of the database.
    pub delay_ms: Option<DelayMs>,
    /// The token of a visit.
    pub run: Option<String>,
    /// The number of the act whose timeline is told.
    pub step: Option<Integer<1, { u32::MAX }>>,
}

/// What tries a strategy.
#[derive(Deserialize, ToSchema)]
pub struct StrategyForm {
    /// What to do.
    pub act: StrategyAct,
    /// How the profile is cached; as configured when left out.
    #[schema(value_type = Option<String>)]
    pub policy: Option<PolicyName>,
    /// Whose profile; 123 when left out.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    pub id: Option<UserId>,
    /// Simulated database latency in milliseconds; 200 when left out.
    #[schema(inline)]
    pub delay_ms: Option<DelayMs>,
    /// The token of the visit to go on with.
    pub run: Option<String>,
}

/// Something to do to a profile.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrategyAct {
    /// Looks it up.
    Read,
    /// Gives it the next age.
    Write,
    /// Drops it from the cache.
    Invalidate,
    /// Shows what the policy guarantees or risks, in several steps.
    Run,
}
