//! `/profiles` — one profile, whether it came from the cache, and what that took.

pub mod edits;
mod flash;
mod lookup_form;
mod recent;

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header::SET_COOKIE},
    web::Data,
};
use askama::Template;
use hitrate_cache::{
    CachePolicy, Fill, Lookup, Source,
    redis::RedisError,
    time::millis,
    trace::{Span, Trace},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::{flash::Flash, lookup_form::Chosen, recent::Recent};
use super::{
    policies::{self, PolicyName},
    waterfall::{self, Waterfall},
};
use crate::{
    demo::{
        model::{Age, EmailAddress, Name, Profile, UserId},
        profiles,
    },
    format,
    input::{Input, Integer, OnOff},
    labs::support::fields::Field,
    schemas,
    web::{
        error::{Error, Result},
        form,
        form_view::{FieldView, FormView},
        nav::{self, Link},
        page::{CACHE_STATUS, Page},
        state::WorkerState,
    },
};

/// The most simulated latency a visitor may ask for, in milliseconds.
const DELAY_MAX: u32 = 5_000;

/// The lookup form, and the answer to it.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "profiles.html")]
pub struct ProfilesPage {
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    #[schema(value_type = Answer)]
    answer: Option<Answer>,
    /// Ids to try.
    #[schema(value_type = Vec<UserId>)]
    known_ids: Arc<Vec<UserId>>,
    /// The visitor's last lookups before this one, newest first.
    recent: Vec<Recent>,
    #[serde(skip)]
    form: Form,
}

/// What a lookup brought.
#[derive(Serialize, ToSchema)]
pub struct Answer {
    /// The id that was asked for.
    id: UserId,
    /// Null when there is no such profile.
    #[schema(value_type = Option<Profile>)]
    profile: Option<Arc<Profile>>,
    /// Its edition: counted up by each edit; null when there is no such profile.
    version: Option<u64>,
    /// Who answered.
    #[schema(value_type = schemas::Source)]
    source: Source,
    /// Microseconds from question to answer, simulated time included.
    elapsed_us: u64,
    /// How much of it was simulated, in microseconds.
    simulated_us: u64,
    /// Milliseconds that the cache will keep the value; null when it does not.
    ttl_ms: Option<u64>,
    /// Milliseconds since the value was loaded from the database.
    age_ms: u64,
    /// How it is cached.
    policy: &'static str,
    /// The key in Redis.
    key: String,
    /// The documents' sentence.
    message: String,
    /// What was said to Redis and to the database, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    #[serde(skip)]
    fill: Fill,
}

/// What the form shows.
struct Form {
    id: Option<UserId>,
    chosen: Chosen,
    done: Option<Flash>,
    /// An edit that was refused.
    edit: FormView,
}

const NAME: Field = Field { name: "name", label: "Name", kind: Name::KIND, default: "" };
const EMAIL: Field =
    Field { name: "email", label: "E-mail", kind: EmailAddress::KIND, default: "" };
const AGE: Field = Field { name: "age", label: "Age", kind: Age::KIND, default: "" };

/// What a GET asks for.
#[derive(Deserialize)]
struct LookupQuery {
    #[serde(default, deserialize_with = "form::even_if_empty")]
    id: Option<UserId>,
    delay_ms: Option<DelayMs>,
    cache: Option<OnOff>,
    policy: Option<PolicyName>,
}

/// The simulated latency of the database, in milliseconds.
pub type DelayMs = Integer<0, DELAY_MAX>;

impl LookupQuery {
    fn delay(&self, app: &WorkerState) -> Duration {
        let asked = self.delay_ms.map(|ms| Duration::from_millis(u64::from(ms.get())));
        asked.unwrap_or(app.shared.config.database_delay)
    }

    fn policy(&self, app: &WorkerState) -> CachePolicy {
        policies::chosen(app, self.policy, self.cache).ttl(app.shared.config.profile_ttl)
    }
}

/// Looks a profile up, in the cache first; without an id, shows the form.
#[utoipa::path(
    get, path = "/profiles", operation_id = "look_up",
    params(
        ("id" = Option<String>, Query, description = "Whose profile: 1 to 64 letters, digits, - or _"),
        ("delay_ms" = Option<u32>, Query, description = "Simulated database latency, 0 to 5000"),
        ("cache" = Option<String>, Query, description = "`off` leaves the cache aside"),
        ("policy" = Option<String>, Query, description = "How it is cached: none, plain, default, near, write-through, write-around, write-behind or refresh-ahead"),
    ),
    responses(
        (status = 200, description = "The profile", body = ProfilesPage),
        (status = 404, description = "No such profile", body = ProfilesPage),
    )
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<ProfilesPage>> {
    look_up(&app, &request, form::query(&request)?, FormView::default()).await
}

/// The page of a lookup, and beside its answer the edit that was refused.
async fn look_up(
    app: &WorkerState,
    request: &HttpRequest,
    query: LookupQuery,
    edit: FormView,
) -> Result<Page<ProfilesPage>> {
    let mut page = ProfilesPage::blank(app, request, &query, edit);
    let Some(id) = &query.id else { return Ok(Page::new(page)) };
    let trace = Trace::start();
    let (db, delay, policy) = (&app.shared.db, query.delay(app), query.policy(app));
    // In a box of its own: malloc is slow with all of this in one.
    let looking = Box::pin(profiles::find(&app.cache, db, id, &policy, delay, &trace));
    let lookup = looking.await?;
    let cookie = recent::remember(
        &Recent { id: id.clone(), source: lookup.source, elapsed_us: lookup.elapsed_us },
        &page.recent,
    );
    let (status, cache_status) = (status(&lookup), lookup.cache_status());
    if lookup.value.is_none() {
        page.error = Some(Error::NoProfile(id.to_string()).to_string());
    }
    page.answer = Some(Answer::of(id, lookup, trace));
    let was_told = page.form.done.is_some();
    let page = Page::new(page).status(status).header(CACHE_STATUS, cache_status);
    let page = page.header(SET_COOKIE, cookie);
    Ok(if was_told { page.cookie(Flash::told()) } else { page })
}

fn status(lookup: &Lookup<Profile>) -> StatusCode {
    match lookup.value {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    }
}

impl Answer {
    fn of(id: &UserId, lookup: Lookup<Profile>, trace: Trace) -> Self {
        let trace = trace.into_spans();
        Self {
            id: id.clone(),
            message: profiles::message(id, &lookup),
            version: lookup.version,
            source: lookup.source,
            elapsed_us: lookup.elapsed_us,
            simulated_us: waterfall::simulated_us(&trace),
            ttl_ms: lookup.ttl.map(millis),
            age_ms: millis(lookup.age),
            policy: lookup.policy,
            key: lookup.key,
            profile: lookup.value,
            trace,
            fill: lookup.fill,
        }
    }
}

impl ProfilesPage {
    const LINK: Link = nav::PROFILES;

    fn blank(
        app: &WorkerState,
        request: &HttpRequest,
        query: &LookupQuery,
        edit: FormView,
    ) -> Self {
        Self {
            error: None,
            answer: None,
            known_ids: Arc::clone(&app.shared.known_ids),
            recent: recent::of(request),
            form: Form {
                id: query.id.clone(),
                chosen: Chosen {
                    delay_ms: query.delay_ms.map(DelayMs::get),
                    default_ms: millis(app.shared.config.database_delay),
                    policy: query.policy.map(|it| it.0.name),
                    configured: app.shared.policy.name,
                },
                done: Flash::of(request),
                edit,
            },
        }
    }
}

// What the template asks for.
impl ProfilesPage {
    /// The fields of the form that edits this profile.
    fn edit_fields(&self, profile: &Profile) -> [FieldView; 3] {
        let edit = &self.form.edit;
        [
            edit.field(&NAME, &profile.name),
            edit.field(&EMAIL, &profile.email),
            edit.field(&AGE, profile.age),
        ]
    }

    /// What to choose from, beside the id.
    fn choices(&self) -> askama::Result<Rc<str>> {
        lookup_form::of(&self.known_ids, self.form.chosen)
    }

    /// What the visitor's last act led to, where this lookup shows it.
    fn notice(&self) -> Option<&'static str> {
        let answer = self.answer.as_ref().filter(|answer| answer.profile.is_some())?;
        match (self.form.done?, &answer.fill) {
            (Flash::Edit, Fill::Stored(_)) => Some(
                "Saved. The cache dropped its copy, so this lookup read the new row from the database.",
            ),
            (Flash::Edit, Fill::Failed(_)) => Some(
                "Saved in the database. The cache could not be told yet, so its copy is not used.",
            ),
            (Flash::Edit, _) => Some("Saved. What you see is the new row."),
            (Flash::Invalidate, Fill::Stored(_)) => {
                Some("Invalidated. The cache had to ask the database again.")
            }
            (Flash::Invalidate, _) => None,
        }
    }

    /// How this hit compares with the visitor's last answer from the database.
    fn faster(&self) -> Option<String> {
        let answer = self.answer.as_ref().filter(|answer| answer.source.is_hit())?;
        let before = self.recent.iter().find(|recent| recent.source == Source::Database)?;
        let times = before.elapsed_us / answer.elapsed_us.max(1);
        (times > 1)
            .then(|| format!("{}× faster than your last database answer", format::number(&times)))
    }
}

// What the template asks for.
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

    fn was_bypass(&self) -> bool {
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
