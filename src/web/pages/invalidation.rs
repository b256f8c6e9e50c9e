//! `/invalidation` — dropping copies by key, by tag or by pattern, and what
//! that takes.

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use hitrate_cache::trace::{Span, Trace};
use serde::Serialize;
use utoipa::ToSchema;

use super::waterfall::Waterfall;
use crate::{
    demo::invalidation::{self, InvalidTarget, InvalidationResult, InvalidationTarget},
    schemas,
    web::{
        error::Result,
        form::{Body, Fields},
        nav::{self, Link},
        page::{Page, run_to_completion},
        state::WorkerState,
    },
};

/// The three ways to drop copies, and what the last one did.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "invalidation.html")]
pub struct InvalidationPage {
    #[serde(flatten)]
    #[schema(value_type = Dropped)]
    dropped: Option<Dropped>,
    #[serde(skip)]
    form: Form,
}

/// What an invalidation did.
#[derive(Serialize, ToSchema)]
pub struct Dropped {
    /// `key`, `tag` or `pattern`.
    by: &'static str,
    /// Which one.
    what: String,
    /// Whether copies were only counted.
    dry_run: bool,
    /// Copies that were found; null by tag, where nobody counts.
    found: Option<u64>,
    /// Copies that were dropped.
    dropped: Option<u64>,
    /// In a sentence.
    message: String,
    /// What was said to Redis, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
}

/// What the form shows.
struct Form {
    key: String,
    tag: String,
    pattern: String,
}

impl Default for Form {
    fn default() -> Self {
        let (key, tag) = ("profile:123".to_owned(), "profile".to_owned());
        Self { key, tag, pattern: "profile:user-*".to_owned() }
    }
}

/// By which field something can be named, and how its text is understood.
type InvalidationMethod = (&'static str, fn(&str) -> Result<InvalidationTarget, InvalidTarget>);

const WAYS: [InvalidationMethod; 3] = [
    ("key", InvalidationTarget::key),
    ("tag", InvalidationTarget::tag),
    ("pattern", InvalidationTarget::pattern),
];

/// The forms.
#[utoipa::path(
    get, path = "/invalidation", operation_id = "invalidation",
    responses((status = 200, description = "The forms", body = InvalidationPage))
)]
pub async fn show(request: HttpRequest) -> Result<Page<InvalidationPage>> {
    Fields::of_query(&request, &[])?;
    Ok(Page::new(InvalidationPage { dropped: None, form: Form::default() }))
}

/// Drops copies, or counts them.
#[utoipa::path(
    post, path = "/invalidation", operation_id = "invalidate",
    request_body(content(
        (serde_json::Value = "application/json"),
        (serde_json::Value = "application/x-www-form-urlencoded"),
    ), description = "One of `key` (profile:123), `tag` (profile) and `pattern` (profile:user-*); `dry_run` = on only counts what a pattern names"),
    responses(
        (status = 200, description = "What it did", body = InvalidationPage),
        (status = 422, description = "Nothing that could be dropped"),
        (status = 503, description = "Redis can't be told"),
    )
)]
pub async fn drop_copies(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<actix_web::HttpResponse> {
    let fields = body.fields(&["key", "tag", "pattern", "dry_run"])?;
    let dry_run = fields.choice("dry_run", &[("on", true), ("off", false)])?.unwrap_or_default();
    let (by, text, what) = named(&fields)?;
    let mut form = Form::default();
    match by {
        "key" => form.key.clone_from(&text),
        "tag" => form.tag.clone_from(&text),
        _ => form.pattern.clone_from(&text),
    }
    let (outcome, trace) = run_to_completion(act(app, what, dry_run)).await?;
    let dropped = Some(Dropped::of(by, text, dry_run, &outcome, &trace));
    Ok(Page::new(InvalidationPage { dropped, form }).respond(request.headers()))
}

async fn act(
    app: Data<WorkerState>,
    what: InvalidationTarget,
    dry_run: bool,
) -> Result<(InvalidationResult, Trace)> {
    let trace = Trace::start();
    let policy = app.shared.policy.ttl(app.shared.config.profile_ttl);
    let outcome = invalidation::run(&app.cache, &what, dry_run, &policy, &trace, |_| ()).await?;
    Ok((outcome, trace))
}

/// The one thing that was named.
fn named(fields: &Fields<'_>) -> Result<(&'static str, String, InvalidationTarget)> {
    let mut sent = WAYS.iter().filter(|(name, _)| fields.sent(name));
    let (Some((name, parse)), None) = (sent.next(), sent.next()) else {
        return Err(crate::web::error::Error::InvalidTarget(
            "Name one key, one tag or one pattern.",
        ));
    };
    let text = fields.optional(name).unwrap_or_default().trim().to_owned();
    let what = parse(&text)?;
    Ok((name, text, what))
}

impl Dropped {
    fn of(
        by: &'static str,
        what: String,
        dry_run: bool,
        outcome: &InvalidationResult,
        trace: &Trace,
    ) -> Self {
        let counts = outcome.counts();
        Self {
            by,
            what,
            dry_run: dry_run && by == "pattern",
            found: counts.map(|it| it.0),
            dropped: counts.map(|it| it.1),
            message: outcome.message(),
            trace: trace.spans(),
        }
    }

    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }
}

impl InvalidationPage {
    const LINK: Link = nav::INVALIDATION;
}
