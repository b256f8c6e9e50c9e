//! `/sessions` — a session that ends by itself, because its key has a TTL.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, time::Duration as CookieDuration},
    http::StatusCode,
    web::Data,
};
use askama::Template;
use hitrate_cache::{
    redis::RedisError,
    time::millis,
    trace::{Span, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::waterfall::Waterfall;
use crate::{
    demo::sessions::{self, Expiry, Live, TTL_DEFAULT, TTL_MAX, USERNAME_MAX},
    schemas,
    token::Token,
    web::{
        error::Result,
        form::{Body, Fields},
        nav::{self, Link},
        page::{self, Page, see_other},
        state::WorkerState,
    },
};

const COOKIE: &str = "hitrate_session";
const EXPIRED: &str = "username does not exist or has expired.";
const EXPIRIES: [(&str, Expiry); 2] =
    [("absolute", Expiry::Absolute), ("sliding", Expiry::Sliding)];

/// The visitor's session, and the form to start one.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "sessions.html")]
pub struct SessionsPage {
    /// Null when there is none, or none any more.
    session: Option<SessionView>,
    /// The documents' line for this moment, or what is wrong.
    message: String,
    /// What was said to Redis.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// Whether the visitor had a session that is gone.
    #[serde(skip)]
    had_one: bool,
    #[serde(skip)]
    error: Option<RedisError>,
}

/// A session that is alive.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    /// Whose it is.
    username: String,
    /// Milliseconds until it ends.
    ttl_ms: u64,
    /// Its key in Redis.
    key: String,
    /// How its end is reckoned.
    expiry: Expiry,
    /// Seconds it was given.
    ttl_s: u32,
    /// When it was started, in milliseconds since 1970, UTC.
    started_ms: u64,
}

impl From<Live> for SessionView {
    fn from(live: Live) -> Self {
        Self {
            ttl_ms: millis(live.left),
            key: live.key,
            username: live.session.username,
            expiry: live.session.expiry,
            ttl_s: live.session.ttl,
            started_ms: live.session.started_ms,
        }
    }
}

/// Shows the visitor's session. Looking at a sliding one renews it.
#[utoipa::path(
    get, path = "/sessions", operation_id = "session",
    responses((status = 200, description = "The session, or none", body = SessionsPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Page<SessionsPage> {
    let trace = Trace::start();
    let token = token(&request);
    let found = match &token {
        Some(token) => sessions::find(&app.store, token, &trace).await,
        None => Ok(None),
    };
    let (live, error) = match found {
        Ok(live) => (live, None),
        Err(error) => (None, Some(error)),
    };
    let message = match (&live, &error) {
        (Some(live), _) => retrieved(&live.session.username),
        (None, Some(error)) => format!("Your session can't be read: {error}."),
        (None, None) => EXPIRED.to_owned(),
    };
    Page::new(SessionsPage {
        had_one: token.is_some() && live.is_none(),
        session: live.map(SessionView::from),
        message,
        trace: trace.into_spans(),
        error,
    })
}

/// Starts a session under a new id.
#[utoipa::path(
    post, path = "/sessions", operation_id = "start_session",
    request_body(content(
        (StartSession = "application/json"),
        (StartSession = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Started; with Accept: application/json", body = SessionsPage),
        (status = 303, description = "Started; with its cookie"),
        (status = 422, description = "A value is out of range"),
        (status = 503, description = "Redis can't keep it"),
    )
)]
pub async fn start(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse> {
    let fields = body.fields(&["username", "ttl", "expiry"])?;
    let username = fields.text("username", 1..=USERNAME_MAX)?;
    let ttl = fields.number("ttl", 1..=TTL_MAX)?.unwrap_or(TTL_DEFAULT);
    let expiry = fields.choice("expiry", &EXPIRIES)?.unwrap_or(Expiry::Absolute);
    let (trace, old) = (Trace::start(), token(&request));
    let (token, live) =
        sessions::start(&app.store, old.as_ref(), username, ttl, expiry, &trace).await?;
    let message = cached(&live.session.username, ttl);
    let cookie = page::cookie(COOKIE, token.reveal(), "/");
    Ok(answer(&request, SessionsPage::after(Some(live), message, trace), cookie))
}

/// What starts a session.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described for the OpenAPI document, read field by field")]
pub struct StartSession {
    /// 1 to 64 characters.
    username: String,
    /// Seconds, 1 to 86400; 10 when left out.
    ttl: Option<u32>,
    /// `absolute` when left out.
    expiry: Option<Expiry>,
}

/// Ends the visitor's session now.
#[utoipa::path(
    post, path = "/sessions/end", operation_id = "end_session",
    responses(
        (status = 200, description = "Ended; with Accept: application/json", body = SessionsPage),
        (status = 303, description = "Ended"),
        (status = 503, description = "Redis can't be told; the browser may try again"),
    )
)]
pub async fn end(app: Data<WorkerState>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let _: Fields<'_> = body.fields(&[])?;
    let trace = Trace::start();
    if let Some(token) = token(&request) {
        sessions::end(&app.store, &token, &trace).await?;
    }
    let mut gone = page::cookie(COOKIE, String::new(), "/");
    gone.set_max_age(CookieDuration::ZERO);
    Ok(answer(&request, SessionsPage::after(None, EXPIRED.to_owned(), trace), gone))
}

fn answer(request: &HttpRequest, page: SessionsPage, cookie: Cookie<'static>) -> HttpResponse {
    match page::wants_json(request.headers()) {
        true => Page::new(page).status(StatusCode::OK).cookie(cookie).respond(request.headers()),
        false => see_other(nav::SESSIONS.path).cookie(cookie).finish(),
    }
}

fn token(request: &HttpRequest) -> Option<Token> {
    Token::parse(request.cookie(COOKIE)?.value())
}

fn retrieved(username: &str) -> String {
    format!("Retrieved username = {username} from cache.")
}

fn cached(username: &str, ttl: u32) -> String {
    let seconds = if ttl == 1 { "second" } else { "seconds" };
    format!("Cached username = {username} for {ttl} {seconds}.")
}

impl SessionsPage {
    const LINK: Link = nav::SESSIONS;

    /// What an act led to.
    fn after(live: Option<Live>, message: String, trace: Trace) -> Self {
        let session = live.map(SessionView::from);
        Self { session, message, trace: trace.into_spans(), had_one: false, error: None }
    }

    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }

    fn expired(&self) -> &'static str {
        EXPIRED
    }
}

// What the template asks for.
impl SessionView {
    fn cached(&self) -> String {
        cached(&self.username, self.ttl_s)
    }

    fn retrieved(&self) -> String {
        retrieved(&self.username)
    }

    fn is_sliding(&self) -> bool {
        self.expiry == Expiry::Sliding
    }

    /// Seconds left, as a person counts them down.
    fn seconds_left(&self) -> u64 {
        self.ttl_ms.div_ceil(1000)
    }
}
