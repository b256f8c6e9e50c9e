//! Errors of requests, and the error page.
//!
//! A handler returns an [`Error`] with `?`. `middleware` renders it, as HTML or as JSON,
//! like the errors of requests that reach no handler.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use askama::Template;
use hitrate_cache::redis::{RedisError, Refusal};
use serde::Serialize;

use crate::{
    demo::{
        db::DbError,
        load_error::LoadError,
        model::{NotAnId, PRODUCT_MAX},
    },
    input::{FieldError, FieldErrors},
    labs::{
        console,
        key_names::LintError,
        patterns::{self, ActionError},
        round_trips,
        stampede::StampedeError,
        structures::PlaygroundError,
        support::run_lock::RunLockError,
    },
    web::{
        form::BadInput,
        nav::{self, Link},
        page::Page,
    },
};

/// Result of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error response. The texts reveal no internals.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// 404.
    #[error("There is no page at this address.")]
    NoPage,
    /// 404.
    #[error("No profile has the id {0}.")]
    NoProfile(String),
    /// 404.
    #[error("No product has this id: ids are 1 to {PRODUCT_MAX}.")]
    NoProduct,
    /// 405, with the methods that are allowed.
    #[error("This URL allows only {0}.")]
    NoMethod(&'static str),
    /// 400.
    #[error(transparent)]
    NotAnId(#[from] NotAnId),
    /// 400, 408, 413, 415 or 422.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// 403.
    #[error("This request came from another site, so nothing was changed.")]
    OtherSite,
    /// 421.
    #[error(
        "hitrate only accepts requests for this machine's own names, such as localhost. This request names another host."
    )]
    OtherHost,
    /// 503.
    #[error("{}. Try again in a moment.", capitalized(.0))]
    Database(#[from] DbError),
    /// 503: the load failed, and there is no copy to serve.
    #[error("{}. Try again in a moment.", capitalized(.0))]
    Origin(#[from] LoadError),
    /// 503: the action needs Redis.
    #[error("{}. Try again in a moment.", capitalized(.0))]
    Redis(#[from] RedisError),
    /// 422: Redis rejected the visitor's command, with its reply.
    #[error("Redis rejected the command: {}.", .0.message)]
    Refusal(Refusal),
    /// 503.
    #[error("Too many live connections. Reload the page to update it.")]
    TooManyViewers,
    /// 409.
    #[error(
        "Another measurement is running, and two at once would distort each other. Try again in a few seconds."
    )]
    Measuring,
    /// 503.
    #[error("The run was aborted. Try again in a moment.")]
    Aborted,
    /// 422.
    #[error("A network can't be simulated over TLS. Choose a round trip of 0.")]
    Secured,
    /// 403.
    #[error("The console is disabled. The operator can enable it with HITRATE_CONSOLE=on.")]
    ConsoleOff,
    /// 503.
    #[error("Too many commands are running. Try again in a moment.")]
    ConsoleBusy,
    /// 503.
    #[error("The trial did not finish in time: this machine is overloaded. Try fewer actors.")]
    TrialTooLong,
    /// Any other error of the HTTP server, with its status.
    #[error("The request was rejected.")]
    Refused(StatusCode),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoPage | Self::NoProfile(_) | Self::NoProduct => StatusCode::NOT_FOUND,
            Self::NoMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnId(_) => StatusCode::BAD_REQUEST,
            Self::Refusal(_) | Self::Secured => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Input(input) => input.status_code(),
            Self::OtherSite | Self::ConsoleOff => StatusCode::FORBIDDEN,
            Self::OtherHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Measuring => StatusCode::CONFLICT,
            Self::Database(_)
            | Self::Origin(_)
            | Self::Redis(_)
            | Self::TooManyViewers
            | Self::ConsoleBusy
            | Self::Aborted
            | Self::TrialTooLong => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(status) => *status,
        }
    }
}

/// The error page.
#[derive(Template, Serialize)]
#[template(path = "error.html")]
struct ErrorPage {
    error: String,
    #[serde(skip)]
    status: StatusCode,
}

impl ErrorPage {
    const LINK: Link = nav::link("", "Error", "");

    /// Whether the visitor can correct the request.
    fn is_correctable(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 413 | 415 | 422)
    }

    /// Heading.
    fn heading(&self) -> &'static str {
        match self.status.as_u16() {
            404 => "Not found",
            405 => "Method not allowed",
            403 => "Forbidden",
            421 => "Wrong host",
            408 => "Request timeout",
            413 => "Request too large",
            415 => "Unsupported media type",
            422 => "Invalid input",
            409 => "Busy",
            500.. => "Unavailable",
            _ => "Bad request",
        }
    }
}

impl From<RunLockError> for Error {
    fn from(error: RunLockError) -> Self {
        match error {
            RunLockError::Busy => Self::Measuring,
            RunLockError::Aborted => Self::Aborted,
        }
    }
}

impl From<StampedeError> for Error {
    fn from(error: StampedeError) -> Self {
        match error {
            StampedeError::RunLock(error) => error.into(),
            StampedeError::Failed(failure) => Self::Origin(failure),
        }
    }
}

impl From<patterns::TrialError> for Error {
    fn from(error: patterns::TrialError) -> Self {
        match error {
            patterns::TrialError::RunLock(error) => error.into(),
            patterns::TrialError::Failed(error) => Self::Redis(error),
            patterns::TrialError::TooLong => Self::TrialTooLong,
        }
    }
}

impl From<ActionError> for Error {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Redis(error) => Self::Redis(error),
            ActionError::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<PlaygroundError> for Error {
    fn from(error: PlaygroundError) -> Self {
        match error {
            PlaygroundError::Invalid(field) => field.into(),
            PlaygroundError::Full(message) => FieldError::out_of_range(message).into(),
            PlaygroundError::Redis(error) => Self::Redis(error),
        }
    }
}

/// The server is at fault if it rejects writes or is loading its data.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.error.is_refusal() || refusal.error == RedisError::NotReady {
            true => Self::Redis(refusal.error),
            false => Self::Refusal(refusal),
        }
    }
}

impl From<round_trips::RoundTripsError> for Error {
    fn from(error: round_trips::RoundTripsError) -> Self {
        match error {
            round_trips::RoundTripsError::RunLock(error) => error.into(),
            round_trips::RoundTripsError::Secured => Self::Secured,
            round_trips::RoundTripsError::Redis(error) => Self::Redis(error),
        }
    }
}

impl From<console::ConsoleError> for Error {
    fn from(error: console::ConsoleError) -> Self {
        match error {
            console::ConsoleError::Busy => Self::ConsoleBusy,
            console::ConsoleError::Redis(error) => Self::Redis(error),
        }
    }
}

impl From<LintError> for Error {
    fn from(error: LintError) -> Self {
        FieldError::out_of_range(error.to_string()).of("names").into()
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Input(error.into())
    }
}

impl From<FieldErrors> for Error {
    fn from(errors: FieldErrors) -> Self {
        Self::Input(errors.into())
    }
}

impl Error {
    /// The form fields at fault, each with its message.
    pub fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::Input(BadInput::Fields(errors)) => {
                let field = |it: &FieldError| Some((it.field()?.to_owned(), it.to_string()));
                errors.iter().filter_map(field).collect()
            }
            Self::NotAnId(_) | Self::NoProfile(_) => vec![("id".to_owned(), self.to_string())],
            _ => Vec::new(),
        }
    }

    /// Adds its status and headers to a page that shows it.
    pub fn on<T>(&self, page: Page<T>) -> Page<T> {
        let page = page.status(self.status_code());
        match self.retry_after() {
            Some(seconds) => page.header(header::RETRY_AFTER, seconds),
            None => page,
        }
    }

    /// Value of `Retry-After`, in seconds.
    pub fn retry_after(&self) -> Option<&'static str> {
        match self.status_code() {
            StatusCode::SERVICE_UNAVAILABLE => Some("1"),
            // About the duration of a default stampede.
            StatusCode::CONFLICT => Some("3"),
            _ => None,
        }
    }

    /// The error page, as HTML or JSON by the request's headers.
    pub fn respond(&self, headers: &HeaderMap) -> HttpResponse {
        let status = self.status_code();
        let mut page = self.on(Page::new(ErrorPage { error: self.to_string(), status }));
        if let Self::NoMethod(allowed) = self {
            page = page.header(header::ALLOW, *allowed);
        }
        page.respond(headers)
    }
}

/// The response to a request: the page, or the error.
pub fn respond<T: Template + Serialize>(
    page: Result<Page<T>>,
    headers: &HeaderMap,
) -> HttpResponse {
    page.map_or_else(|error| error.respond(headers), |page| page.respond(headers))
}

/// A cause with a capital first letter.
fn capitalized(cause: &impl std::fmt::Display) -> String {
    let text = cause.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
