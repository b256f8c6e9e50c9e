//! `/profiles` — one profile, whether it came from the cache, and what that took.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    done::Done,
    recent::{self, Recent},
    waterfall::{self, Waterfall},
};
use crate::{
    app::App,
    cache::{Fill, Lookup},
    clock::millis,
    error::{Error, Result},
    figures,
    html::{self, CACHE_STATUS, Page, see, whole},
    input::{BadInput, Body, Fields},
    model::{AGE_MAX, EMAIL_MAX, NAME_MAX, Profile, ProfileEdit, Source, UserId, is_email},
    nav::{self, Link},
    profiles::{self, Ask},
    store::Trouble,
    wire::{Step, Wire},
};

/// The most simulated latency a visitor may ask for, in milliseconds.
const DELAY_MAX: u32 = 5_000;
/// What the form offers, in milliseconds, beside the default.
const DELAYS: [(u32, &str); 4] = [(0, "none"), (50, "50 ms"), (500, "500 ms"), (2_000, "2 s")];

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
    known_ids: Vec<UserId>,
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
    profile: Option<Profile>,
    /// Its edition: counted up by each edit; null when there is no such profile.
    version: Option<u64>,
    /// Who answered.
    source: Source,
    /// Microseconds from question to answer, simulated time included.
    elapsed_us: u64,
    /// How much of it was simulated, in microseconds.
    simulated_us: u64,
    /// Milliseconds that the cache will keep the value; null when it does not.
    ttl_ms: Option<u64>,
    /// The key in Redis.
    key: String,
    /// The documents' sentence.
    message: String,
    /// What was said to Redis and to the database, in order.
    transcript: Vec<Step>,
    #[serde(skip)]
    fill: Fill,
}

/// What the form shows.
struct Form {
    id: String,
    /// As it was asked for; `None` is the default.
    delay_ms: Option<u32>,
    default_ms: u64,
    done: Option<Done>,
}

/// What an edit or a forgetting did.
#[derive(Serialize, ToSchema)]
pub struct Acted {
    /// Whose profile.
    id: UserId,
    /// What happened, in a sentence.
    message: String,
    /// Whether the cache had a copy and dropped it; null when it could not be told.
    forgotten: Option<bool>,
    /// What was said to the database and to Redis, in order.
    transcript: Vec<Step>,
}

/// What a GET asks for.
struct Query {
    id: Option<UserId>,
    delay_ms: Option<u32>,
    bypass: bool,
}

impl Query {
    fn parse(request: &HttpRequest) -> Result<Self> {
        let fields = Fields::of_query(request, &["id", "delay_ms", "cache"])?;
        let cache = fields.choice("cache", &[("on", false), ("off", true)])?;
        Ok(Self {
            id: if fields.sent("id") { Some(id(&fields)?) } else { None },
            delay_ms: delay_ms(&fields)?,
            bypass: cache.unwrap_or_default(),
        })
    }

    fn ask(&self, app: &App) -> Ask {
        let config = &app.shared.config;
        let asked = self.delay_ms.map(|ms| Duration::from_millis(u64::from(ms)));
        let delay = asked.unwrap_or(config.database_delay);
        Ask { ttl: config.profile_ttl, delay, bypass: self.bypass }
    }
}

fn id(fields: &Fields) -> Result<UserId> {
    Ok(fields.optional("id").unwrap_or_default().trim().parse()?)
}

fn delay_ms(fields: &Fields) -> Result<Option<u32>> {
    Ok(fields.number("delay_ms", 0..=DELAY_MAX)?)
}

/// Looks a profile up, in the cache first; without an id, shows the form.
#[utoipa::path(
    get, path = "/profiles", operation_id = "look_up",
    params(
        ("id" = Option<String>, Query, description = "Whose profile: 1 to 64 letters, digits, - or _"),
        ("delay_ms" = Option<u32>, Query, description = "Simulated database latency, 0 to 5000"),
        ("cache" = Option<String>, Query, description = "`off` leaves the cache aside"),
    ),
    responses(
        (status = 200, description = "The profile", body = ProfilesPage),
        (status = 404, description = "No such profile", body = ProfilesPage),
    )
)]
pub async fn show(app: Data<App>, request: HttpRequest) -> Result<Page<ProfilesPage>> {
    let query = Query::parse(&request)?;
    let mut page = ProfilesPage::blank(&app, &request, &query);
    let Some(id) = &query.id else { return Ok(Page::new(page)) };
    let wire = Wire::on();
    let lookup = profiles::find(&app.cache, &app.shared.db, id, query.ask(&app), &wire).await?;
    let cookie = recent::remember(
        Recent { id: id.clone(), source: lookup.source, elapsed_us: lookup.elapsed_us },
        &page.recent,
    );
    let (status, cache_status) = (status(&lookup), lookup.cache_status());
    if lookup.value.is_none() {
        page.error = Some(Error::NoProfile(id.to_string()).to_string());
    }
    page.answer = Some(Answer::of(id, lookup, wire));
    let was_told = page.form.done.is_some();
    let page = Page::new(page).status(status).header(CACHE_STATUS, cache_status).cookie(cookie);
    Ok(if was_told { page.cookie(Done::told()) } else { page })
}

fn status(lookup: &Lookup<Profile>) -> StatusCode {
    match lookup.value {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    }
}

/// Changes a profile, in the database and then in the cache.
#[utoipa::path(
    post, path = "/profiles/{id}", operation_id = "edit",
    params(("id" = String, Path, description = "Whose profile")),
    request_body(content(
        (ProfileEdit = "application/json"),
        (ProfileEdit = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Changed; with Accept: application/json", body = Acted),
        (status = 303, description = "Changed; to the profile"),
        (status = 404, description = "No such profile"),
        (status = 422, description = "A value is out of range"),
    )
)]
pub async fn edit(
    app: Data<App>,
    request: HttpRequest,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let fields = body.fields(&["name", "email", "age", "delay_ms"])?;
    let change = change(&fields)?;
    let back = address(&id, delay_ms(&fields)?);
    let (edited, wire) = whole(edit_whole(app, id.clone(), change)).await?;
    if !edited.found {
        return Err(Error::NoProfile(id.to_string()));
    }
    let message = "The database has the change".to_owned();
    Ok(acted(&request, &back, Done::Edit, Acted::of(id, message, edited.forgotten, wire)))
}

async fn edit_whole(
    app: Data<App>,
    id: UserId,
    change: ProfileEdit,
) -> Result<(profiles::Edited, Wire)> {
    let wire = Wire::on();
    let edited = profiles::edit(&app.cache, &app.shared.db, &id, &change, &wire).await?;
    Ok((edited, wire))
}

fn change(fields: &Fields) -> Result<ProfileEdit, BadInput> {
    let email = fields.text("email", 3..=EMAIL_MAX)?;
    if !is_email(&email) {
        return Err(BadInput::OutOfRange("The email must look like name@example.com.".to_owned()));
    }
    let needed = || BadInput::OutOfRange(format!("The age is needed: 0 to {AGE_MAX}."));
    Ok(ProfileEdit {
        name: fields.text("name", 1..=NAME_MAX)?,
        email,
        age: fields.number("age", 0..=AGE_MAX)?.ok_or_else(needed)?,
    })
}

/// Drops a profile from the cache; the next lookup asks the database.
#[utoipa::path(
    post, path = "/profiles/{id}/forget", operation_id = "forget",
    params(("id" = String, Path, description = "Whose profile")),
    responses(
        (status = 200, description = "Dropped; with Accept: application/json", body = Acted),
        (status = 303, description = "Dropped; to the profile"),
    )
)]
pub async fn forget(
    app: Data<App>,
    request: HttpRequest,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let back = address(&id, delay_ms(&body.fields(&["delay_ms"])?)?);
    let wire = Wire::on();
    let forgotten = profiles::forget(&app.cache, &id, &wire).await;
    let told = Acted::of(id, "Asked to forget".to_owned(), forgotten, wire);
    Ok(acted(&request, &back, Done::Forget, told))
}

fn acted(request: &HttpRequest, back: &str, done: Done, acted: Acted) -> HttpResponse {
    match html::wants_json(request.headers()) {
        true => HttpResponse::Ok().json(acted),
        false => see(back).cookie(done.cookie()).finish(),
    }
}

fn address(id: &UserId, delay_ms: Option<u32>) -> String {
    let delay = delay_ms.map_or_else(String::new, |ms| format!("&delay_ms={ms}"));
    format!("{}?id={id}{delay}", nav::PROFILES.path)
}

impl Acted {
    fn of(id: UserId, act: String, forgotten: Result<bool, Trouble>, wire: Wire) -> Self {
        let then = match &forgotten {
            Ok(true) => "the cache dropped its copy".to_owned(),
            Ok(false) => "the cache had no copy".to_owned(),
            Err(trouble) => format!("the cache could not be told: {trouble}"),
        };
        let (message, forgotten) = (format!("{act}; {then}."), forgotten.ok());
        Self { id, message, forgotten, transcript: wire.into_steps() }
    }
}

impl Answer {
    fn of(id: &UserId, lookup: Lookup<Profile>, wire: Wire) -> Self {
        let transcript = wire.into_steps();
        Self {
            id: id.clone(),
            message: profiles::message(id, &lookup),
            version: lookup.version,
            source: lookup.source,
            elapsed_us: lookup.elapsed_us,
            simulated_us: waterfall::simulated_us(&transcript),
            ttl_ms: lookup.ttl.map(millis),
            key: lookup.key,
            profile: lookup.value,
            transcript,
            fill: lookup.fill,
        }
    }
}

impl ProfilesPage {
    const LINK: Link = nav::PROFILES;

    fn blank(app: &App, request: &HttpRequest, query: &Query) -> Self {
        let default_ms = millis(app.shared.config.database_delay);
        let id = query.id.as_ref().map(UserId::to_string).unwrap_or_default();
        Self {
            error: None,
            answer: None,
            known_ids: app.shared.known_ids.to_vec(),
            recent: recent::of(request),
            form: Form { id, delay_ms: query.delay_ms, default_ms, done: Done::of(request) },
        }
    }
}

/// One choice of simulated latency.
struct Delay {
    value: String,
    label: String,
    chosen: bool,
}

// What the template asks for.
impl ProfilesPage {
    fn delays(&self) -> Vec<Delay> {
        let default = match self.form.default_ms {
            ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
            ms => format!("{ms} ms"),
        };
        let chosen = self.form.delay_ms;
        let first = Delay {
            value: String::new(),
            label: format!("as set ({default})"),
            chosen: chosen.is_none(),
        };
        let offered = DELAYS.iter().map(|(ms, label)| (*ms, (*label).to_owned()));
        let odd = chosen.filter(|ms| DELAYS.iter().all(|(offered, _)| offered != ms));
        let odd = odd.map(|ms| (ms, format!("{ms} ms")));
        let others = offered.chain(odd).map(|(ms, label)| Delay {
            value: ms.to_string(),
            label,
            chosen: chosen == Some(ms),
        });
        std::iter::once(first).chain(others).collect()
    }

    /// The same lookup again, with or without the cache.
    fn again(&self, id: &UserId, bypass: bool) -> String {
        let delay = self.form.delay_ms.map_or_else(String::new, |ms| format!("&delay_ms={ms}"));
        let cache = if bypass { "&cache=off" } else { "" };
        format!("{}?id={id}{delay}{cache}", Self::LINK.path)
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
            (Done::Forget, Fill::Stored(_)) => {
                Some("Forgotten. The cache had to ask the database again.")
            }
            (Done::Forget, _) => None,
        }
    }

    /// How this hit compares with the visitor's last answer from the database.
    fn faster(&self) -> Option<String> {
        let answer = self.answer.as_ref().filter(|answer| answer.source == Source::Cache)?;
        let before = self.recent.iter().find(|recent| recent.source == Source::Database)?;
        let times = before.elapsed_us / answer.elapsed_us.max(1);
        (times > 1)
            .then(|| format!("{}× faster than your last database answer", figures::number(&times)))
    }
}

// What the template asks for.
impl Answer {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.transcript)
    }

    fn trouble(&self) -> Option<&Trouble> {
        match &self.fill {
            Fill::Failed(trouble) => Some(trouble),
            _ => None,
        }
    }

    fn was_bypass(&self) -> bool {
        self.fill == Fill::Bypassed
    }

    fn is_hit(&self) -> bool {
        self.source == Source::Cache
    }
}
