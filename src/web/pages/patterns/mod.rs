//! `/patterns` — patterns that applications build from Redis commands: each to try on the
//! visitor's keys, with a trial that compares wrong and right variants.

mod pattern;
pub mod pubsub_live;
mod trial_chart;

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::Cookie,
    http::header::HeaderMap,
    web::{Data, Path},
};
use askama::Template;
use hitrate_cache::trace::Trace;
use serde::Serialize;
use utoipa::ToSchema;

use self::pattern::PatternPage;
use super::visitor;
use crate::{
    format,
    labs::{
        patterns::{self, ActionContext, ActionResult, Args, PatternAction, RedisPattern},
        support::{action::ActionForm, result_store::RequestedRun, visitor_keys::VisitorKeys},
    },
    web::{
        error::{Error, Result, respond},
        form::{self, BadInput, Body, RunQuery},
        form_view::{FormView, or_refused},
        nav::{self, Link},
        page::{self, Page, run_to_completion, see_other},
        state::WorkerState,
    },
};

/// Related pages with a layout of their own, listed last in the index.
const RELATED: &[Link] = &[nav::KEY_NAMES, nav::ROUND_TRIPS];

/// All patterns.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "patterns.html")]
pub struct PatternsPage {
    /// In the order of the index.
    patterns: Vec<PatternRow>,
}

/// A pattern in the index.
#[derive(Serialize, ToSchema)]
pub struct PatternRow {
    /// URL of its page.
    path: String,
    /// Title.
    title: &'static str,
    /// Purpose.
    purpose: &'static str,
    /// Common mistake; null for pages that show none.
    wrong: Option<&'static str>,
}

/// A pattern, and the visitor's keys of it.
#[derive(Clone)]
struct PatternRequest {
    app: Data<WorkerState>,
    pattern: &'static RedisPattern,
    keys: VisitorKeys,
}

/// Returns all patterns.
#[utoipa::path(
    get, path = "/patterns", operation_id = "patterns",
    responses((status = 200, description = "All patterns", body = PatternsPage))
)]
pub async fn index() -> Page<PatternsPage> {
    let of = |it: &&'static RedisPattern| PatternRow {
        path: address(it),
        title: it.title,
        purpose: it.purpose,
        wrong: Some(it.pitfall.wrong),
    };
    let related = |it: &Link| PatternRow {
        path: it.path.to_owned(),
        title: it.title,
        purpose: it.about,
        wrong: None,
    };
    let patterns = patterns::ALL.iter().map(of).chain(RELATED.iter().map(related));
    Page::new(PatternsPage { patterns: patterns.collect() })
}

/// Returns a pattern and the current state of the visitor's keys.
#[utoipa::path(
    get, path = "/patterns/{slug}", operation_id = "pattern",
    params(
        ("slug" = String, Path, description = "Identifier of the pattern, from the index"),
        ("run" = Option<String>, Query, description = "Token of a result, as returned by the POST"),
    ),
    responses(
        (status = 200, description = "The pattern; `state` is null while Redis is unavailable", body = PatternPage),
        (status = 404, description = "No such pattern"),
    )
)]
pub async fn show(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
) -> Result<Page<PatternPage>> {
    let (target, cookie) = PatternRequest::new(app, &request, &slug)?;
    let page = target.shown(form::query(&request)).await;
    let refused = async |form| target.refused(form).await;
    Ok(or_refused(page, &request, || form::sent(&request), refused).await?.cookie(cookie))
}

/// Runs an action on the visitor's keys, or a trial.
#[utoipa::path(
    post, path = "/patterns/{slug}", operation_id = "play_pattern",
    params(("slug" = String, Path, description = "Identifier of the pattern, from the index")),
    request_body(content(
        (ActionForm = "application/json"),
        (ActionForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The result, with `Accept: application/json`", body = PatternPage),
        (status = 303, description = "Done; redirects to the result"),
        (status = 404, description = "No such pattern"),
        (status = 409, description = "Another measurement is running"),
        (status = 422, description = "A value is out of range, or Redis rejected the command"),
        (status = 503, description = "Redis is unavailable"),
    )
)]
pub async fn act(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let (target, cookie) = PatternRequest::new(app, &request, &slug)?;
    let headers = request.headers();
    let response = match target.run(&body).await {
        Ok(result) => target.completed(result, headers).await,
        Err(error) => {
            let refused = async |form| target.refused(form).await;
            respond(
                or_refused(Err::<_, Error>(error), &request, || body.sent(), refused).await,
                headers,
            )
        }
    };
    Ok(visitor::remember(response, cookie))
}

impl PatternRequest {
    /// With the cookie of a new visitor.
    fn new(
        app: Data<WorkerState>,
        request: &HttpRequest,
        slug: &str,
    ) -> Result<(Self, Option<Cookie<'static>>)> {
        let pattern = patterns::named(slug).ok_or(Error::NoPage)?;
        let (visitor, cookie) = visitor::of(request);
        Ok((Self { app, pattern, keys: visitor.keys(pattern.slug) }, cookie))
    }

    /// The page with the requested result.
    async fn shown(&self, query: Result<RunQuery, BadInput>) -> Result<Page<PatternPage>> {
        let (RunQuery { run }, results) = (query?, &self.app.shared.pattern_results);
        let requested = results.requested(run.as_deref(), |it| it.slug == self.pattern.slug);
        Ok(Page::new(PatternPage::of(self, requested).await))
    }

    /// The page with a rejected form.
    async fn refused(&self, form: FormView) -> Result<Page<PatternPage>> {
        let page = PatternPage::of(self, RequestedRun::NotRequested).await;
        Ok(Page::new(page.with_form(form)))
    }

    /// The result as JSON, or a redirect to it.
    async fn completed(&self, result: ActionResult, headers: &HeaderMap) -> HttpResponse {
        let (run, result) = self.app.shared.pattern_results.add(result);
        if page::wants_json(headers) {
            let page = PatternPage::of(self, RequestedRun::Found(run, result)).await;
            return Page::new(page).respond(headers);
        }
        let part = if result.trial.is_some() { "trial" } else { "outcome" };
        see_other(&format!("{}?run={run}#{part}", address(self.pattern))).finish()
    }

    async fn run(&self, body: &Body) -> Result<ActionResult> {
        let (action, values) = body.fields()?.action(&self.pattern.actions())?;
        run_to_completion(self.clone().perform(action, Args::of(values))).await
    }

    async fn perform(self, action: PatternAction, args: Args) -> Result<ActionResult> {
        let Self { app, pattern, keys } = self;
        let trace = Trace::start();
        let context = ActionContext::new(&app.store, &keys, args.clone(), &trace);
        let (act, lines, trial) = match action {
            PatternAction::Act(act) => {
                let lines = (act.run)(&context).await;
                // Keys that it wrote before it failed also belong to the visitor.
                context.register_keys().await?;
                (act.id, lines?, None)
            }
            PatternAction::Trial => {
                let report = app.shared.trials.run(&app.store, pattern, &keys, &args).await?;
                ("trial", Vec::new(), Some(report))
            }
            PatternAction::Reset => {
                let removed = format::counted(&context.reset().await?, "key was", "keys were");
                ("reset", vec![format!("{removed} deleted.")], None)
            }
        };
        Ok(ActionResult { slug: pattern.slug, act, args, lines, trace: trace.spans(), trial })
    }
}

fn address(pattern: &RedisPattern) -> String {
    format!("{}/{}", nav::PATTERNS.path, pattern.slug)
}

impl PatternsPage {
    const LINK: Link = nav::PATTERNS;
}
