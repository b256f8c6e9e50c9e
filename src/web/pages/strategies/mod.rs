//! `/strategies` — runs a policy on one profile, step by step: the state of database,
//! Redis and near cache after each step, and its timeline.

mod request;
mod sequence;

use std::sync::Arc;

use actix_web::{HttpRequest, http::StatusCode, web::Data};
use askama::Template;
use hitrate_cache::Strategy;
use serde::Serialize;
use utoipa::ToSchema;

use self::{
    request::{ID_DEFAULT, StrategiesQuery, StrategyAct, StrategyForm, StrategyRequest},
    sequence::Sequence,
};
use super::{
    policies::{self, PolicyName},
    profiles::DelayMs,
};
use crate::{
    demo::model::UserId,
    input::{Input, Integer},
    labs::{
        strategies::{Contents, Snapshot, StepResult, StrategyRun, StrategySession, StrategyStep},
        support::{
            fields::{Field, text},
            result_store::{RequestedRun, RunToken},
            timeline::Timeline,
        },
    },
    web::{
        error::{Error, Result},
        filters,
        form::{self, Body},
        form_view::{FieldView, FormView, refused, refused_query},
        nav::{self, Link},
        page::{CACHE_STATUS, Page, run_to_completion},
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
    known_ids: Arc<Vec<UserId>>,
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

/// Returns the current state, the steps of a session, and all strategies.
#[utoipa::path(
    get, path = "/strategies", operation_id = "strategies",
    params(
        ("policy" = Option<String>, Query, description = "Caching policy: none, cache-aside, read-through, near-cache, write-through, write-around, write-behind or refresh-ahead; defaults to the configured one"),
        ("id" = Option<String>, Query, description = "Id of the profile; defaults to 123"),
        ("delay_ms" = Option<u32>, Query, description = "Simulated latency of each database read in milliseconds, 0 to 5000; defaults to 200"),
        ("run" = Option<String>, Query, description = "Token of a session, as returned by the POST"),
        ("step" = Option<u32>, Query, description = "Number of the step whose timeline to return; defaults to the last one"),
    ),
    responses(
        (status = 200, description = "The current state and the steps", body = StrategiesPage),
        (status = 404, description = "No such profile", body = StrategiesPage),
    )
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<StrategiesPage>> {
    match form::query(&request) {
        Ok(query) => StrategiesPage::current(&app, query).await,
        Err(error) => {
            let page = async |form| StrategiesPage::refused(&app, form).await;
            refused_query(&request, error, page).await
        }
    }
}

/// Runs an action on the profile, and records the state after it.
#[utoipa::path(
    post, path = "/strategies", operation_id = "try_strategy",
    request_body(content(
        (StrategyForm = "application/json"),
        (StrategyForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The result, with `Accept: application/json`", body = StrategiesPage),
        (status = 303, description = "Done; redirects to the result"),
        (status = 400, description = "The id is malformed"),
        (status = 404, description = "No such profile"),
        (status = 422, description = "A value is out of range"),
        (status = 503, description = "The database failed, and there is no copy to serve"),
    )
)]
pub async fn act(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<StrategiesPage>> {
    match perform(&app, &body).await {
        Err(error) => {
            let page = async |form| StrategiesPage::refused(&app, form).await;
            refused(&request, &body.sent(), error, page).await
        }
        page => page,
    }
}

async fn perform(app: &Data<WorkerState>, body: &Body) -> Result<Page<StrategiesPage>> {
    let StrategyForm { act, policy, id, delay_ms, run } = body.parse()?;
    let query = StrategiesQuery { policy, id, delay_ms, run, step: None };
    let request = StrategyRequest::new(app, query)?;
    if request.runner(app).snapshot().await.is_missing_profile() {
        return Err(Error::NoProfile(request.id.to_string()));
    }
    run_to_completion(run_steps(app.clone(), request, act)).await
}

async fn run_steps(
    app: Data<WorkerState>,
    mut request: StrategyRequest,
    act: StrategyAct,
) -> Result<Page<StrategiesPage>> {
    let runner = request.runner(&app);
    let acts = match act {
        StrategyAct::Read => vec![runner.act(StrategyStep::Read).await?],
        StrategyAct::Write => vec![runner.act(StrategyStep::Write).await?],
        StrategyAct::Invalidate => vec![runner.act(StrategyStep::Invalidate).await?],
        StrategyAct::Run => runner.run().await?,
    };
    let last = acts.last().expect("an action has at least one step").clone();
    let (run, session) = record(&app, &request, act, acts);
    request.session = RequestedRun::Found(run, session);
    let url = request.url(run);
    let page = Page::new(StrategiesPage::new(&app, request, None, last.snapshot)).or_redirect(url);
    Ok(match last.cache_status {
        Some(status) => page.header(CACHE_STATUS, status),
        None => page,
    })
}

/// Stores the steps: a demo in a new session, a single step in the one it continues.
fn record(
    app: &WorkerState,
    request: &StrategyRequest,
    act: StrategyAct,
    acts: Vec<StepResult>,
) -> (RunToken, Arc<StrategySession>) {
    let (sessions, id) = (&app.shared.strategy_sessions, request.id.clone());
    match (act, &request.session) {
        (StrategyAct::Run, _) => {
            sessions.add(StrategySession::of_run(id, StrategyRun::of(&request.policy), acts))
        }
        (_, RequestedRun::Found(run, before)) => {
            let session =
                acts.into_iter().fold(StrategySession::clone(before), StrategySession::and);
            (*run, sessions.put(*run, session))
        }
        _ => sessions.add(acts.into_iter().fold(StrategySession::new(id), StrategySession::and)),
    }
}

impl StrategiesPage {
    const LINK: Link = nav::STRATEGIES;

    fn new(app: &WorkerState, request: StrategyRequest, step: Option<u32>, now: Snapshot) -> Self {
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
    async fn current(app: &WorkerState, query: StrategiesQuery) -> Result<Page<Self>> {
        let step = query.step.map(Integer::get);
        let request = StrategyRequest::new(app, query)?;
        let now = request.runner(app).snapshot().await;
        let page = Self::new(app, request, step, now);
        let is_found = page.error.is_none();
        let status = if is_found { StatusCode::OK } else { StatusCode::NOT_FOUND };
        Ok(Page::new(page).status(status))
    }

    /// The page with the rejected form and the current state.
    async fn refused(app: &WorkerState, form: FormView) -> Result<Page<Self>> {
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
