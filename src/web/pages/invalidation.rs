//! `/invalidation` — dropping copies by key, by tag or by pattern, and what
//! that takes.

use std::sync::Arc;

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use hitrate_cache::trace::Trace;
use serde::Serialize;
use utoipa::ToSchema;

use super::waterfall::Waterfall;
use crate::{
    demo::invalidation::{self, Dropped, InvalidTarget, InvalidationResult, InvalidationTarget},
    labs::support::result_store::{RequestedRun, RunToken},
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
    /// The token by which `?run=` shows it again for half an hour; null before.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    #[serde(flatten)]
    #[schema(value_type = Dropped)]
    dropped: Option<Arc<Dropped>>,
    #[serde(skip)]
    form: Form,
    /// Whether the request names a result that is not kept any more.
    #[serde(skip)]
    is_gone: bool,
}

/// What the form shows.
struct Form {
    key: String,
    tag: String,
    pattern: String,
}

impl Form {
    /// With what was dropped in its field.
    fn of(dropped: &Dropped) -> Self {
        let (what, form) = (dropped.what.clone(), Self::default());
        match dropped.by {
            "key" => Self { key: what, ..form },
            "tag" => Self { tag: what, ..form },
            _ => Self { pattern: what, ..form },
        }
    }
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
    params(("run" = Option<String>, Query, description = "The token of a result, as a POST returned it")),
    responses((status = 200, description = "The forms, and the result if one was asked for", body = InvalidationPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<InvalidationPage>> {
    let fields = Fields::of_query(&request, &["run"])?;
    let requested = app.shared.invalidations.requested(fields.optional("run"), |_| true);
    Ok(Page::new(InvalidationPage::of(requested)))
}

/// Drops copies, or counts them.
#[utoipa::path(
    post, path = "/invalidation", operation_id = "invalidate",
    request_body(content(
        (serde_json::Value = "application/json"),
        (serde_json::Value = "application/x-www-form-urlencoded"),
    ), description = "One of `key` (profile:123), `tag` (profile) and `pattern` (profile:user-*); `dry_run` = on only counts what a pattern names"),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = InvalidationPage),
        (status = 303, description = "Done; to the page that shows it"),
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
    let (outcome, trace) = run_to_completion(act(app.clone(), what, dry_run)).await?;
    let dropped = Dropped::of(by, text, dry_run, &outcome, &trace);
    let (run, dropped) = app.shared.invalidations.add(dropped);
    let page = Page::new(InvalidationPage::of(RequestedRun::Found(run, dropped)));
    Ok(page.or_redirect(request.headers(), &format!("{}?run={run}", nav::INVALIDATION.path)))
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
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }
}

impl InvalidationPage {
    const LINK: Link = nav::INVALIDATION;

    fn of(requested: RequestedRun<Dropped>) -> Self {
        let is_gone = requested.is_gone();
        let (run, dropped) = requested.found().unzip();
        let form = dropped.as_deref().map(Form::of).unwrap_or_default();
        Self { run, dropped, form, is_gone }
    }
}
