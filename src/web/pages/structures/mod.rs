//! `/structures` — Redis's data types, to try on the connected server.

mod pictures;
mod stream_live;
mod structure;

use std::{collections::BTreeSet, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::Cookie,
    web::{Data, Path},
};
use askama::Template;
use hitrate_cache::trace::Trace;
use serde::Serialize;
use utoipa::ToSchema;

use self::{stream_live::StreamFollower, structure::StructurePage};
use super::visitor;
use crate::{
    labs::{
        structures::{
            self, Action, Execution, Playground, PlaygroundAction, PlaygroundError,
            PlaygroundResult, PlaygroundView, Structure, Tail,
        },
        support::{
            action::{ActionForm, Values},
            result_store::RunToken,
        },
    },
    web::{
        error::{Error, Result, respond},
        form::{self, BadInput, Body, RunQuery},
        form_view::{FormView, or_refused},
        nav::{self, Link},
        page::{Page, run_to_completion},
        state::WorkerState,
    },
};

/// All structures.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "structures.html")]
pub struct StructuresPage {
    /// In the order of the index.
    structures: Vec<StructureSummary>,
}

/// A structure in the index.
#[derive(Serialize, ToSchema)]
pub struct StructureSummary {
    /// Identifier in the URL, `/structures/{slug}`.
    slug: &'static str,
    /// Title.
    title: &'static str,
    /// Description.
    about: &'static str,
    /// When to use it.
    good_for: &'static str,
    /// Commands to try.
    commands: Vec<&'static str>,
}

/// A structure, and the visitor's keys of it.
struct StructureRequest {
    structure: &'static Structure,
    playground: Playground,
    /// Set for a new visitor.
    cookie: Option<Cookie<'static>>,
}

impl StructureRequest {
    fn new(app: &WorkerState, request: &HttpRequest, slug: &str) -> Result<Self> {
        let structure = structures::named(slug).ok_or(Error::NoPage)?;
        let (visitor, cookie) = visitor::of(request);
        let playground = Playground::of(app.store.clone(), &visitor, structure);
        Ok(Self { structure, playground, cookie })
    }

    /// A page without content or result.
    fn page(&self, app: &WorkerState) -> StructurePage {
        let next_step = app.shared.playground_results.next_step(self.playground.demo());
        StructurePage::new(self.structure, next_step, self.cookie.is_none())
    }

    /// The page with the current content, and the requested result.
    async fn shown(
        &self,
        app: &WorkerState,
        query: Result<RunQuery, BadInput>,
    ) -> Result<Page<StructurePage>> {
        let (RunQuery { run }, results) = (query?, &app.shared.playground_results);
        let requested = results.requested(run.as_deref(), self.structure.slug);
        let (trace, is_expired, found) =
            (Trace::start(), requested.is_expired(), requested.found());
        let last_action = found.as_ref().and_then(|(_, result)| result.last_action.as_ref());
        let view = self.playground.view(last_action, &trace).await;
        let mut page = self.page(app).with_view(view, trace);
        page.is_expired = is_expired;
        Ok(Page::new(match found {
            Some(found) => page.with_result(found),
            None => page,
        }))
    }

    /// The page with a rejected form.
    async fn refused(&self, app: &WorkerState, form: FormView) -> Page<StructurePage> {
        let trace = Trace::start();
        let view = self.playground.view(None, &trace).await;
        let mut page = self.page(app).with_view(view, trace);
        page.form = form;
        Page::new(page)
    }
}

/// Returns all structures.
#[utoipa::path(
    get, path = "/structures", operation_id = "structures",
    responses((status = 200, description = "All structures", body = StructuresPage))
)]
pub async fn index() -> Page<StructuresPage> {
    let structures = structures::ALL.iter().map(|it| StructureSummary::of(it)).collect();
    Page::new(StructuresPage { structures })
}

/// Returns a structure, its current content, and the result of an action.
#[utoipa::path(
    get, path = "/structures/{slug}", operation_id = "structure",
    params(
        ("slug" = String, Path, description = "strings, hashes, lists, sets, sorted-sets, bitmaps, hyperloglog, geospatial or streams"),
        ("run" = Option<String>, Query, description = "Token of a result, as returned by the POST"),
    ),
    responses(
        (status = 200, description = "The structure; `picture` is null while Redis is unavailable", body = StructurePage),
        (status = 404, description = "No such structure"),
    )
)]
pub async fn show(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
) -> Result<Page<StructurePage>> {
    let target = StructureRequest::new(&app, &request, &slug)?;
    let page = target.shown(&app, form::query(&request)).await;
    let refused = async |form| Ok(target.refused(&app, form).await);
    or_refused(page, &request, || form::sent(&request), refused).await
}

/// Runs an action on the visitor's keys.
#[utoipa::path(
    post, path = "/structures/{slug}", operation_id = "play_structure",
    params(("slug" = String, Path, description = "strings, hashes, lists, sets, sorted-sets, bitmaps, hyperloglog, geospatial or streams")),
    request_body(content(
        (ActionForm = "application/json"),
        (ActionForm = "application/x-www-form-urlencoded"),
    ), description = "`act` is the id of one of the page's actions, sent with its fields; or `example` (all steps of the example), `step` (with `step`, from 1), `grow`, or `reset`"),
    responses(
        (status = 200, description = "The result, with `Accept: application/json`", body = StructurePage),
        (status = 303, description = "Done; redirects to the result"),
        (status = 400, description = "A field is malformed"),
        (status = 404, description = "No such structure"),
        (status = 422, description = "A value is out of range; or Redis rejected the command, with the result, whose `error` is its reply", body = StructurePage),
        (status = 503, description = "Redis is unavailable or rejects writes"),
    )
)]
pub async fn act(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let target = StructureRequest::new(&app, &request, &slug)?;
    let refused = async |form| Ok(target.refused(&app, form).await);
    let page = run(&app, &target, &body).await;
    let page = or_refused(page, &request, || body.sent(), refused).await;
    Ok(visitor::remember(respond(page, request.headers()), target.cookie))
}

async fn run(
    app: &Data<WorkerState>,
    target: &StructureRequest,
    body: &Body,
) -> Result<Page<StructurePage>> {
    let (action, values) = body.fields()?.action(&target.structure.actions())?;
    let ((run, result), view) =
        run_to_completion(perform(app.clone(), target.playground.clone(), action, values)).await?;
    let refusal = result.refusal.clone();
    let page = target.page(app).with_view(Ok(view), Trace::disabled()).with_result((run, result));
    let url = format!("{}/{}?run={run}", nav::STRUCTURES.path, target.structure.slug);
    Ok(match refusal {
        Some(refusal) => Error::from(refusal).on(Page::new(page)),
        None => Page::new(page).or_redirect(url),
    })
}

/// Runs an action and stores its result, which determines the next step of the example.
async fn perform(
    app: Data<WorkerState>,
    playground: Playground,
    action: PlaygroundAction,
    values: Values,
) -> Result<(StoredResult, PlaygroundView), PlaygroundError> {
    let (result, view) = playground.perform(action, values).await?;
    Ok((app.shared.playground_results.add(playground.demo(), result), view))
}

/// A result and its token.
type StoredResult = (RunToken, Arc<PlaygroundResult>);

/// Streams the picture of the visitor's streams as server-sent events, one per change.
#[utoipa::path(
    get, path = "/structures/streams/live", operation_id = "live_streams",
    responses(
        (status = 200, description = "Server-sent events, each an HTML fragment", content_type = "text/event-stream"),
        (status = 204, description = "A visitor without a cookie has no streams"),
        (status = 503, description = "Too many live connections"),
    )
)]
pub async fn live(app: Data<WorkerState>, request: HttpRequest) -> Result<HttpResponse> {
    let target = StructureRequest::new(&app, &request, "streams")?;
    if target.cookie.is_some() {
        // A new visitor has no streams. A browser does not reconnect after 204.
        return Ok(HttpResponse::NoContent().finish());
    }
    let permit = app.shared.viewers.try_acquire().ok_or(Error::TooManyViewers)?;
    Ok(StreamFollower::new(Tail::of(target.playground), permit).response())
}

impl StructureSummary {
    fn of(structure: &Structure) -> Self {
        let acts = structure
            .acts
            .iter()
            .filter(|act| !matches!(act.run.execution, Execution::ExpectedError(_)));
        let mut commands: Vec<_> = acts.flat_map(Action::forms).collect();
        commands.iter_mut().for_each(|form| *form = form.split(' ').next().unwrap_or_default());
        let mut seen = BTreeSet::new();
        commands.retain(|verb| seen.insert(*verb));
        let Structure { slug, title, about, good_for, .. } = *structure;
        Self { slug, title, about, good_for, commands }
    }
}

impl StructuresPage {
    const LINK: Link = nav::STRUCTURES;
}
