//! `/profiles/{id}` — what can be done to a profile: change it, or drop its copy.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use hitrate_cache::{
    Effect, Invalidated, Recipe, Written,
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
        page::{self, see, whole},
        pages::recipes,
        state::App,
    },
};

/// What an edit or a invalidate_command did.
#[derive(Serialize, ToSchema)]
pub struct Acted {
    /// Whose profile.
    id: UserId,
    /// Its new version; null when it was only forgotten.
    version: Option<u64>,
    /// In which order database and cache were told.
    recipe: &'static str,
    /// What happened, in a sentence.
    message: String,
    /// Whether the cache dropped a copy; null when it could not be told.
    forgotten: Option<bool>,
    /// What was said to the database and to Redis, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
}

/// Changes a profile, in the recipe's order of database and cache.
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
    let fields = body.fields(&["name", "email", "age", "delay_ms", "recipe"])?;
    let (change, recipe) = (change(&fields)?, asked(&request, &fields)?);
    let back = address(&id, delay_ms(&fields)?, recipe.map(|it| it.name));
    let recipe = recipe.unwrap_or(app.shared.recipe).ttl(app.shared.config.profile_ttl);
    let (written, trace) = whole(edit_whole(app, id.clone(), change, recipe)).await?;
    if written.version.is_none() {
        return Err(Error::NoProfile(id.to_string()));
    }
    Ok(acted(&request, &back, Done::Edit, Acted::edited(id, &written, recipe, trace)))
}

/// The recipe, in the address or in the body.
fn asked(request: &HttpRequest, body: &Fields<'_>) -> Result<Option<Recipe>> {
    let in_address = recipes::named(&Fields::of_query(request, &["recipe"])?)?;
    Ok(recipes::named(body)?.or(in_address))
}

async fn edit_whole(
    app: Data<App>,
    id: UserId,
    change: ProfileEdit,
    recipe: Recipe,
) -> Result<(Written, Trace)> {
    let trace = Trace::new();
    let (cache, db) = (&app.cache, &app.shared.db);
    let written = profiles::edit(cache, db, &id, change, &recipe, &trace).await?;
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
    let fields = body.fields(&["delay_ms", "recipe"])?;
    let recipe = asked(&request, &fields)?;
    let back = address(&id, delay_ms(&fields)?, recipe.map(|it| it.name));
    let trace = Trace::new();
    let recipe = recipe.unwrap_or(app.shared.recipe).ttl(app.shared.config.profile_ttl);
    let forgotten = profiles::forget(&app.cache, &id, &recipe, &trace).await;
    let told = Acted::forgotten(id, &forgotten, recipe, trace);
    Ok(acted(&request, &back, Done::Forget, told))
}

fn acted(request: &HttpRequest, back: &str, done: Done, acted: Acted) -> HttpResponse {
    match page::wants_json(request.headers()) {
        true => HttpResponse::Ok().json(acted),
        false => see(back).cookie(done.cookie()).finish(),
    }
}

impl Acted {
    fn edited(id: UserId, written: &Written, recipe: Recipe, trace: Trace) -> Self {
        let message = profiles::edited(written);
        let forgotten = match written.effect {
            Effect::Invalidated(dropped) => Some(dropped),
            Effect::Stored | Effect::Queued => Some(false),
            Effect::Deferred(_) => None,
        };
        let (version, recipe) = (written.version, recipe.name);
        Self { id, version, recipe, message, forgotten, trace: trace.into_spans() }
    }

    fn forgotten(
        id: UserId,
        forgotten: &Result<Invalidated, RedisError>,
        recipe: Recipe,
        trace: Trace,
    ) -> Self {
        let message = profiles::forgot(forgotten);
        let forgotten = forgotten.as_ref().ok().map(|it| *it == Invalidated::Dropped);
        let recipe = recipe.name;
        Self { id, version: None, recipe, message, forgotten, trace: trace.into_spans() }
    }
}
