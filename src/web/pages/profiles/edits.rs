//! `/profiles/{id}` — what can be done to a profile: change it, or drop its copy.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LOCATION,
    web::{Data, Path},
};
use hitrate_cache::{
    CachePolicy, Effect, Invalidated, Written,
    redis::RedisError,
    trace::{Span, Trace},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DelayMs, LookupQuery, flash::Flash, look_up, lookup_form::address};
use crate::{
    demo::{
        model::{Age, EmailAddress, Name, ProfileEdit, UserId},
        profiles,
    },
    schemas,
    web::{
        error::{Error, Result},
        form::{self, Body},
        form_view::FormView,
        nav,
        page::{self, run_to_completion, see_other},
        pages::policies::{self, PolicyName},
        state::WorkerState,
    },
};

/// What an edit or an invalidation did.
#[derive(Serialize, ToSchema)]
pub struct ProfileResult {
    /// Whose profile.
    id: UserId,
    /// Its new version; null when it was only invalidated.
    version: Option<u64>,
    /// In which order database and cache were told.
    policy: &'static str,
    /// What happened, in a sentence.
    message: String,
    /// Whether the cache dropped a copy; null when it could not be told.
    invalidated: Option<bool>,
    /// What was said to the database and to Redis, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
}

/// A profile's new values.
#[derive(Deserialize, ToSchema)]
pub struct ProfileForm {
    #[schema(inline)]
    name: Name,
    #[schema(inline)]
    email: EmailAddress,
    #[schema(inline)]
    age: Age,
    /// Simulated database latency of the lookup after it, in milliseconds.
    #[schema(inline)]
    delay_ms: Option<DelayMs>,
    /// The policy of the write; as configured when left out.
    #[schema(value_type = Option<String>)]
    policy: Option<PolicyName>,
}

/// How a profile is dropped from the cache.
#[derive(Deserialize, ToSchema)]
pub struct InvalidateForm {
    /// Simulated database latency of the lookup after it, in milliseconds.
    #[schema(inline)]
    delay_ms: Option<DelayMs>,
    /// The policy it is cached by; as configured when left out.
    #[schema(value_type = Option<String>)]
    policy: Option<PolicyName>,
}

/// The policy, in the address.
#[derive(Deserialize)]
struct PolicyQuery {
    policy: Option<PolicyName>,
}

/// Changes a profile, in the policy's order of database and cache.
#[utoipa::path(
    post, path = "/profiles/{id}", operation_id = "edit",
    params(("id" = String, Path, description = "Whose profile")),
    request_body(content(
        (ProfileForm = "application/json"),
        (ProfileForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Changed; with Accept: application/json", body = ProfileResult),
        (status = 303, description = "Changed; to the profile"),
        (status = 404, description = "No such profile"),
        (status = 422, description = "A value is out of range"),
    )
)]
pub async fn edit(
    app: Data<WorkerState>,
    request: HttpRequest,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let PolicyQuery { policy } = form::query(&request)?;
    match edited(app.clone(), id.clone(), policy, &body).await {
        Ok((back, acted)) => Ok(answer(&request, &back, Flash::Edit, acted)),
        Err(error) if page::wants_json(request.headers()) => Err(error),
        Err(error) => {
            let form = FormView::refused(&body, &error);
            let (sent, delay_ms) = (form.typed("policy"), form.accepted("delay_ms"));
            let policy = sent.and_then(|name| name.parse().ok()).map(PolicyName).or(policy);
            let query = LookupQuery { id: Some(id), delay_ms, cache: None, policy };
            let page = look_up(&app, &request, query, form).await?;
            Ok(error.on(page).respond(request.headers()))
        }
    }
}

/// What was changed, and the address of the profile.
async fn edited(
    app: Data<WorkerState>,
    id: UserId,
    in_address: Option<PolicyName>,
    body: &Body,
) -> Result<(String, ProfileResult)> {
    let ProfileForm { name, email, age, delay_ms, policy } = body.parse()?;
    let change = ProfileEdit { name: name.into(), email: email.into(), age: age.get() };
    let asked = Asked { policy: policy.or(in_address), delay_ms };
    let (back, policy) = (asked.address(&id), asked.policy(&app));
    let (written, trace) = run_to_completion(edit_whole(app, id.clone(), change, policy)).await?;
    if written.version.is_none() {
        return Err(Error::NoProfile(id.to_string()));
    }
    Ok((back, ProfileResult::edited(id, &written, policy, trace)))
}

/// How the profile is looked up before and after.
struct Asked {
    policy: Option<PolicyName>,
    delay_ms: Option<DelayMs>,
}

impl Asked {
    fn policy(&self, app: &WorkerState) -> CachePolicy {
        policies::chosen(app, self.policy, None).ttl(app.shared.config.profile_ttl)
    }

    fn address(&self, id: &UserId) -> String {
        let policy = self.policy.map(|it| it.0.name);
        address(id, self.delay_ms.map(DelayMs::get), policy)
    }
}

async fn edit_whole(
    app: Data<WorkerState>,
    id: UserId,
    change: ProfileEdit,
    policy: CachePolicy,
) -> Result<(Written, Trace)> {
    let trace = Trace::start();
    let (cache, db) = (&app.cache, &app.shared.db);
    let written = profiles::edit(cache, db, &id, change, &policy, &trace).await?;
    Ok((written, trace))
}

/// Drops a profile from the cache; the next lookup asks the database.
#[utoipa::path(
    post, path = "/profiles/{id}/invalidate", operation_id = "invalidate",
    params(("id" = String, Path, description = "Whose profile")),
    request_body(content(
        (InvalidateForm = "application/json"),
        (InvalidateForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Dropped; with Accept: application/json", body = ProfileResult),
        (status = 303, description = "Dropped; to the profile"),
    )
)]
pub async fn invalidate(
    app: Data<WorkerState>,
    request: HttpRequest,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let PolicyQuery { policy } = form::query(&request)?;
    let sent: InvalidateForm = body.parse()?;
    let asked = Asked { policy: sent.policy.or(policy), delay_ms: sent.delay_ms };
    let (back, policy, trace) = (asked.address(&id), asked.policy(&app), Trace::start());
    let invalidated = profiles::invalidate(&app.cache, &id, &policy, &trace).await;
    let told = ProfileResult::invalidated(id, &invalidated, policy, trace);
    Ok(answer(&request, &back, Flash::Invalidate, told))
}

/// The former address of `invalidate`: 308, so that method and body stay.
#[utoipa::path(
    post, path = "/profiles/{id}/forget", operation_id = "forget",
    params(("id" = String, Path, description = "Whose profile")),
    responses((status = 308, description = "Moved to `/profiles/{id}/invalidate`"))
)]
pub async fn forget(request: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("{}/{id}/invalidate{query}", nav::PROFILES.path);
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, location)).finish())
}

fn answer(request: &HttpRequest, back: &str, done: Flash, acted: ProfileResult) -> HttpResponse {
    match page::wants_json(request.headers()) {
        true => HttpResponse::Ok().json(acted),
        false => see_other(back).cookie(done.cookie()).finish(),
    }
}

impl ProfileResult {
    fn edited(id: UserId, written: &Written, policy: CachePolicy, trace: Trace) -> Self {
        let message = profiles::edit_message(written);
        let invalidated = match written.effect {
            Effect::Invalidated(dropped) => Some(dropped),
            Effect::Stored | Effect::Queued => Some(false),
            Effect::Deferred(_) => None,
        };
        let (version, policy) = (written.version, policy.name);
        Self { id, version, policy, message, invalidated, trace: trace.into_spans() }
    }

    fn invalidated(
        id: UserId,
        invalidated: &Result<Invalidated, RedisError>,
        policy: CachePolicy,
        trace: Trace,
    ) -> Self {
        let message = profiles::invalidation_message(invalidated);
        let invalidated = invalidated.as_ref().ok().map(|it| *it == Invalidated::Dropped);
        let policy = policy.name;
        Self { id, version: None, policy, message, invalidated, trace: trace.into_spans() }
    }
}
