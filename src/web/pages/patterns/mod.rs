//! `/patterns` — patterns that applications build from Redis commands: each to try on the
//! visitor's keys, with a trial that compares wrong and right variants.

pub mod pubsub_live;
mod trial_chart;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::HeaderMap,
    web::{Data, Path},
};
use askama::Template;
use hitrate_cache::trace::{Span, Trace};
use serde::Serialize;
use utoipa::ToSchema;

use self::trial_chart::TrialBar;
use super::{visitor, waterfall::Waterfall};
use crate::{
    labs::{
        patterns::{
            self, Action, ActionContext, ActionError, ActionFn, ActionResult, Args, PatternAction,
            RedisPattern, Statistic, StoredKey, TrialReport,
        },
        support::{
            action::ActionForm,
            fields::Field,
            result_store::{RequestedRun, RunToken},
            visitor_keys::VisitorKeys,
        },
    },
    schemas,
    web::{
        error::{Error, Result, respond},
        filters,
        form::{self, Body, RunQuery},
        form_view::{FieldView, FormView, refused, refused_query},
        nav::{self, Link},
        page::{self, Page, run_to_completion, see_other},
        state::WorkerState,
    },
};

/// Related pages with a layout of their own, listed last in the index.
const RELATED: &[Link] = &[nav::KEY_NAMES, nav::ROUND_TRIPS];

/// Maximum number of spans in the trace of a page. JSON has all of them.
const SPANS_MAX: usize = 15;

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

/// A pattern: the visitor's keys, and the result of an action or a trial.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "pattern.html")]
pub struct PatternPage {
    /// Identifier in the URL.
    slug: &'static str,
    /// Title.
    title: &'static str,
    /// Error, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Token of the result, valid for 30 minutes as `?run=`; null without a result.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Id of the last action; null without a result.
    act: Option<&'static str>,
    /// Messages about its result.
    lines: Vec<String>,
    /// Current state in one sentence; null if the pattern has none.
    now: Option<String>,
    /// The visitor's keys and their content; null while Redis is unavailable.
    state: Option<Vec<StoredKey>>,
    /// Figures computed from the keys.
    statistics: Vec<Statistic>,
    /// Redis commands of the action, or of this request if there is no result.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// Report of the trial; null if the action was not a trial.
    trial: Option<TrialReport>,
    #[serde(skip)]
    pattern: &'static RedisPattern,
    #[serde(skip)]
    args: Args,
    #[serde(skip)]
    form: FormView,
    /// Whether the requested result is no longer stored.
    #[serde(skip)]
    is_expired: bool,
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
    let pattern = patterns::named(&slug).ok_or(Error::NoPage)?;
    let (visitor, cookie) = visitor::of(&request);
    let (keys, results) = (visitor.keys(pattern.slug), &app.shared.pattern_results);
    let page = match form::query(&request) {
        Ok(RunQuery { run }) => {
            let requested = results.requested(run.as_deref(), |it| it.slug == pattern.slug);
            Page::new(PatternPage::of(&app, pattern, &keys, requested).await)
        }
        Err(error) => {
            let page = async |form| Ok(PatternPage::refused(&app, pattern, &keys, form).await);
            refused_query(&request, error, page).await?
        }
    };
    Ok(page.cookie(cookie))
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
    let pattern = patterns::named(&slug).ok_or(Error::NoPage)?;
    let (visitor, cookie) = visitor::of(&request);
    let (keys, headers) = (visitor.keys(pattern.slug), request.headers());
    let response = match run(&app, pattern, &keys, &body).await {
        Ok(result) => completed(&app, pattern, &keys, result, headers).await,
        Err(error) => {
            let page = async |form| Ok(PatternPage::refused(&app, pattern, &keys, form).await);
            respond(refused(&request, &body.sent(), error, page).await, headers)
        }
    };
    Ok(visitor::remember(response, cookie))
}

/// The result as JSON, or a redirect to it.
async fn completed(
    app: &WorkerState,
    pattern: &'static RedisPattern,
    keys: &VisitorKeys,
    result: ActionResult,
    headers: &HeaderMap,
) -> HttpResponse {
    let (run, result) = app.shared.pattern_results.add(result);
    if page::wants_json(headers) {
        let requested = RequestedRun::Found(run, result);
        return Page::new(PatternPage::of(app, pattern, keys, requested).await).respond(headers);
    }
    let part = if result.trial.is_some() { "trial" } else { "outcome" };
    see_other(&format!("{}?run={run}#{part}", address(pattern))).finish()
}

fn address(pattern: &RedisPattern) -> String {
    format!("{}/{}", nav::PATTERNS.path, pattern.slug)
}

async fn run(
    app: &Data<WorkerState>,
    pattern: &'static RedisPattern,
    keys: &VisitorKeys,
    body: &Body,
) -> Result<ActionResult> {
    let (requested, values) = body.fields()?.action(&pattern.actions())?;
    let (app, keys, args) = (app.clone(), keys.clone(), Args::of(values));
    run_to_completion(perform(app, pattern, keys, requested, args)).await
}

async fn perform(
    app: Data<WorkerState>,
    pattern: &'static RedisPattern,
    keys: VisitorKeys,
    requested: PatternAction,
    args: Args,
) -> Result<ActionResult> {
    let trace = Trace::start();
    let (act, lines, trial) = match requested {
        PatternAction::Act(act) => {
            let context = ActionContext::new(&app.store, &keys, args.clone(), &trace);
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
            let removed =
                ActionContext::new(&app.store, &keys, Args::default(), &trace).reset().await?;
            let keys = crate::format::counted(&removed, "key was", "keys were");
            ("reset", vec![format!("{keys} deleted.")], None)
        }
    };
    Ok(ActionResult { slug: pattern.slug, act, args, lines, trace: trace.spans(), trial })
}

/// The keys and the figures computed from them.
type KeyState = (Vec<StoredKey>, Vec<Statistic>);

async fn key_state(
    context: &ActionContext,
    pattern: &RedisPattern,
) -> Result<KeyState, ActionError> {
    let entries = patterns::state(context).await?;
    let statistics = match pattern.statistics {
        Some(statistics) if !entries.is_empty() => statistics(context).await?,
        _ => Vec::new(),
    };
    Ok((entries, statistics))
}

impl PatternPage {
    const LINK: Link = nav::PATTERNS;

    async fn of(
        app: &WorkerState,
        pattern: &'static RedisPattern,
        keys: &VisitorKeys,
        requested: RequestedRun<ActionResult>,
    ) -> Self {
        let (trace, is_expired) = (Trace::start(), requested.is_expired());
        let (run, result) = requested.found().unzip();
        let args = result.as_ref().map_or_else(Args::default, |result| result.args.clone());
        let filled = pattern.filled(&args);
        let loaded =
            key_state(&ActionContext::new(&app.store, keys, filled, &trace), pattern).await;
        let (loaded, error) = match loaded {
            Ok(loaded) => (Some(loaded), None),
            Err(error) => (None, Some(format!("Your keys can't be read: {error}."))),
        };
        let now = loaded.as_ref().and_then(|(entries, _)| Some((pattern.status?)(entries)));
        let (state, statistics) = loaded.unzip();
        Self {
            slug: pattern.slug,
            title: pattern.title,
            error,
            run,
            act: result.as_ref().map(|it| it.act),
            lines: result.as_ref().map_or_else(Vec::new, |it| it.lines.clone()),
            now,
            state,
            statistics: statistics.unwrap_or_default(),
            trace: result.as_ref().map_or_else(|| trace.spans(), |it| it.trace.clone()),
            trial: result.and_then(|it| it.trial.clone()),
            pattern,
            args,
            form: FormView::default(),
            is_expired,
        }
    }

    /// The page with a rejected form.
    async fn refused(
        app: &WorkerState,
        pattern: &'static RedisPattern,
        keys: &VisitorKeys,
        form: FormView,
    ) -> Page<Self> {
        let page = Self::of(app, pattern, keys, RequestedRun::NotRequested).await;
        Page::new(Self { form, ..page })
    }
}

// Methods for the templates.
impl PatternsPage {
    const LINK: Link = nav::PATTERNS;
}

impl PatternPage {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace[..self.trace.len().min(SPANS_MAX)])
    }

    /// Number of spans that the page omits.
    fn omitted(&self) -> u64 {
        self.trace.len().saturating_sub(SPANS_MAX) as u64
    }

    /// The actions of each form: adjacent actions with the same fields share one.
    fn forms(&self) -> impl Iterator<Item = &'static [Action<ActionFn>]> {
        self.pattern.acts.chunk_by(patterns::have_same_fields)
    }

    /// A field of the form for these actions, with its last value.
    fn act_field(&self, acts: &[Action<ActionFn>], field: &Field) -> FieldView {
        let ids: Vec<_> = acts.iter().map(|act| act.id).collect();
        self.form.field_of(&ids, field, self.args.shown(field))
    }

    fn trial_field(&self, field: &Field) -> FieldView {
        self.form.field_of(&["trial"], field, self.args.shown(field))
    }

    /// Milliseconds until the page reloads: two seconds after the first key expires.
    fn reload_ms(&self) -> Option<u64> {
        let entries = self.state.as_ref().filter(|_| self.now.is_some())?;
        entries.iter().filter_map(|entry| entry.ttl_ms).min().map(|ms| ms + 2_000)
    }

    fn bars<'a>(&self, report: &'a TrialReport) -> Vec<TrialBar<'a>> {
        TrialBar::all(report)
    }
}
