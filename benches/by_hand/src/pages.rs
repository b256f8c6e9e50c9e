//! The pages, equal to hitrate's in length and content.

use std::time::Instant;

use askama::Template;
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::ACCEPT},
    response::{Html, IntoResponse, Response},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use crate::{
    App,
    cache::{InternalError, cached},
};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    hits: u64,
    elapsed_us: u128,
}

pub async fn home(State(app): State<App>) -> Result<Html<String>, InternalError> {
    let start = Instant::now();
    let hits = app.redis.clone().incr("by-hand:page_hits", 1).await?;
    let elapsed_us = start.elapsed().as_micros();
    Ok(Html(Home { hits, elapsed_us }.render()?))
}

#[derive(Serialize, Deserialize, sqlx::FromRow)]
struct Product {
    id: u32,
    name: String,
    price: f64,
}

pub async fn product(
    State(app): State<App>,
    Path(id): Path<u32>,
) -> Result<Response, InternalError> {
    let sql = "SELECT id, name, price_cents / 100.0 AS price FROM products WHERE id = $1";
    let load = sqlx::query_as::<_, Product>(sql).bind(id).fetch_optional(&app.db);
    Ok(match cached(&app.redis, &format!("by-hand:product:{id}"), load).await? {
        Some(found) => Json(found.value).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

#[derive(Serialize, Deserialize, sqlx::FromRow)]
struct Profile {
    user_id: String,
    name: String,
    email: String,
    age: u32,
}

#[derive(Deserialize)]
pub struct ProfileQuery {
    id: String,
}

/// A profile, rendered as HTML or JSON.
#[derive(Template, Serialize)]
#[template(path = "profile.html")]
struct ProfilePage<'a> {
    profile: Profile,
    source: &'static str,
    elapsed_us: u128,
    key: String,
    message: String,
    known_ids: &'a [String],
}

pub async fn profile(
    State(app): State<App>,
    Query(query): Query<ProfileQuery>,
    headers: HeaderMap,
) -> Result<Response, InternalError> {
    let start = Instant::now();
    let key = format!("by-hand:profile:{}", query.id);
    let sql = "SELECT user_id, name, email, age FROM profiles WHERE user_id = $1";
    let load = sqlx::query_as::<_, Profile>(sql).bind(&query.id).fetch_optional(&app.db);
    let Some(found) = cached(&app.redis, &key, load).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let (source, place) = match found.is_hit {
        true => ("cache", "Redis cache"),
        false => ("database", "database"),
    };
    let page = ProfilePage {
        message: format!("User profile for {} found in {place}.", query.id),
        profile: found.value,
        source,
        elapsed_us: start.elapsed().as_micros(),
        key,
        known_ids: &app.known_ids,
    };
    Ok(match headers.get(ACCEPT).is_some_and(|accept| accept == "application/json") {
        true => Json(page).into_response(),
        false => Html(page.render()?).into_response(),
    })
}
