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
use serde::Serialize;
use utoipa::ToSchema;

use self::{flash::Done, lookup_form::Chosen, recent::Recent};
use super::{
    policies,
    waterfall::{self, Waterfall},
};
use crate::{
    demo::{
        model::{Profile, UserId},
        profiles,
    },
    format, schemas,
    web::{
        error::{Error, Result},
        form::Fields,
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
    done: Option<Done>,
}

/// What a GET asks for.
struct Query {
    id: Option<UserId>,
    delay_ms: Option<u32>,
    /// The name it was asked for by; `None` is the configured one.
    named: Option<&'static str>,
    policy: CachePolicy,
}

impl Query {
    fn parse(app: &WorkerState, request: &HttpRequest) -> Result<Self> {
        let fields = Fields::of_query(request, &["id", "delay_ms", "cache", "policy"])?;
        Ok(Self {
            id: if fields.sent("id") { Some(id(&fields)?) } else { None },
            delay_ms: delay_ms(&fields)?,
            named: policies::named(&fields)?.map(|policy| policy.name),
            policy: policies::chosen(app, &fields)?.ttl(app.shared.config.profile_ttl),
        })
    }

    fn delay(&self, app: &WorkerState) -> Duration {
        let asked = self.delay_ms.map(|ms| Duration::from_millis(u64::from(ms)));
        asked.unwrap_or(app.shared.config.database_delay)
    }
}

fn id(fields: &Fields<'_>) -> Result<UserId> {
    Ok(fields.optional("id").unwrap_or_default().trim().parse()?)
}

/// The simulated latency that was asked for, in milliseconds.
pub(super) fn delay_ms(fields: &Fields<'_>) -> Result<Option<u32>> {
    Ok(fields.number("delay_ms", 0..=DELAY_MAX)?)
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
    let query = Query::parse(&app, &request)?;
    let mut page = ProfilesPage::blank(&app, &request, &query);
    let Some(id) = &query.id else { return Ok(Page::new(page)) };
    let trace = Trace::start();
    let (db, delay) = (&app.shared.db, query.delay(&app));
    // In a box of its own: malloc is slow with all of this in one.
    let looking = Box::pin(profiles::find(&app.cache, db, id, &query.policy, delay, &trace));
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
    Ok(if was_told { page.cookie(Done::told()) } else { page })
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

    fn blank(app: &WorkerState, request: &HttpRequest, query: &Query) -> Self {
        Self {
            error: None,
            answer: None,
            known_ids: Arc::clone(&app.shared.known_ids),
            recent: recent::of(request),
            form: Form {
                id: query.id.clone(),
                chosen: Chosen {
                    delay_ms: query.delay_ms,
                    default_ms: millis(app.shared.config.database_delay),
                    policy: query.named,
                    configured: app.shared.policy.name,
                },
                done: Done::of(request),
            },
        }
    }
}

// What the template asks for.
impl ProfilesPage {
    /// What to choose from, beside the id.
    fn choices(&self) -> askama::Result<Rc<str>> {
        lookup_form::of(&self.known_ids, self.form.chosen)
    }

    /// What the visitor's last act led to, where this lookup shows it.
    fn notice(&self) -> Option<&'static str> {
        let answer = self.answer.as_ref().filter(|answer| answer.profile.is_some())?;
        match (self.form.done?, &answer.fill) {
            (Done::Edit, Fill::Stored(_)) => Some(
                "Saved. The cache dropped its copy, so this lookup read the new row from the database.",
            ),
            (Done::Edit, Fill::Failed(_)) => Some(
                "Saved in the database. The cache could not be told yet, so its copy is not used.",
            ),
            (Done::Edit, _) => Some("Saved. What you see is the new row."),
            (Done::Invalidate, Fill::Stored(_)) => {
                Some("Invalidated. The cache had to ask the database again.")
            }
            (Done::Invalidate, _) => None,
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
