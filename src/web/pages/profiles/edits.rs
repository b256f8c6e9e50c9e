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
use serde::Serialize;
use utoipa::ToSchema;

use super::{delay_ms, flash::Done, lookup_form::address};
use crate::{
    demo::{
        model::{AGE_MAX, EMAIL_MAX, NAME_MAX, ProfileEdit, UserId, is_email},
        profiles,
    },
    schemas,
    web::{
        error::{Error, Result},
        form::{BadInput, Body, Fields},
        nav,
        page::{self, run_to_completion, see_other},
        pages::policies,
        state::WorkerState,
    },
};

/// What an edit or an invalidation did.
#[derive(Serialize, ToSchema)]
pub struct Acted {
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

/// Changes a profile, in the policy's order of database and cache.
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
    app: Data<WorkerState>,
    request: HttpRequest,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let fields = body.fields(&["name", "email", "age", "delay_ms", "policy"])?;
    let (change, policy) = (change(&fields)?, asked(&request, &fields)?);
    let back = address(&id, delay_ms(&fields)?, policy.map(|it| it.name));
    let policy = policy.unwrap_or(app.shared.policy).ttl(app.shared.config.profile_ttl);
    let (written, trace) = run_to_completion(edit_whole(app, id.clone(), change, policy)).await?;
    if written.version.is_none() {
        return Err(Error::NoProfile(id.to_string()));
    }
    Ok(acted(&request, &back, Done::Edit, Acted::edited(id, &written, policy, trace)))
}

/// The policy, in the address or in the body.
fn asked(request: &HttpRequest, body: &Fields<'_>) -> Result<Option<CachePolicy>> {
    let in_address = policies::named(&Fields::of_query(request, &["policy"])?)?;
    Ok(policies::named(body)?.or(in_address))
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

fn change(fields: &Fields<'_>) -> Result<ProfileEdit, BadInput> {
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
    post, path = "/profiles/{id}/invalidate", operation_id = "invalidate",
    params(("id" = String, Path, description = "Whose profile")),
    responses(
        (status = 200, description = "Dropped; with Accept: application/json", body = Acted),
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
    let fields = body.fields(&["delay_ms", "policy"])?;
    let policy = asked(&request, &fields)?;
    let back = address(&id, delay_ms(&fields)?, policy.map(|it| it.name));
    let trace = Trace::start();
    let policy = policy.unwrap_or(app.shared.policy).ttl(app.shared.config.profile_ttl);
    let invalidated = profiles::invalidate(&app.cache, &id, &policy, &trace).await;
    let told = Acted::invalidated(id, &invalidated, policy, trace);
    Ok(acted(&request, &back, Done::Invalidate, told))
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

fn acted(request: &HttpRequest, back: &str, done: Done, acted: Acted) -> HttpResponse {
    match page::wants_json(request.headers()) {
        true => HttpResponse::Ok().json(acted),
        false => see_other(back).cookie(done.cookie()).finish(),
    }
}

impl Acted {
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
