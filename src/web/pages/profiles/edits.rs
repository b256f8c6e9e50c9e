//! `/profiles/{id}` — edits a profile or invalidates its cached copy.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LOCATION,
    web::{Data, Path},
};
use hitrate_cache::{
    Effect, Invalidated, Written,
    trace::{Span, Trace},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DelayMs, LookupQuery, ProfilesPage, flash::Flash, lookup_options::lookup_url};
use crate::{
    demo::{
        model::{Age, EmailAddress, Name, Profile, ProfileEdit, UserId},
        policy::Policy,
        profiles,
    },
    schemas,
    web::{
        error::{Error, Result},
        form::{self, Body},
        form_view::or_refused,
        nav,
        page::{self, Page, run_to_completion, see_other},
        pages::policies::{self, PolicyName},
        state::WorkerState,
    },
};

/// Result of an edit or an invalidation.
#[derive(Serialize, ToSchema)]
pub struct ProfileResult {
    /// Id of the profile.
    id: UserId,
    /// New version; null after an invalidation.
    version: Option<u64>,
    /// Policy of the write, which determines the order of database and cache.
    policy: &'static str,
    /// Result in one sentence.
    message: String,
    /// Whether a cached copy was removed; null if the invalidation is deferred or failed.
    invalidated: Option<bool>,
    /// Redis commands and SQL of this request, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
}

/// New values of a profile.
#[derive(Deserialize, ToSchema)]
pub struct ProfileForm {
    #[schema(inline)]
    name: Name,
    #[schema(inline)]
    email: EmailAddress,
    #[schema(inline)]
    age: Age,
    /// Simulated database latency of the lookup that follows, in milliseconds.
    #[schema(inline)]
    delay_ms: Option<DelayMs>,
    /// Policy of the write; defaults to the configured one.
    #[schema(value_type = Option<String>)]
    policy: Option<PolicyName>,
}

/// Options of an invalidation.
#[derive(Deserialize, ToSchema)]
pub struct InvalidateForm {
    /// Simulated database latency of the lookup that follows, in milliseconds.
    #[schema(inline)]
    delay_ms: Option<DelayMs>,
    /// Policy of the lookup that follows; defaults to the configured one.
    #[schema(value_type = Option<String>)]
    policy: Option<PolicyName>,
}

/// The policy in the URL.
#[derive(Deserialize)]
struct PolicyQuery {
    policy: Option<PolicyName>,
}

/// Changes a profile by the policy's write path.
#[utoipa::path(
    post, path = "/profiles/{id}", operation_id = "edit",
    params(("id" = String, Path, description = "Id of the profile")),
    request_body(content(
        (ProfileForm = "application/json"),
        (ProfileForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Changed, with `Accept: application/json`", body = ProfileResult),
        (status = 303, description = "Changed; redirects to the lookup of the profile"),
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
    match apply_edit(app.clone(), id.clone(), policy, &body).await {
        Ok((url, result)) => Ok(respond(&request, &url, Flash::Edited, result)),
        Err(error) => {
            let refused = async |form| {
                let query = LookupQuery::accepted(&form);
                let policy = query.policy.or(policy);
                let query = LookupQuery { id: Some(id), policy, ..query };
                Ok(Page::new(ProfilesPage::refused(&app, &request, &query, form).with_edit_form()))
            };
            let page =
                or_refused(Err::<_, Error>(error), &request, || body.sent(), refused).await?;
            Ok(page.respond(request.headers()))
        }
    }
}

/// Applies an edit. Returns the URL of the lookup and the result.
async fn apply_edit(
    app: Data<WorkerState>,
    id: UserId,
    in_url: Option<PolicyName>,
    body: &Body,
) -> Result<(String, ProfileResult)> {
    let ProfileForm { name, email, age, delay_ms, policy } = body.parse()?;
    let change = ProfileEdit { name: name.into(), email: email.into(), age: age.get() };
    let next = NextLookup { policy: policy.or(in_url), delay_ms };
    let (url, policy) = (next.url(&id), next.policy(&app));
    let (written, trace) = run_to_completion(write(app, id.clone(), change, policy)).await?;
    if written.version.is_none() {
        return Err(Error::NoProfile(id.to_string()));
    }
    Ok((url, ProfileResult::edited(id, &written, policy, trace)))
}

/// Options of the lookup that follows.
struct NextLookup {
    policy: Option<PolicyName>,
    delay_ms: Option<DelayMs>,
}

impl NextLookup {
    fn policy(&self, app: &WorkerState) -> Policy {
        policies::chosen(app, self.policy, None).ttl(app.shared.config.profile_ttl)
    }

    fn url(&self, id: &UserId) -> String {
        let policy = self.policy.map(|it| it.0.name);
        lookup_url(id, self.delay_ms.map(DelayMs::get), policy)
    }
}

async fn write(
    app: Data<WorkerState>,
    id: UserId,
    change: ProfileEdit,
    policy: Policy,
) -> Result<(Written<Profile>, Trace)> {
    let trace = Trace::start();
    let written = app.profiles.edit(&id, change, &policy, &trace).await?;
    Ok((written, trace))
}

/// Invalidates the cached copy of a profile; the next lookup reads the database.
#[utoipa::path(
    post, path = "/profiles/{id}/invalidate", operation_id = "invalidate_profile",
    params(("id" = String, Path, description = "Id of the profile")),
    request_body(content(
        (InvalidateForm = "application/json"),
        (InvalidateForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Invalidated, with `Accept: application/json`", body = ProfileResult),
        (status = 303, description = "Invalidated; redirects to the lookup of the profile"),
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
    let next = NextLookup { policy: sent.policy.or(policy), delay_ms: sent.delay_ms };
    let (url, policy) = (next.url(&id), next.policy(&app));
    let result = run_to_completion(drop_copy(app, id, policy)).await?;
    Ok(respond(&request, &url, Flash::Invalidated, result))
}

async fn drop_copy(app: Data<WorkerState>, id: UserId, policy: Policy) -> Result<ProfileResult> {
    let trace = Trace::start();
    let invalidated = app.profiles.invalidate(&id, &policy, &trace).await;
    Ok(ProfileResult::invalidated(id, &invalidated, policy, trace))
}

/// Former URL of `invalidate`. A 308 redirect keeps method and body.
#[utoipa::path(
    post, path = "/profiles/{id}/forget", operation_id = "forget",
    params(("id" = String, Path, description = "Id of the profile")),
    responses((status = 308, description = "Moved to `/profiles/{id}/invalidate`"))
)]
pub async fn forget(request: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    let id: UserId = id.parse()?;
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("{}/{id}/invalidate{query}", nav::PROFILES.path);
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, location)).finish())
}

fn respond(request: &HttpRequest, url: &str, flash: Flash, result: ProfileResult) -> HttpResponse {
    match page::wants_json(request.headers()) {
        true => HttpResponse::Ok().json(result),
        false => see_other(url).cookie(flash.cookie()).finish(),
    }
}

impl ProfileResult {
    fn edited(id: UserId, written: &Written<Profile>, policy: Policy, trace: Trace) -> Self {
        let message = profiles::edit_message(written);
        let invalidated = match written.effect {
            Effect::Invalidated(dropped) => Some(dropped),
            Effect::Stored | Effect::Queued => Some(false),
            _ => None,
        };
        let (version, policy) = (written.version, policy.name);
        Self { id, version, policy, message, invalidated, trace: trace.into_spans() }
    }

    fn invalidated(id: UserId, invalidated: &Invalidated, policy: Policy, trace: Trace) -> Self {
        let message = profiles::invalidation_message(invalidated);
        let is_deferred = matches!(invalidated, Invalidated::Deferred(_));
        let invalidated = (!is_deferred).then_some(*invalidated == Invalidated::Dropped);
        let policy = policy.name;
        Self { id, version: None, policy, message, invalidated, trace: trace.into_spans() }
    }
}
