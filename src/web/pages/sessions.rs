//! `/sessions` — a session that expires by the TTL of its key.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, time::Duration as CookieDuration},
    web::Data,
};
use askama::Template;
use hitrate_cache::{
    redis::RedisError,
    time::millis,
    trace::{Span, Trace},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::waterfall::Waterfall;
use crate::{
    demo::sessions::{self, Expiry, Live, TTL_DEFAULT, TTL_MAX, USERNAME_MAX},
    input::{Input, Integer, Line},
    labs::support::fields::Field,
    schemas,
    token::Token,
    web::{
        error::Result,
        filters,
        form::{Body, NoFields},
        form_view::{FieldView, FormView, or_refused},
        nav::{self, Link},
        page::{self, Page, run_to_completion},
        state::WorkerState,
    },
};

const COOKIE: &str = "hitrate_session";
const EXPIRED: &str = "username does not exist or has expired.";

/// The visitor's session.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "sessions.html")]
pub struct SessionsPage {
    /// Null if there is none, or if it has expired.
    session: Option<SessionView>,
    /// `Cached …`, `Retrieved …` or `username does not exist or has expired.`, or the error.
    message: String,
    /// Redis commands of this request.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// Whether the cookie names a session that no longer exists.
    #[serde(skip)]
    had_session: bool,
    #[serde(skip)]
    error: Option<RedisError>,
    #[serde(skip)]
    form: FormView,
}

/// A session that has not expired.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    /// Username.
    username: String,
    /// Milliseconds until it expires.
    ttl_ms: u64,
    /// Key in Redis.
    key: String,
    /// `absolute`: expires a fixed time after its start; `sliding`: after inactivity.
    expiry: Expiry,
    /// TTL at the start, in seconds.
    ttl_s: u32,
    /// Start as a Unix timestamp in milliseconds.
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

/// Returns the visitor's session. This restarts the TTL of a sliding session.
#[utoipa::path(
    get, path = "/sessions", operation_id = "session",
    responses((status = 200, description = "The session; null if there is none", body = SessionsPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Page<SessionsPage> {
    Page::new(load(&app, &request).await)
}

async fn load(app: &WorkerState, request: &HttpRequest) -> SessionsPage {
    let trace = Trace::start();
    let token = token(request);
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
    SessionsPage {
        had_session: token.is_some() && live.is_none(),
        session: live.map(SessionView::from),
        message,
        trace: trace.into_spans(),
        error,
        form: FormView::default(),
    }
}

/// Starts a session under a new id and ends the previous one.
#[utoipa::path(
    post, path = "/sessions", operation_id = "start_session",
    request_body(content(
        (SessionForm = "application/json"),
        (SessionForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The session, with `Accept: application/json`", body = SessionsPage),
        (status = 303, description = "Started; sets the cookie and redirects to `/sessions`"),
        (status = 422, description = "A value is out of range"),
        (status = 503, description = "Redis is unavailable or rejects writes"),
    )
)]
pub async fn start(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<SessionsPage>> {
    let page = create(app.clone(), &request, &body).await;
    let refused = async |form| Ok(Page::new(SessionsPage { form, ..load(&app, &request).await }));
    or_refused(page, &request, || body.sent(), refused).await
}

async fn create(
    app: Data<WorkerState>,
    request: &HttpRequest,
    body: &Body,
) -> Result<Page<SessionsPage>> {
    let SessionForm { username, ttl, expiry } = body.parse()?;
    let (ttl, old) = (ttl.map_or(TTL_DEFAULT, Ttl::get), token(request));
    let (name, expiry) = (username.into(), expiry.unwrap_or(Expiry::Absolute));
    run_to_completion(async move {
        let trace = Trace::start();
        let (token, live) =
            sessions::start(&app.store, old.as_ref(), name, ttl, expiry, &trace).await?;
        let message = cached(&live.session.username, live.session.ttl);
        let cookie = page::cookie(COOKIE, token.reveal(), "/");
        Ok(answer(SessionsPage::after(Some(live), message, trace), cookie))
    })
    .await
}

/// A session to start.
#[derive(Deserialize, ToSchema)]
pub struct SessionForm {
    #[schema(inline)]
    username: Username,
    /// TTL in seconds; defaults to 10.
    #[schema(inline)]
    ttl: Option<Ttl>,
    /// Defaults to `absolute`.
    expiry: Option<Expiry>,
}

type Username = Line<USERNAME_MAX>;
type Ttl = Integer<1, TTL_MAX>;

const USERNAME: Field =
    Field { name: "username", label: "Username", kind: Username::KIND, default: "qiross" };
const TTL: Field = Field { name: "ttl", label: "TTL in seconds", kind: Ttl::KIND, default: "10" };

/// Ends the visitor's session.
#[utoipa::path(
    post, path = "/sessions/end", operation_id = "end_session",
    responses(
        (status = 200, description = "Ended, with `Accept: application/json`", body = SessionsPage),
        (status = 303, description = "Ended; redirects to `/sessions`"),
        (status = 503, description = "Redis is unavailable; try again"),
    )
)]
pub async fn end(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<SessionsPage>> {
    let NoFields {} = body.parse()?;
    let trace = Trace::start();
    if let Some(token) = token(&request) {
        let trace = trace.clone();
        run_to_completion(async move { sessions::end(&app.store, &token, &trace).await }).await?;
    }
    let mut expired = page::cookie(COOKIE, String::new(), "/");
    expired.set_max_age(CookieDuration::ZERO);
    Ok(answer(SessionsPage::after(None, EXPIRED.to_owned(), trace), expired))
}

fn answer(page: SessionsPage, cookie: Cookie<'static>) -> Page<SessionsPage> {
    Page::new(page).cookie(cookie).or_redirect(nav::SESSIONS.path)
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

    /// The page after an action.
    fn after(live: Option<Live>, message: String, trace: Trace) -> Self {
        let session = live.map(SessionView::from);
        let (trace, form) = (trace.into_spans(), FormView::default());
        Self { session, message, trace, had_session: false, error: None, form }
    }

    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }

    fn username_field(&self) -> FieldView {
        self.form.field(&USERNAME, USERNAME.default)
    }

    fn ttl_field(&self) -> FieldView {
        self.form.field(&TTL, TTL.default)
    }

    /// Whether the rejected form chose a sliding TTL.
    fn is_sliding_chosen(&self) -> bool {
        self.form.typed("expiry") == Some("sliding")
    }

    fn expired(&self) -> &'static str {
        EXPIRED
    }
}

// Methods for the template.
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

    /// Seconds left, rounded up.
    fn seconds_left(&self) -> u64 {
        self.ttl_ms.div_ceil(1000)
    }
}
