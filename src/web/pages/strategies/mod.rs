//! `/strategies` — runs a policy on one profile, step by step: the state of database,
//! Redis and near cache after each step, and its timeline.

mod request;
mod sequence;
mod view;

use std::sync::Arc;

use actix_web::{HttpRequest, web::Data};

use self::{
    request::{StrategiesQuery, StrategyAct, StrategyForm, StrategyRequest},
    view::StrategiesPage,
};
use crate::{
    labs::{
        strategies::{StepResult, StrategyRun, StrategySession, StrategyStep},
        support::result_store::{RequestedRun, RunToken},
    },
    web::{
        error::{Error, Result},
        form::{self, Body},
        form_view::or_refused,
        page::{CACHE_STATUS, Page, run_to_completion},
        state::WorkerState,
    },
};

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
    let page = StrategiesPage::current(&app, form::query(&request)).await;
    let refused = async |form| StrategiesPage::refused(&app, form).await;
    or_refused(page, &request, || form::sent(&request), refused).await
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
    let refused = async |form| StrategiesPage::refused(&app, form).await;
    or_refused(perform(&app, &body).await, &request, || body.sent(), refused).await
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
