//! `/patterns` — what applications build of Redis's commands, each played by a
//! visitor on keys of their own, and wrong and right ways counted side by side.

pub mod pubsub_live;
mod trial_chart;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use askama::Template;
use hitrate_cache::trace::{Span, Trace};
use serde::Serialize;
use utoipa::ToSchema;

use self::trial_chart::Lane;
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
        error::{Error, Result},
        form::{self, Body, RunQuery},
        form_view::{FieldView, FormView},
        nav::{self, Link},
        page::{self, Page, run_to_completion, see_other},
        state::WorkerState,
    },
};

/// Pages beside the patterns, of their own shape: the index lists them last.
const RELATED: &[Link] = &[nav::KEY_NAMES, nav::ROUND_TRIPS];

/// Commands that a page's trace shows; JSON has all.
const WIRE: usize = 15;

/// Every pattern, in a line each.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "patterns.html")]
pub struct PatternsPage {
    /// In the order of the page.
    patterns: Vec<PatternRow>,
}

/// A pattern, for someone who looks for one.
#[derive(Serialize, ToSchema)]
pub struct PatternRow {
    /// Where it is.
    path: String,
    /// What it is called.
    title: &'static str,
    /// What it is for.
    purpose: &'static str,
    /// What usually goes wrong; null where that is not what the page is about.
    wrong: Option<&'static str>,
}

/// One pattern: what the visitor has there, what they did last, what was counted.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "pattern.html")]
pub struct PatternPage {
    /// Its name in the address.
    slug: &'static str,
    /// What it is called.
    title: &'static str,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The token by which `?run=` shows the act again for half an hour; null when there is none.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// The act.
    act: Option<&'static str>,
    /// What came of it, line by line.
    lines: Vec<String>,
    /// How it is now, in a line; null where a pattern has none.
    now: Option<String>,
    /// The visitor's keys and what they hold; null while Redis can't be asked.
    state: Option<Vec<StoredKey>>,
    /// What the keys mean together.
    statistics: Vec<Statistic>,
    /// What was said to Redis: by the act, or for this look where there was none.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// What a trial counted; null when the act was none.
    trial: Option<TrialReport>,
    #[serde(skip)]
    pattern: &'static RedisPattern,
    #[serde(skip)]
    args: Args,
    #[serde(skip)]
    form: FormView,
    /// Whether the request names an act that is not kept any more.
    #[serde(skip)]
    is_gone: bool,
}

/// The index.
#[utoipa::path(
    get, path = "/patterns", operation_id = "patterns",
    responses((status = 200, description = "Every pattern", body = PatternsPage))
)]
pub async fn index() -> Page<PatternsPage> {
    let of = |it: &&'static RedisPattern| PatternRow {
        path: address(it),
        title: it.title,
        purpose: it.purpose,
        wrong: Some(it.pitfall.wrong),
    };
    let beside = |it: &Link| PatternRow {
        path: it.path.to_owned(),
        title: it.title,
        purpose: it.about,
        wrong: None,
    };
    let patterns = patterns::ALL.iter().map(of).chain(RELATED.iter().map(beside));
    Page::new(PatternsPage { patterns: patterns.collect() })
}

/// One pattern, and the visitor's keys as they are.
#[utoipa::path(
    get, path = "/patterns/{slug}", operation_id = "pattern",
    params(
        ("slug" = String, Path, description = "The pattern, as the index names it"),
        ("run" = Option<String>, Query, description = "The token of an act, as a POST returned it"),
    ),
    responses(
        (status = 200, description = "The pattern; without Redis, too", body = PatternPage),
        (status = 404, description = "No such pattern"),
    )
)]
pub async fn show(
    app: Data<WorkerState>,
    request: HttpRequest,
    slug: Path<String>,
) -> Result<Page<PatternPage>> {
    let pattern = patterns::named(&slug).ok_or(Error::NoPage)?;
    let RunQuery { run } = form::query(&request)?;
    let (visitor, cookie) = visitor::of(&request);
    let requested =
        app.shared.plays.requested(run.as_deref(), |played| played.slug == pattern.slug);
    let page = PatternPage::of(&app, pattern, &visitor.keys(pattern.slug), requested).await;
    Ok(Page::new(page).cookie(cookie))
}

/// Does something with the visitor's keys, or lets a trial run.
#[utoipa::path(
    post, path = "/patterns/{slug}", operation_id = "play_pattern",
    params(("slug" = String, Path, description = "The pattern, as the index names it")),
    request_body(content(
        (ActionForm = "application/json"),
        (ActionForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = PatternPage),
        (status = 303, description = "Done; to the page that tells it"),
        (status = 404, description = "No such pattern"),
        (status = 409, description = "Something else is being measured"),
        (status = 422, description = "A value is out of range, or Redis refused the command"),
        (status = 503, description = "Redis can't be asked"),
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
    let demo = visitor.keys(pattern.slug);
    let played = match requested(pattern, &body) {
        Ok((requested, args)) => {
            run_to_completion(play(app.clone(), pattern, demo.clone(), requested, args)).await
        }
        Err(error) => Err(error),
    };
    let played = match played {
        Ok(played) => played,
        Err(error) => {
            let page = failed(&app, pattern, &demo, &body, error).await;
            return Ok(page.respond(request.headers()));
        }
    };
    let (run, played) = app.shared.plays.add(played);
    if page::wants_json(request.headers()) {
        let requested = RequestedRun::Found(run, played);
        let page = Page::new(PatternPage::of(&app, pattern, &demo, requested).await);
        return Ok(page.cookie(cookie).respond(request.headers()));
    }
    let part = if played.trial.is_some() { "trial" } else { "outcome" };
    let mut response = see_other(&format!("{}?run={run}#{part}", address(pattern)));
    if let Some(cookie) = cookie {
        response.cookie(cookie);
    }
    Ok(response.finish())
}

/// The same page, with what is wrong and what was typed.
async fn failed(
    app: &WorkerState,
    pattern: &'static RedisPattern,
    demo: &VisitorKeys,
    body: &Body,
    error: Error,
) -> Page<PatternPage> {
    let page = PatternPage::of(app, pattern, demo, RequestedRun::NotRequested).await;
    let (told, args) = (Some(error.to_string()), typed(pattern, body));
    let form = FormView::refused(body, &error);
    error.on(Page::new(PatternPage { error: told, args, form, ..page }))
}

fn address(pattern: &RedisPattern) -> String {
    format!("{}/{}", nav::PATTERNS.path, pattern.slug)
}

fn requested(pattern: &'static RedisPattern, body: &Body) -> Result<(PatternAction, Args)> {
    let (requested, values) = body.fields()?.action(&pattern.actions())?;
    Ok((requested, Args::of(values)))
}

/// What was sent, good or bad, to be shown again.
fn typed(pattern: &'static RedisPattern, body: &Body) -> Args {
    let fields = body.fields().unwrap_or_default();
    let described = pattern.acts.iter().flat_map(|act| act.fields).chain(pattern.trial.fields);
    described.fold(Args::default(), |args, field| match fields.optional(field.name) {
        Some(text) => args.typed(field, text),
        None => args,
    })
}

async fn play(
    app: Data<WorkerState>,
    pattern: &'static RedisPattern,
    demo: VisitorKeys,
    requested: PatternAction,
    args: Args,
) -> Result<ActionResult> {
    let trace = Trace::start();
    let (act, lines, trial) = match requested {
        PatternAction::Act(act) => {
            let context = ActionContext::new(&app.store, &demo, args.clone(), &trace);
            let lines = (act.run)(&context).await;
            // What it wrote before it was refused is the visitor's, too.
            context.register_keys().await?;
            (act.id, lines?, None)
        }
        PatternAction::Trial => {
            let ran = app.shared.trials.run(&app.store, pattern, &demo, &args).await?;
            ("trial", Vec::new(), Some(ran))
        }
        PatternAction::Reset => {
            let removed =
                ActionContext::new(&app.store, &demo, Args::default(), &trace).reset().await?;
            let what = crate::format::counted(&removed, "key was", "keys were");
            ("reset", vec![format!("{what} removed.")], None)
        }
    };
    Ok(ActionResult { slug: pattern.slug, act, args, lines, trace: trace.spans(), trial })
}

/// What the keys hold, and what that means.
type Look = (Vec<StoredKey>, Vec<Statistic>);

async fn look(context: &ActionContext, pattern: &RedisPattern) -> Result<Look, ActionError> {
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
        demo: &VisitorKeys,
        requested: RequestedRun<ActionResult>,
    ) -> Self {
        let (trace, is_gone) = (Trace::start(), requested.is_expired());
        let (run, played) = requested.found().unzip();
        let args = played.as_ref().map_or_else(Args::default, |played| played.args.clone());
        let filled = pattern.filled(&args);
        let looked = look(&ActionContext::new(&app.store, demo, filled, &trace), pattern).await;
        let (look, error) = match looked {
            Ok(look) => (Some(look), None),
            Err(upset) => (None, Some(format!("Your keys can't be read: {upset}."))),
        };
        let now = look.as_ref().and_then(|(entries, _)| Some((pattern.status?)(entries)));
        let (state, statistics) = look.unzip();
        Self {
            slug: pattern.slug,
            title: pattern.title,
            error,
            run,
            act: played.as_ref().map(|it| it.act),
            lines: played.as_ref().map_or_else(Vec::new, |it| it.lines.clone()),
            now,
            state,
            statistics: statistics.unwrap_or_default(),
            trace: played.as_ref().map_or_else(|| trace.spans(), |it| it.trace.clone()),
            trial: played.and_then(|it| it.trial.clone()),
            pattern,
            args,
            form: FormView::default(),
            is_gone,
        }
    }
}

// What the templates ask for.
impl PatternsPage {
    const LINK: Link = nav::PATTERNS;
}

impl PatternPage {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace[..self.trace.len().min(WIRE)])
    }

    /// Commands that the trace has no room for.
    fn unsaid(&self) -> u64 {
        self.trace.len().saturating_sub(WIRE) as u64
    }

    /// The acts by form: those in a row that ask for the same share one.
    fn forms(&self) -> impl Iterator<Item = &'static [Action<ActionFn>]> {
        self.pattern.acts.chunk_by(patterns::have_same_fields)
    }

    /// A field of the form for these acts, with the value that was sent last.
    fn act_field(&self, acts: &[Action<ActionFn>], field: &Field) -> FieldView {
        let is_sent = acts.iter().any(|act| self.form.typed("act") == Some(act.id));
        self.field(acts[0].id, field, is_sent)
    }

    fn trial_field(&self, field: &Field) -> FieldView {
        self.field("trial", field, self.form.typed("act") == Some("trial"))
    }

    fn field(&self, form: &str, field: &Field, is_sent: bool) -> FieldView {
        FieldView::of(field, format!("{form}-{}", field.name), self.args.shown(field))
            .with_error(self.form.error_of(field.name).filter(|_| is_sent))
    }

    /// Milliseconds until it is worth reading again: two seconds after the first
    /// key ends.
    fn again_ms(&self) -> Option<u64> {
        let entries = self.state.as_ref().filter(|_| self.now.is_some())?;
        entries.iter().filter_map(|entry| entry.ttl_ms).min().map(|ms| ms + 2_000)
    }

    fn lanes<'a>(&self, ran: &'a TrialReport) -> Vec<Lane<'a>> {
        Lane::all(ran)
    }
}
