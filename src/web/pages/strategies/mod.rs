//! `/strategies` — a policy tried on one profile, step by step: what database,
//! Redis and near cache hold after each, and the timeline of how it went.

mod asked;
mod sequence;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use hitrate_cache::{CachePolicy, Strategy};
use serde::Serialize;
use utoipa::ToSchema;

use self::{
    asked::{Asked, ID, StrategiesQuery, StrategyAct, StrategyForm},
    sequence::Sequence,
};
use super::{policies::PolicyName, profiles::DelayMs};
use crate::{
    demo::model::UserId,
    input::{Input, Integer},
    labs::{
        strategies::{
            Contents, Snapshot, StepResult, StrategyRun, StrategyRunner, StrategySession,
            StrategyStep,
        },
        support::{
            fields::{Field, text},
            result_store::{RequestedRun, RunToken},
            timeline::Timeline,
        },
    },
    web::{
        error::{Error, Result},
        form::{self, Body},
        form_view::{Choice, FieldView, FormView},
        nav::{self, Link},
        page::{self, CACHE_STATUS, Page, run_to_completion},
        state::WorkerState,
    },
};

/// What the form offers, in milliseconds.
const DELAYS: [u32; 5] = [0, 50, 200, 500, 2_000];

const POLICY: Field = text("policy", "Policy", 32, "");
const ID_FIELD: Field = text("id", "Profile id", 64, ID);
const DELAY_FIELD: Field = Field {
    name: "delay_ms",
    label: "Simulated database delay",
    kind: DelayMs::KIND,
    default: "200",
};

/// A policy tried on one profile.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "strategies.html")]
pub struct StrategiesPage {
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How the profile is cached.
    policy: &'static str,
    /// Whose profile.
    id: UserId,
    /// Simulated latency of each read of the database, in milliseconds.
    delay_ms: u32,
    /// The token of this visit, to go on with; null before the first act.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// The last acts of this visit, the latest last, and what was held where after each.
    acts: Vec<StepResult>,
    /// How the last of them went, or the one that was asked for.
    timeline: Option<Timeline>,
    /// What is held where at the moment.
    now: Snapshot,
    /// Every strategy.
    strategies: Vec<StrategyRow>,
    /// What the connected Redis means for writes that wait.
    persistence: Persistence,
    #[serde(skip)]
    about: &'static str,
    /// What the acts show, when they are a run.
    #[serde(skip)]
    shows: Option<&'static str>,
    /// The act whose timeline is shown.
    #[serde(skip)]
    told: Option<usize>,
    #[serde(skip)]
    known_ids: Arc<Vec<UserId>>,
    /// Whether the request names a visit that is not kept any more.
    #[serde(skip)]
    is_gone: bool,
    #[serde(skip)]
    form: FormView,
}

/// A strategy, for someone who has to choose.
#[derive(Serialize, ToSchema)]
pub struct StrategyRow {
    /// What it is called.
    name: &'static str,
    /// The policy that shows it.
    policy: &'static str,
    /// What one can rely on.
    guarantees: &'static str,
    /// What one has to live with.
    risks: &'static str,
}

/// What becomes of waiting writes when the connected Redis ends.
#[derive(Serialize, ToSchema)]
pub struct Persistence {
    /// Whether it writes an append-only file; null while it is away.
    append_only: Option<bool>,
    /// What that means, in a sentence or two.
    message: String,
}

/// Shows what is held where, the visit so far, and every strategy.
#[utoipa::path(
    get, path = "/strategies", operation_id = "strategies",
    params(
        ("policy" = Option<String>, Query, description = "How it is cached: none, plain, default, near, write-through, write-around, write-behind or refresh-ahead"),
        ("id" = Option<String>, Query, description = "Whose profile; 123 when left out"),
        ("delay_ms" = Option<u32>, Query, description = "Simulated database latency, 0 to 5000; 200 when left out"),
        ("run" = Option<String>, Query, description = "The token of a visit, as a POST returned it"),
        ("step" = Option<u32>, Query, description = "The number of the act whose timeline is told; the last when left out"),
    ),
    responses(
        (status = 200, description = "What is held where", body = StrategiesPage),
        (status = 404, description = "No such profile", body = StrategiesPage),
    )
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<StrategiesPage>> {
    let query: StrategiesQuery = form::query(&request)?;
    let step = query.step.map(Integer::get);
    let asked = Asked::of(&app, query)?;
    let now = asked.runner(&app).snapshot().await;
    let is_nobody = now.is_missing_profile();
    let mut page = StrategiesPage::new(&app, asked, step, now);
    if !is_nobody {
        return Ok(Page::new(page));
    }
    page.error = Some(Error::NoProfile(page.id.to_string()).to_string());
    Ok(Page::new(page).status(StatusCode::NOT_FOUND))
}

/// Does something to the profile, and notes what is held where after it.
#[utoipa::path(
    post, path = "/strategies", operation_id = "try_strategy",
    request_body(content(
        (StrategyForm = "application/json"),
        (StrategyForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = StrategiesPage),
        (status = 303, description = "Done; to the page that tells it"),
        (status = 400, description = "The id is none"),
        (status = 404, description = "No such profile"),
        (status = 422, description = "A value is out of range"),
        (status = 503, description = "The database does not answer, and there is no copy to serve"),
    )
)]
pub async fn act(app: Data<WorkerState>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let headers = request.headers();
    match tried(&app, &body).await {
        Ok((asked, run, last)) => {
            let (address, now) = (asked.address(run), last.snapshot);
            let page = Page::new(StrategiesPage::new(&app, asked, None, now));
            let page = last
                .cache_status
                .into_iter()
                .fold(page, |page, status| page.header(CACHE_STATUS, status));
            Ok(page.or_redirect(headers, &address))
        }
        Err(error) if page::wants_json(headers) => Err(error),
        Err(error) => {
            let page = Page::new(StrategiesPage::refused(&app, &body, &error).await?);
            Ok(error.on(page).respond(headers))
        }
    }
}

/// The visit after an act, its token, and the last step.
async fn tried(app: &Data<WorkerState>, body: &Body) -> Result<(Asked, RunToken, StepResult)> {
    let StrategyForm { act, policy, id, delay_ms, run } = body.parse()?;
    let query = StrategiesQuery { policy, id, delay_ms, run, step: None };
    let mut asked = Asked::of(app, query)?;
    let runner = asked.runner(app);
    if runner.snapshot().await.is_missing_profile() {
        return Err(Error::NoProfile(asked.id.to_string()));
    }
    let acts = run_to_completion(perform(runner, act)).await?;
    let last = acts.last().expect("an act is at least one move").clone();
    let (run, visit) = note(app, &asked, act, acts);
    asked.visit = RequestedRun::Found(run, visit);
    Ok((asked, run, last))
}

async fn perform(runner: StrategyRunner, act: StrategyAct) -> Result<Vec<StepResult>> {
    let step = match act {
        StrategyAct::Read => StrategyStep::Read,
        StrategyAct::Write => StrategyStep::Write,
        StrategyAct::Invalidate => StrategyStep::Invalidate,
        StrategyAct::Run => return Ok(runner.run().await?),
    };
    Ok(vec![runner.act(step).await?])
}

/// A run is a visit of its own; a single act goes on with the one before.
fn note(
    app: &WorkerState,
    asked: &Asked,
    act: StrategyAct,
    acts: Vec<StepResult>,
) -> (RunToken, Arc<StrategySession>) {
    let (visits, id) = (&app.shared.visits, asked.id.clone());
    match (act, &asked.visit) {
        (StrategyAct::Run, _) => {
            visits.add(StrategySession::of_run(id, StrategyRun::of(&asked.policy), acts))
        }
        (_, RequestedRun::Found(run, before)) => {
            let visit = acts.into_iter().fold(StrategySession::clone(before), StrategySession::and);
            (*run, visits.put(*run, visit))
        }
        _ => visits.add(acts.into_iter().fold(StrategySession::new(id), StrategySession::and)),
    }
}

impl StrategiesPage {
    const LINK: Link = nav::STRATEGIES;

    fn new(app: &WorkerState, asked: Asked, step: Option<u32>, now: Snapshot) -> Self {
        let is_gone = asked.visit.is_expired();
        let (token, visit) = asked.visit.found().unzip();
        let acts = visit.as_ref().map_or_else(Vec::new, |visit| visit.acts.clone());
        let run = visit.and_then(|visit| visit.run);
        let wanted = step.map(|step| step as usize).or(run.map(|run| run.highlight));
        let wanted = acts.iter().find(|act| Some(act.number) == wanted);
        let told = wanted.or(acts.last());
        Self {
            error: None,
            policy: asked.policy.name,
            delay_ms: asked.delay_ms,
            run: token,
            timeline: told.map(|act| act.timeline.clone()),
            told: told.map(|act| act.number),
            acts,
            now,
            strategies: Strategy::ALL.map(StrategyRow::of).into(),
            persistence: Persistence::of(app),
            about: asked.policy.about,
            shows: run.map(|run| run.shows),
            known_ids: Arc::clone(&app.shared.known_ids),
            is_gone,
            form: FormView::default(),
            id: asked.id,
        }
    }
}

impl StrategiesPage {
    /// The form as it was sent, beside what is held where.
    async fn refused(app: &WorkerState, body: &Body, error: &Error) -> Result<Self> {
        let form = FormView::refused(body, error);
        let query = StrategiesQuery {
            policy: form.typed("policy").and_then(|name| name.parse().ok()).map(PolicyName),
            id: form.typed("id").and_then(|id| id.parse().ok()),
            delay_ms: form.accepted("delay_ms"),
            run: form.typed("run").filter(|run| !run.is_empty()).map(str::to_owned),
            ..StrategiesQuery::default()
        };
        let asked = Asked::of(app, query)?;
        let now = asked.runner(app).snapshot().await;
        let page = Self::new(app, asked, None, now);
        Ok(match error {
            Error::NoProfile(_) => Self { error: Some(error.to_string()), ..page },
            _ => Self { form, ..page },
        })
    }
}

impl StrategyRow {
    fn of(strategy: Strategy) -> Self {
        let (guarantees, risks) = (strategy.guarantees(), strategy.risks());
        Self { name: strategy.name(), policy: strategy.policy(), guarantees, risks }
    }
}

impl Persistence {
    fn of(app: &WorkerState) -> Self {
        let sample = app.latest.get();
        let Some(server) = &sample.redis.server else { return Self::away() };
        let who = format!("The connected {} {}", server.name, server.version);
        let message = match server.append_only {
            true => format!(
                "{who} writes an append-only file: when it is killed, what it acknowledged is \
                 there again after its start. With appendfsync always not even a power cut takes \
                 anything; with everysec it takes about the last second."
            ),
            false => format!(
                "{who} writes no append-only file: when it is killed, every write that was \
                 acknowledged and not flushed yet is lost."
            ),
        };
        Self { append_only: Some(server.append_only), message }
    }

    fn away() -> Self {
        let message = "Redis can't be reached at the moment, so no write waits there: each goes \
                       to the database at once.";
        Self { append_only: None, message: message.to_owned() }
    }
}

// What the template asks for.
impl StrategiesPage {
    fn policy_field(&self) -> FieldView {
        let choice = |policy: CachePolicy| Choice {
            value: policy.name.to_owned(),
            label: policy.name.to_owned(),
            chosen: policy.name == self.policy,
        };
        self.form
            .field(&POLICY, self.policy)
            .with_choices(CachePolicy::ALL.map(choice).into())
            .growing()
    }

    fn id_field(&self) -> FieldView {
        self.form.field(&ID_FIELD, &self.id).of_a_profile()
    }

    fn delay_field(&self) -> FieldView {
        let odd = (!DELAYS.contains(&self.delay_ms)).then_some(self.delay_ms);
        let choice = |ms: u32| Choice {
            value: ms.to_string(),
            label: if ms == 0 { "none".to_owned() } else { format!("{ms} ms") },
            chosen: ms == self.delay_ms,
        };
        let choices = DELAYS.into_iter().chain(odd).map(choice).collect();
        self.form.field(&DELAY_FIELD, self.delay_ms).with_choices(choices).growing()
    }

    fn sequence(&self) -> Option<Sequence<'_>> {
        self.timeline.as_ref().map(Sequence::of)
    }

    /// Where the timeline of one act is told.
    fn address_of(&self, number: &usize) -> String {
        let (Self { policy, id, delay_ms, .. }, path) = (self, nav::STRATEGIES.path);
        let run = self.run.map(|run| run.to_string()).unwrap_or_default();
        format!(
            "{path}?policy={policy}&id={id}&delay_ms={delay_ms}&run={run}&step={number}#timeline"
        )
    }

    /// Whether Redis failed under one of the acts.
    fn is_blind(&self) -> bool {
        self.acts.iter().any(|act| act.snapshot.redis.contents == Contents::Unknown)
    }

    /// Whose profile a run takes: one that is there.
    fn run_id(&self) -> &UserId {
        let known = self.known_ids.first().filter(|_| self.error.is_some());
        known.unwrap_or(&self.id)
    }

    fn is_chosen(&self, row: &StrategyRow) -> bool {
        row.policy == self.policy
    }

    fn is_told(&self, number: &usize) -> bool {
        self.told == Some(*number)
    }
}
