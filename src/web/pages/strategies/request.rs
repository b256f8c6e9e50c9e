//! Parameters of a request to `/strategies`: policy, profile, delay and session.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    demo::{model::UserId, policy::Policy},
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

/// Id of the tutorial's example profile.
pub const ID_DEFAULT: &str = "123";
/// Default delay in milliseconds: long enough to see in a diagram, short enough to wait for.
const DELAY_MS_DEFAULT: u32 = 200;

/// The parameters of a request.
pub struct StrategyRequest {
    /// Id of the profile.
    pub id: UserId,
    /// Caching policy.
    pub policy: Policy,
    /// Simulated database latency, in milliseconds.
    pub delay_ms: u32,
    /// The session to continue.
    pub session: RequestedRun<StrategySession>,
}

impl StrategyRequest {
    /// Reads a query, and finds its session.
    pub fn new(app: &WorkerState, query: StrategiesQuery) -> Result<Self> {
        let sessions = &app.shared.strategy_sessions;
        let id = query.id.map_or_else(|| default_id(app), Ok)?;
        Ok(Self {
            session: sessions.requested(query.run.as_deref(), |session| session.id == id),
            id,
            policy: policies::chosen(app, query.policy, None).ttl(app.shared.config.profile_ttl),
            delay_ms: query.delay_ms.map_or(DELAY_MS_DEFAULT, DelayMs::get),
        })
    }

    /// A runner of steps on this profile.
    pub fn runner(&self, app: &WorkerState) -> StrategyRunner {
        StrategyRunner {
            profiles: app.profiles.clone(),
            db: Arc::clone(&app.shared.db),
            id: self.id.clone(),
            policy: self.policy,
            delay: Duration::from_millis(u64::from(self.delay_ms)),
        }
    }

    /// URL of a session.
    pub fn url(&self, run: RunToken) -> String {
        let (Self { id, policy, delay_ms, .. }, path) = (self, nav::STRATEGIES.path);
        format!("{path}?policy={}&id={id}&delay_ms={delay_ms}&run={run}", policy.name)
    }
}

/// The tutorial's example profile, or the first known one.
fn default_id(app: &WorkerState) -> Result<UserId> {
    let known = &app.shared.known_ids;
    let default = known.iter().find(|id| id.as_str() == ID_DEFAULT).or_else(|| known.first());
    Ok(default.cloned().map_or_else(|| ID_DEFAULT.parse(), Ok)?)
}

/// Query of the page.
#[derive(Default, Deserialize)]
pub struct StrategiesQuery {
    /// Caching policy.
    pub policy: Option<PolicyName>,
    /// Id of the profile.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    pub id: Option<UserId>,
    /// Simulated database latency.
    pub delay_ms: Option<DelayMs>,
    /// Token of a session.
    pub run: Option<String>,
    /// Number of the step whose timeline is shown.
    pub step: Option<Integer<1, { u32::MAX }>>,
}

/// A step to run.
#[derive(Deserialize, ToSchema)]
pub struct StrategyForm {
    /// The action.
    pub act: StrategyAct,
    /// Caching policy; defaults to the configured one.
    #[schema(value_type = Option<String>)]
    pub policy: Option<PolicyName>,
    /// Id of the profile; defaults to 123.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    pub id: Option<UserId>,
    /// Simulated latency of each database read in milliseconds; defaults to 200.
    #[schema(inline)]
    pub delay_ms: Option<DelayMs>,
    /// Token of the session to continue; without it, a new session starts.
    pub run: Option<String>,
}

/// An action on the profile.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrategyAct {
    /// Looks up the profile.
    Read,
    /// Increments the age.
    Write,
    /// Invalidates the cached copy.
    Invalidate,
    /// Runs a demo of the policy's guarantees and risks, in several steps.
    Run,
}
