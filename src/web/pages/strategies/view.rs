//! View model of `/strategies`: a policy, one profile, and the steps of the session.

use std::sync::Arc;

use actix_web::http::StatusCode;
use askama::Template;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    request::{ID_DEFAULT, StrategiesQuery, StrategyRequest},
    sequence::Sequence,
};
use crate::{
    demo::{model::UserId, strategy::Strategy},
    input::{Input, Integer},
    labs::{
        strategies::{Contents, Snapshot, StepResult},
        support::{
            fields::{Field, text},
            result_store::RunToken,
            timeline::Timeline,
        },
    },
    web::{
        error::{Error, Result},
        filters,
        form::BadInput,
        form_view::{FieldView, FormView},
        known_ids::KnownIds,
        nav::{self, Link},
        page::Page,
        pages::{
            policies::{self, PolicyName},
            profiles::DelayMs,
        },
        state::WorkerState,
    },
};

/// Delays to choose from, in milliseconds.
const DELAYS: [u32; 5] = [0, 50, 200, 500, 2_000];

const POLICY: Field = text("policy", "Policy", 32, "");
const ID_FIELD: Field = text("id", "Profile id", 64, ID_DEFAULT);
const DELAY_FIELD: Field = Field {
    name: "delay_ms",
    label: "Simulated database delay",
    kind: DelayMs::KIND,
    default: "200",
};

/// A policy, one profile, and the steps of the session.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "strategies.html")]
pub struct StrategiesPage {
    /// Error, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Name of the caching policy.
    policy: &'static str,
    /// Id of the profile.
    id: UserId,
    /// Simulated latency of each database read, in milliseconds.
    delay_ms: u32,
    /// Token of the session, to continue it; null before the first step.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Last steps of the session in order, each with the state after it.
    acts: Vec<StepResult>,
    /// Timeline of the last step, or of the requested one.
    timeline: Option<Timeline>,
    /// Current state of database, Redis and near cache.
    now: Snapshot,
    /// All strategies.
    strategies: Vec<StrategyRow>,
    /// Durability of pending write-behind writes on the connected Redis.
    persistence: Persistence,
    #[serde(skip)]
    about: &'static str,
    /// Finding of the demo, if the steps are one.
    #[serde(skip)]
    finding: Option<&'static str>,
    /// Number of the step whose timeline is shown.
    #[serde(skip)]
    selected: Option<usize>,
    #[serde(skip)]
    known_ids: Arc<KnownIds>,
    /// Whether the requested session is no longer stored.
    #[serde(skip)]
    is_expired: bool,
    #[serde(skip)]
    form: FormView,
}

/// A strategy.
#[derive(Serialize, ToSchema)]
pub struct StrategyRow {
    /// Name.
    name: &'static str,
    /// Policy that uses it.
    policy: &'static str,
    /// Guarantees.
    guarantees: &'static str,
    /// Risks.
    risks: &'static str,
}

/// Durability of pending write-behind writes.
#[derive(Serialize, ToSchema)]
pub struct Persistence {
    /// Whether Redis writes an append-only file; null while it is unavailable.
    append_only: Option<bool>,
    /// Consequence for pending writes.
    message: String,
}

impl StrategiesPage {
    const LINK: Link = nav::STRATEGIES;

    /// The page with the current state, and the timeline of this step or the last.
    pub fn new(
        app: &WorkerState,
        request: StrategyRequest,
        step: Option<u32>,
        now: Snapshot,
    ) -> Self {
        let is_expired = request.session.is_expired();
        let (token, session) = request.session.found().unzip();
        let acts = session.as_ref().map_or_else(Vec::new, |session| session.acts.clone());
        let run = session.and_then(|session| session.run);
        let number = step.map(|step| step as usize).or(run.map(|run| run.highlight));
        let requested = acts.iter().find(|act| Some(act.number) == number);
        let selected = requested.or(acts.last());
        let unknown = now.is_missing_profile().then(|| Error::NoProfile(request.id.to_string()));
        Self {
            error: unknown.map(|error| error.to_string()),
            policy: request.policy.name,
            delay_ms: request.delay_ms,
            run: token,
            timeline: selected.map(|act| act.timeline.clone()),
            selected: selected.map(|act| act.number),
            acts,
            now,
            strategies: Strategy::ALL.map(StrategyRow::of).into(),
            persistence: Persistence::of(app),
            about: request.policy.about,
            finding: run.map(|run| run.shows),
            known_ids: Arc::clone(&app.shared.known_ids),
            is_expired,
            form: FormView::default(),
            id: request.id,
        }
    }

    /// The page with the current state, and the step that the query names.
    pub(super) async fn current(
        app: &WorkerState,
        query: Result<StrategiesQuery, BadInput>,
    ) -> Result<Page<Self>> {
        let query = query?;
        let step = query.step.map(Integer::get);
        let request = StrategyRequest::new(app, query)?;
        let now = request.runner(app).snapshot().await;
        let page = Self::new(app, request, step, now);
        let is_found = page.error.is_none();
        let status = if is_found { StatusCode::OK } else { StatusCode::NOT_FOUND };
        Ok(Page::new(page).status(status))
    }

    /// The page with the rejected form and the current state.
    pub(super) async fn refused(app: &WorkerState, form: FormView) -> Result<Page<Self>> {
        let query = StrategiesQuery {
            policy: form.parsed("policy").map(PolicyName),
            id: form.parsed("id"),
            delay_ms: form.accepted("delay_ms"),
            run: form.typed("run").filter(|run| !run.is_empty()).map(str::to_owned),
            ..StrategiesQuery::default()
        };
        let request = StrategyRequest::new(app, query)?;
        let now = request.runner(app).snapshot().await;
        Ok(Page::new(Self { form, ..Self::new(app, request, None, now) }))
    }
}

impl StrategyRow {
    fn of(strategy: Strategy) -> Self {
        let (guarantees, risks) = (strategy.guarantees(), strategy.risks());
        Self { name: strategy.name(), policy: strategy.name(), guarantees, risks }
    }
}

impl Persistence {
    fn of(app: &WorkerState) -> Self {
        let sample = app.latest.get();
        let Some(server) = &sample.redis.server else { return Self::unknown() };
        let server_name = format!("The connected {} {}", server.name, server.version);
        let message = match server.append_only {
            true => format!(
                "{server_name} writes an append-only file, so pending writes survive a crash of \
                 Redis. A power failure loses about one second of writes with appendfsync \
                 everysec, and none with always."
            ),
            false => format!(
                "{server_name} writes no append-only file, so a crash of Redis loses every write \
                 that is acknowledged but not flushed."
            ),
        };
        Self { append_only: Some(server.append_only), message }
    }

    fn unknown() -> Self {
        let message = "Redis is unavailable, so no writes are pending: each write goes directly to \
                       the database.";
        Self { append_only: None, message: message.to_owned() }
    }
}

// Methods for the template.
impl StrategiesPage {
    fn policy_field(&self) -> FieldView {
        self.form.field(&POLICY, self.policy).with_choices(policies::choices()).growing()
    }

    fn id_field(&self) -> FieldView {
        self.form.field(&ID_FIELD, &self.id).of_a_profile()
    }

    fn delay_field(&self) -> FieldView {
        let choices = policies::delays(&DELAYS, Some(self.delay_ms));
        self.form.field(&DELAY_FIELD, self.delay_ms).with_choices(choices).growing()
    }

    fn sequence(&self) -> Option<Sequence<'_>> {
        self.timeline.as_ref().map(Sequence::of)
    }

    /// URL of the timeline of a step.
    fn step_url(&self, number: &usize) -> String {
        let (Self { policy, id, delay_ms, .. }, path) = (self, nav::STRATEGIES.path);
        let run = self.run.map(|run| run.to_string()).unwrap_or_default();
        format!(
            "{path}?policy={policy}&id={id}&delay_ms={delay_ms}&run={run}&step={number}#timeline"
        )
    }

    /// Whether Redis failed during one of the steps.
    fn has_unknown_state(&self) -> bool {
        self.acts.iter().any(|act| act.snapshot.redis.contents == Contents::Unknown)
    }

    /// Id for a demo: that of an existing profile.
    fn run_id(&self) -> &UserId {
        let known = self.known_ids.first().filter(|_| self.error.is_some());
        known.unwrap_or(&self.id)
    }

    fn is_chosen(&self, row: &StrategyRow) -> bool {
        row.policy == self.policy
    }

    fn is_selected(&self, number: &usize) -> bool {
        self.selected == Some(*number)
    }
}
