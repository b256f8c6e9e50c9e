//! `/invalidation` — invalidates cached copies by key, by tag or by pattern, and shows
//! the commands.

use std::sync::Arc;

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use hitrate_cache::trace::Trace;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::waterfall::Waterfall;
use crate::{
    demo::{
        invalidation::{self, Dropped, InvalidTarget, InvalidationTarget},
        keys,
    },
    input::{FieldError, OnOff},
    labs::support::{
        fields::{Field, Kind, text},
        result_store::{RequestedRun, RunToken},
    },
    web::{
        error::Result,
        filters,
        form::{self, Body, RunQuery},
        form_view::{FieldView, FormView, or_refused},
        nav::{self, Link},
        page::{Page, run_to_completion},
        state::WorkerState,
    },
};

/// Result of an invalidation.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "invalidation.html")]
pub struct InvalidationPage {
    /// Token of the result, valid for 30 minutes as `?run=`; null without a result.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    #[serde(flatten)]
    #[schema(value_type = Dropped)]
    dropped: Option<Arc<Dropped>>,
    #[serde(skip)]
    form: FormView,
    /// Whether the requested result is no longer stored.
    #[serde(skip)]
    is_expired: bool,
}

/// The copies to invalidate: exactly one of `key`, `tag` and `pattern`.
#[derive(Deserialize, ToSchema)]
pub struct InvalidationForm {
    /// A key such as `profile:123`.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    key: Option<String>,
    /// A tag such as `profile`.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    tag: Option<String>,
    /// A pattern such as `profile:user-*`.
    #[serde(default, deserialize_with = "form::even_if_empty")]
    pattern: Option<String>,
    /// `on` counts the copies that match `pattern`, without removing them.
    dry_run: Option<OnOff>,
}

const KEY: Field = text("key", "Key", 80, "profile:123");
const TAG: Field = Field {
    name: "tag",
    label: "Tag",
    kind: Kind::Choice(&[keys::PROFILE, keys::PRODUCT]),
    default: "profile",
};
const PATTERN: Field = text("pattern", "Pattern", 100, "profile:user-*");

/// Parses the text of a field.
type Parse = fn(&str) -> Result<InvalidationTarget, InvalidTarget>;

impl InvalidationForm {
    /// The field that was sent, its text, and the parsed target.
    fn target(&self) -> Result<(&'static str, String, InvalidationTarget), FieldError> {
        let fields: [(_, _, Parse); 3] = [
            ("key", &self.key, InvalidationTarget::key),
            ("tag", &self.tag, InvalidationTarget::tag),
            ("pattern", &self.pattern, InvalidationTarget::pattern),
        ];
        let sent =
            |(name, text, parse): (_, &Option<String>, _)| Some((name, text.clone()?, parse));
        let mut sent = fields.into_iter().filter_map(sent);
        let (Some((name, text, parse)), None) = (sent.next(), sent.next()) else {
            return Err(FieldError::out_of_range("Send exactly one of key, tag and pattern."));
        };
        if self.dry_run == Some(OnOff::On) && name != "pattern" {
            return Err(FieldError::out_of_range("Only a pattern can be counted.").of("dry_run"));
        }
        let what = parse(text.trim())
            .map_err(|invalid| FieldError::out_of_range(invalid.to_string()).of(name))?;
        Ok((name, text.trim().to_owned(), what))
    }
}

/// Returns a stored result, if `run` names one.
#[utoipa::path(
    get, path = "/invalidation", operation_id = "invalidation",
    params(("run" = Option<String>, Query, description = "Token of a result, as returned by the POST")),
    responses((status = 200, description = "The result, or nulls without one", body = InvalidationPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<InvalidationPage>> {
    let page = form::query(&request).map(|RunQuery { run }| {
        let requested = app.shared.invalidations.requested(run.as_deref(), |_| true);
        Page::new(InvalidationPage::of(requested))
    });
    or_refused(page, &request, || form::sent(&request), InvalidationPage::refused).await
}

/// Invalidates copies, or counts them in a dry run.
#[utoipa::path(
    post, path = "/invalidation", operation_id = "invalidate",
    request_body(content(
        (InvalidationForm = "application/json"),
        (InvalidationForm = "application/x-www-form-urlencoded"),
    ), description = "Exactly one of `key`, `tag` and `pattern`"),
    responses(
        (status = 200, description = "The result, with `Accept: application/json`", body = InvalidationPage),
        (status = 303, description = "Done; redirects to the result"),
        (status = 422, description = "Not a valid key, tag or pattern, or not exactly one of them"),
        (status = 503, description = "Redis is unavailable"),
    )
)]
pub async fn drop_copies(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<InvalidationPage>> {
    let page = invalidate(app, &body).await;
    or_refused(page, &request, || body.sent(), InvalidationPage::refused).await
}

async fn invalidate(app: Data<WorkerState>, body: &Body) -> Result<Page<InvalidationPage>> {
    let form: InvalidationForm = body.parse()?;
    let (by, text, what) = form.target()?;
    let (trace, dry_run) = (Trace::start(), form.dry_run == Some(OnOff::On));
    let policy = app.shared.policy.ttl(app.shared.config.profile_ttl);
    run_to_completion(async move {
        let outcome = invalidation::run(
            (&app.profiles, &app.products),
            &what,
            dry_run,
            &policy,
            &trace,
            |_| (),
        )
        .await?;
        let dropped = Dropped::of(by, text, dry_run, &outcome, &trace);
        let (run, dropped) = app.shared.invalidations.add(dropped);
        let page = Page::new(InvalidationPage::of(RequestedRun::Found(run, dropped)));
        Ok(page.or_redirect(format!("{}?run={run}", nav::INVALIDATION.path)))
    })
    .await
}

impl Dropped {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }
}

impl InvalidationPage {
    const LINK: Link = nav::INVALIDATION;

    fn of(requested: RequestedRun<Dropped>) -> Self {
        let is_expired = requested.is_expired();
        let (run, dropped) = requested.found().unzip();
        Self { run, dropped, is_expired, form: FormView::default() }
    }

    async fn refused(form: FormView) -> Result<Page<Self>> {
        Ok(Page::new(Self { form, ..Self::of(RequestedRun::NotRequested) }))
    }
}

// Methods for the template.
impl InvalidationPage {
    fn key_field(&self) -> FieldView {
        self.field(&KEY)
    }

    fn tag_field(&self) -> FieldView {
        self.field(&TAG)
    }

    fn pattern_field(&self) -> FieldView {
        self.field(&PATTERN)
    }

    /// A field with its last value. Each is in a separate form, so only one was sent.
    fn field(&self, field: &Field) -> FieldView {
        let dropped = self.dropped.as_ref().filter(|dropped| dropped.by == field.name);
        let last = dropped.map_or(field.default, |dropped| &dropped.what);
        let sent = self.form.typed(field.name).filter(|sent| !sent.is_empty());
        FieldView::of(field, field.name, sent.unwrap_or(last).to_owned())
            .with_error(self.form.error_of(field.name))
    }
}
