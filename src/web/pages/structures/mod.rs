//! `/structures` — Redis's data types, each played by hand on the live server.

mod pictures;
mod stream_live;
mod structure;

use std::collections::BTreeSet;

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::Cookie,
    http::{StatusCode, header},
    web::{Data, Path},
};
use askama::Template;
use hitrate_cache::{
    redis::{RedisError, Refusal},
    trace::Trace,
};
use serde::Serialize;
use utoipa::ToSchema;

use self::{
    stream_live::Listener,
    structure::{StructurePage, Typed},
};
use super::visitor;
use crate::{
    labs::{
        structures::{self, Action, Execution, Playground, PlaygroundError, Structure, Tail},
        support::action::ActionForm,
    },
    web::{
        error::{Error, Result},
        form::{self, Body, Fields, RunQuery},
        form_view::FormView,
        nav::{self, Link},
        page::{Page, run_to_completion},
        state::WorkerState,
    },
};

/// All structures.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "structures.html")]
pub struct StructuresPage {
    structures: Vec<Summary>,
}

/// A structure in the index.
#[derive(Serialize, ToSchema)]
pub struct Summary {
    /// Its address is `/structures/{slug}`.
    slug: &'static str,
    /// What it is called.
    title: &'static str,
    /// What it is.
    about: &'static str,
    /// When to take it.
    good_for: &'static str,
    /// The commands that can be tried.
    commands: Vec<&'static str>,
}

/// Who asks, and for which structure.
struct Asked {
    structure: &'static Structure,
    playground: Playground,
    cookie: Option<Cookie<'static>>,
}

impl Asked {
    fn of(app: &WorkerState, request: &HttpRequest, slug: &str) -> Result<Self> {
        let structure = structures::named(slug).ok_or(Error::NoPage)?;
        let (visitor, cookie) = visitor::of(request);
        let playground = Playground::of(app.store.clone(), &visitor, structure);
        Ok(Self { structure, playground, cookie })
    }

    /// An empty page.
    fn page(&self, app: &WorkerState) -> StructurePage {
        let next_step = app.shared.outcomes.next_step(self.playground.demo());
        StructurePage::new(self.structure, next_step, self.cookie.is_none())
    }

    fn send(self, page: StructurePage, status: StatusCode) -> Page<StructurePage> {
        let page = Page::new(page).status(status).cookie(self.cookie);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => page.header(header::RETRY_AFTER, "1"),
            _ => page,
        }
    }
}

/// The nine of them.
#[utoipa::path(
    get, path = "/structures", operation_id = "structures",
    responses((status = 200, description = "Redis's data types", body = StructuresPage))
)]
pub async fn index() -> Page<StructuresPage> {
    let structures = structures::ALL.iter().map(|it| Summary::of(it)).collect();
    Page::new(StructuresPage { structures })
}

/// One of them: the value as it is, and what an act led to.
#[utoipa::path(
    get, path = "/structures/{slug}", operation_id = "structure",
    params(
        ("slug" = String, Path, description = "strings, hashes, lists, sets, sorted-sets, bitmaps, hyperloglog, geospatial or streams"),
        ("run" = Option<String>, Query, description = "The token of an act, as a POST returned it"),
    ),
    responses(
        (status = 200, description = "The visitor's copy; without Redis, how to play", body = StructurePage),
        (status = 404, description = "No such structure"),
    )
)]
pub async fn show(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
) -> Result<Page<StructurePage>> {
    let asked = Asked::of(&app, &request, &slug)?;
    let RunQuery { run } = form::query(&request)?;
    let run = app.shared.outcomes.requested(run.as_deref(), asked.structure.slug);
    let (trace, is_gone, found) = (Trace::start(), run.is_expired(), run.found());
    let done = found.as_ref().and_then(|(_, outcome)| outcome.last_action.as_ref());
    let look = asked.playground.view(done, &trace).await;
    let mut page = asked.page(&app).looking(look, trace);
    page.is_gone = is_gone;
    Ok(Page::new(match found {
        Some(found) => page.after(found),
        None => page,
    }))
}

/// Does something to the visitor's copy.
#[utoipa::path(
    post, path = "/structures/{slug}", operation_id = "play_structure",
    params(("slug" = String, Path, description = "Which structure")),
    request_body(content(
        (ActionForm = "application/json"),
        (ActionForm = "application/x-www-form-urlencoded"),
    ), description = "`act` is one of the page's acts, with its fields; or `example` (all of it), `step` with `step` = 1 and on, `grow`, or `reset`"),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = StructurePage),
        (status = 303, description = "Done; to the page that tells it"),
        (status = 400, description = "Not understood", body = StructurePage),
        (status = 404, description = "No such structure"),
        (status = 422, description = "Out of range, or refused by Redis, in its own words", body = StructurePage),
        (status = 503, description = "Redis can't be reached, or takes no writes", body = StructurePage),
    )
)]
pub async fn act(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let asked = Asked::of(&app, &request, &slug)?;
    let fields = body.fields()?;
    let playground = asked.playground.clone();
    let played = match fields.action(&asked.structure.actions()) {
        Ok((what, values)) => {
            run_to_completion(async move { playground.perform(what, values).await }).await
        }
        Err(wrong) => Err(PlaygroundError::from(wrong)),
    };
    let (outcome, look) = match played {
        Ok(played) => played,
        Err(failure) => {
            return Ok(failed(&app, asked, &fields, failure).await.respond(request.headers()));
        }
    };
    let status = outcome.refusal.as_ref().map_or(StatusCode::OK, status_of);
    let (run, outcome) = app.shared.outcomes.add(asked.playground.demo(), outcome);
    let address = format!("{}/{}?run={run}", nav::STRUCTURES.path, asked.structure.slug);
    let page = asked.page(&app).looking(Ok(look), Trace::disabled()).after((run, outcome));
    let page = asked.send(page, status);
    Ok(match status {
        StatusCode::OK => page.or_redirect(request.headers(), &address),
        _ => page.respond(request.headers()),
    })
}

/// The visitor's streams as server-sent events: the picture, whenever something
/// came or went.
#[utoipa::path(
    get, path = "/structures/streams/live", operation_id = "live_streams",
    responses(
        (status = 200, description = "A stream of HTML fragments", content_type = "text/event-stream"),
        (status = 204, description = "Who asks has no streams"),
        (status = 503, description = "Too many watch already"),
    )
)]
pub async fn live(app: Data<WorkerState>, request: HttpRequest) -> Result<HttpResponse> {
    let asked = Asked::of(&app, &request, "streams")?;
    if asked.cookie.is_some() {
        // Nobody's streams: a browser does not ask again after this.
        return Ok(HttpResponse::NoContent().finish());
    }
    let viewer = app.shared.viewers.try_acquire().ok_or(Error::TooManyViewers)?;
    Ok(Listener::of(Tail::of(asked.playground), viewer).events())
}

/// The same page, with what is wrong and what was typed.
async fn failed(
    app: &WorkerState,
    asked: Asked,
    fields: &Fields<'_>,
    failure: PlaygroundError,
) -> Page<StructurePage> {
    let status = match &failure {
        PlaygroundError::Invalid(error) if error.is_malformed() => StatusCode::BAD_REQUEST,
        PlaygroundError::Invalid(_) | PlaygroundError::Full(_) => StatusCode::UNPROCESSABLE_ENTITY,
        PlaygroundError::Redis(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let trace = Trace::start();
    let look = match &failure {
        PlaygroundError::Redis(error) => Err(error.clone()),
        _ => asked.playground.view(None, &trace).await,
    };
    let mut page = asked.page(app).looking(look, trace);
    if !matches!(failure, PlaygroundError::Redis(_)) {
        page.error = Some(failure.to_string());
    }
    if let PlaygroundError::Invalid(error) = failure {
        page.form = FormView::of(fields, &error.into());
    }
    page.typed = Typed::sent(asked.structure, fields);
    asked.send(page, status)
}

/// 422 for what is wrong with the command, 503 for what is wrong with the server.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal.error.is_refusal() || refusal.error == RedisError::NotReady {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl Summary {
    fn of(structure: &Structure) -> Self {
        let own = structure
            .acts
            .iter()
            .filter(|act| !matches!(act.run.execution, Execution::ExpectedError(_)));
        let mut commands: Vec<_> = own.flat_map(Action::forms).collect();
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
