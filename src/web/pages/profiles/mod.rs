//! `/profiles` — looks up a profile, and shows the source of the answer and the trace.

pub mod edits;
mod flash;
mod lookup_options;
mod recent_lookups;

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header::SET_COOKIE},
    web::Data,
};
use askama::Template;
use hitrate_cache::{
    Fill, Lookup, Source,
    redis::RedisError,
    time::{micros, millis},
    trace::{Span, Trace},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::{flash::Flash, lookup_options::LookupOptions, recent_lookups::RecentLookup};
use super::{
    policies::{self, PolicyName},
    waterfall::{self, Waterfall},
};
use crate::{
    demo::{
        CACHE_NAME,
        model::{Age, EmailAddress, Name, Profile, UserId},
        policy::Policy,
        profiles,
    },
    format,
    input::{Input, Integer, OnOff},
    labs::support::fields::{Field, text},
    schemas,
    web::{
        error::{Error, Result},
        filters, form,
        form_view::{FieldView, FormView, or_refused},
        known_ids::KnownIds,
        nav::{self, Link},
        page::{CACHE_STATUS, Page},
        state::WorkerState,
    },
};

/// Maximum simulated latency, in milliseconds.
const DELAY_MS_MAX: u32 = 5_000;

/// A lookup and its answer.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "profiles.html")]
pub struct ProfilesPage {
    /// Error, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    #[schema(value_type = Answer)]
    answer: Option<Answer>,
    /// Ids of existing profiles.
    #[schema(value_type = Vec<UserId>)]
    known_ids: Arc<KnownIds>,
    /// The visitor's previous lookups, newest first.
    recent: Vec<RecentLookup>,
    #[serde(skip)]
    form: LookupForm,
}

/// Result of a lookup.
#[derive(Serialize, ToSchema)]
pub struct Answer {
    /// Requested id.
    id: UserId,
    /// The profile; null if it does not exist.
    #[schema(value_type = Option<Profile>)]
    profile: Option<Arc<Profile>>,
    /// Version, incremented by each edit; null if the profile does not exist.
    version: Option<u64>,
    /// Source of the answer.
    #[schema(value_type = schemas::Source)]
    source: Source,
    /// Duration of the lookup in microseconds, including simulated time.
    elapsed_us: u64,
    /// Simulated part of it, in microseconds.
    simulated_us: u64,
    /// Remaining TTL of the copy, in milliseconds; null if the cache holds none.
    ttl_ms: Option<u64>,
    /// Milliseconds since the value was loaded from the database.
    age_ms: u64,
    /// Name of the caching policy.
    policy: &'static str,
    /// Key in Redis.
    key: String,
    /// Result in one sentence, as in the tutorial.
    message: String,
    /// Redis commands and SQL of this request, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    #[serde(skip)]
    fill: Fill,
}

/// State of the forms.
struct LookupForm {
    id: Option<UserId>,
    options: LookupOptions,
    flash: Option<Flash>,
    /// Whether an edit was rejected.
    has_edit: bool,
    /// The form, if it was rejected. Then there is no lookup.
    view: FormView,
}

const ID: Field = text("id", "Profile id", 64, "");
const NAME: Field = Field { name: "name", label: "Name", kind: Name::KIND, default: "" };
const EMAIL: Field =
    Field { name: "email", label: "E-mail", kind: EmailAddress::KIND, default: "" };
const AGE: Field = Field { name: "age", label: "Age", kind: Age::KIND, default: "" };

/// Query of a lookup.
#[derive(Deserialize)]
struct LookupQuery {
    #[serde(default, deserialize_with = "form::even_if_empty")]
    id: Option<UserId>,
    delay_ms: Option<DelayMs>,
    cache: Option<OnOff>,
    policy: Option<PolicyName>,
}

/// The simulated latency of the database, in milliseconds.
pub type DelayMs = Integer<0, DELAY_MS_MAX>;

impl LookupQuery {
    /// The valid values of a rejected form.
    fn accepted(form: &FormView) -> Self {
        Self {
            id: form.parsed("id"),
            delay_ms: form.accepted("delay_ms"),
            cache: None,
            policy: form.parsed("policy").map(PolicyName),
        }
    }

    fn delay(&self, app: &WorkerState) -> Duration {
        let requested = self.delay_ms.map(|ms| Duration::from_millis(u64::from(ms.get())));
        requested.unwrap_or(app.shared.config.database_delay)
    }

    fn policy(&self, app: &WorkerState) -> Policy {
        policies::chosen(app, self.policy, self.cache).ttl(app.shared.config.profile_ttl)
    }
}

/// Looks up a profile, in the cache first. Without an id, returns no answer.
#[utoipa::path(
    get, path = "/profiles", operation_id = "look_up",
    params(
        ("id" = Option<String>, Query, description = "Id of the profile: 1 to 64 letters, digits, - or _"),
        ("delay_ms" = Option<u32>, Query, description = "Simulated database latency in milliseconds, 0 to 5000"),
        ("cache" = Option<String>, Query, description = "`off` bypasses the cache"),
        ("policy" = Option<String>, Query, description = "Caching policy: none, cache-aside, read-through, near-cache, write-through, write-around, write-behind or refresh-ahead; defaults to the configured one"),
    ),
    responses(
        (status = 200, description = "The profile", body = ProfilesPage),
        (status = 404, description = "No such profile", body = ProfilesPage),
    )
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<ProfilesPage>> {
    let refused = async |form| {
        let query = LookupQuery::accepted(&form);
        Ok(Page::new(ProfilesPage::refused(&app, &request, &query, form)))
    };
    let page = look_up(&app, &request).await;
    or_refused(page, &request, || form::sent(&request), refused).await
}

async fn look_up(app: &WorkerState, request: &HttpRequest) -> Result<Page<ProfilesPage>> {
    let query: LookupQuery = form::query(request)?;
    let mut page = ProfilesPage::empty(app, request, &query);
    let Some(id) = &query.id else { return Ok(Page::new(page)) };
    let trace = Trace::start();
    let (delay, policy) = (query.delay(app), query.policy(app));
    // Boxed separately: malloc is slow for one large future.
    let lookup = Box::pin(app.profiles.find(id, &policy, delay, &trace));
    let lookup = lookup.await?;
    let cookie = recent_lookups::set_cookie(
        &RecentLookup { id: id.clone(), source: lookup.source, elapsed_us: micros(lookup.elapsed) },
        &page.recent,
    );
    let (status, cache_status) = (status(&lookup), lookup.cache_status(CACHE_NAME));
    if lookup.value.is_none() {
        page.error = Some(Error::NoProfile(id.to_string()).to_string());
    }
    page.answer = Some(Answer::of(id, &policy, lookup, trace));
    let has_flash = page.form.flash.is_some();
    let page = Page::new(page).status(status).header(CACHE_STATUS, cache_status);
    let page = page.header(SET_COOKIE, cookie);
    Ok(if has_flash { page.cookie(Flash::removal()) } else { page })
}

fn status(lookup: &Lookup<Profile>) -> StatusCode {
    match lookup.value {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    }
}

impl Answer {
    fn of(id: &UserId, policy: &Policy, lookup: Lookup<Profile>, trace: Trace) -> Self {
        let trace = trace.into_spans();
        Self {
            id: id.clone(),
            message: profiles::message(id, &lookup),
            version: lookup.version,
            source: lookup.source,
            elapsed_us: micros(lookup.elapsed),
            simulated_us: waterfall::simulated_us(&trace),
            ttl_ms: lookup.ttl.map(millis),
            age_ms: millis(lookup.age),
            policy: policy.name,
            key: lookup.key,
            profile: lookup.value,
            trace,
            fill: lookup.fill,
        }
    }
}

impl ProfilesPage {
    const LINK: Link = nav::PROFILES;

    /// The page with a rejected form, without a lookup.
    fn refused(
        app: &WorkerState,
        request: &HttpRequest,
        query: &LookupQuery,
        form: FormView,
    ) -> Self {
        let mut page = Self::empty(app, request, query);
        page.form.view = form;
        page
    }

    /// The page of a rejected edit.
    fn with_edit_form(mut self) -> Self {
        self.form.has_edit = true;
        self
    }

    /// The page without a lookup.
    fn empty(app: &WorkerState, request: &HttpRequest, query: &LookupQuery) -> Self {
        Self {
            error: None,
            answer: None,
            known_ids: Arc::clone(&app.shared.known_ids),
            recent: recent_lookups::of(request),
            form: LookupForm {
                id: query.id.clone(),
                options: LookupOptions {
                    delay_ms: query.delay_ms.map(DelayMs::get),
                    default_ms: millis(app.shared.config.database_delay),
                    policy: query.policy.map(|it| it.0.name),
                    configured: app.shared.policy.name,
                },
                flash: Flash::of(request),
                has_edit: false,
                view: FormView::default(),
            },
        }
    }
}

// Methods for the template.
impl ProfilesPage {
    /// The profile whose edit was rejected.
    fn edited_id(&self) -> Option<&UserId> {
        self.form.id.as_ref().filter(|_| self.form.has_edit)
    }

    fn id_field(&self) -> FieldView {
        let id = self.form.id.as_ref().map_or("", UserId::as_str);
        self.form.view.field(&ID, id).of_a_profile()
    }

    /// Fields of the edit form.
    fn edit_fields(&self) -> [FieldView; 3] {
        let (edit, found) = (&self.form.view, self.answer.as_ref());
        let profile = found.and_then(|answer| answer.profile.as_deref());
        [
            edit.field(&NAME, profile.map_or("", |it| &it.name)),
            edit.field(&EMAIL, profile.map_or("", |it| &it.email)),
            edit.field(&AGE, profile.map_or_else(String::new, |it| it.age.to_string())),
        ]
    }

    /// HTML of the options.
    fn options_html(&self) -> askama::Result<Rc<str>> {
        lookup_options::html(&self.known_ids, self.form.options, &self.form.view)
    }

    /// Notice about the visitor's last action, if this lookup shows its effect.
    fn notice(&self) -> Option<&'static str> {
        let answer = self.answer.as_ref().filter(|answer| answer.profile.is_some())?;
        match (self.form.flash?, &answer.fill) {
            (Flash::Edited, Fill::Stored(_)) => Some(
                "Saved. The cached copy was invalidated, so this lookup read the new row from the database.",
            ),
            (Flash::Edited, Fill::Failed(_)) => Some(
                "Saved in the database. The invalidation is deferred, and the cached copy is not used until it has run.",
            ),
            (Flash::Edited, _) => Some("Saved. This is the new row."),
            (Flash::Invalidated, Fill::Stored(_)) => {
                Some("Invalidated. This lookup read the database again.")
            }
            (Flash::Invalidated, _) => None,
        }
    }

    /// Speed of this hit compared with the visitor's last lookup in the database.
    fn faster(&self) -> Option<String> {
        let answer = self.answer.as_ref().filter(|answer| answer.source.is_hit())?;
        let last = self.recent.iter().find(|lookup| lookup.source == Source::Database)?;
        let times = last.elapsed_us / answer.elapsed_us.max(1);
        (times > 1)
            .then(|| format!("{}× faster than your last database lookup", format::number(&times)))
    }
}

// Methods for the template.
impl Answer {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }

    fn error(&self) -> Option<&RedisError> {
        match &self.fill {
            Fill::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn is_bypass(&self) -> bool {
        self.fill == Fill::Bypassed
    }

    fn is_hit(&self) -> bool {
        self.source == Source::Cache
    }

    fn is_memory(&self) -> bool {
        self.source == Source::Memory
    }

    fn is_stale(&self) -> bool {
        self.source == Source::Stale
    }
}
