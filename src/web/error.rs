//! What can go wrong while answering a request, and the page that says so.
//!
//! A handler returns [`Error`] by `?`; a refusal before any handler makes one
//! itself. Either way it is rendered in one place, `middleware`, which knows
//! whether the client wants HTML or JSON.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use askama::Template;
use hitrate_cache::{
    FetchError,
    redis::{RedisError, Refusal},
};
use serde::Serialize;

use crate::{
    demo::{
        db::DbError,
        model::{NotAnId, PRODUCT_MAX},
    },
    input::FieldError,
    labs::{
        console,
        key_names::LintError,
        patterns::{self, ActionError},
        round_trips,
        stampede::StampedeError,
        support::run_lock::RunLockError,
    },
    web::{
        form::BadInput,
        nav::{self, Link},
        page::Page,
    },
};

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a visitor is told. The texts show no internals.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// 404.
    #[error("There is no page at this address.")]
    NoPage,
    /// 404.
    #[error("No profile has the id {0}.")]
    NoProfile(String),
    /// 404.
    #[error("No product has this number: they are 1 to {PRODUCT_MAX}.")]
    NoProduct,
    /// 405, with the methods that are allowed.
    #[error("This address answers {0} only.")]
    NoMethod(&'static str),
    /// 400.
    #[error(transparent)]
    NotAnId(#[from] NotAnId),
    /// 400, 408, 413, 415 or 422.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// 403.
    #[error("This request came from a page of another site, so nothing was changed.")]
    OtherSite,
    /// 421.
    #[error(
        "hitrate answers on this machine's own names only, such as localhost, and the request named another host."
    )]
    OtherHost,
    /// 503.
    #[error("{}. Try again in a moment.", capitalized(.0))]
    Database(#[from] DbError),
    /// 503: the database can't answer, and there is no copy to serve.
    #[error("{}. Try again in a moment.", capitalized(.0))]
    Origin(#[from] FetchError),
    /// 422.
    #[error(transparent)]
    LintError(#[from] LintError),
    /// 503: for what can't be done without Redis.
    #[error("{}. Try again in a moment.", capitalized(.0))]
    Redis(#[from] RedisError),
    /// 422: Redis's own words about what a visitor asked of it.
    #[error("Redis refused: {}.", .0.message)]
    Refusal(Refusal),
    /// 503.
    #[error("Too many visitors watch live already. Reload the page instead.")]
    TooManyViewers,
    /// 409.
    #[error(
        "Something else is being measured, and two would measure each other. Start yours when it is over, in some seconds."
    )]
    Measuring,
    /// 503.
    #[error("It broke off. Try again in a moment.")]
    Aborted,
    /// 422.
    #[error("Through TLS no network can be simulated. Choose a round trip of 0.")]
    Secured,
    /// 403.
    #[error(
        "The console is off here: who runs this hitrate can turn it on with HITRATE_CONSOLE=on."
    )]
    ConsoleOff,
    /// 503.
    #[error("Too many commands run at the moment. Try again in a moment.")]
    ConsoleBusy,
    /// 503.
    #[error("The trial did not end in time: this machine has too much to do. Try fewer actors.")]
    TrialTooLong,
    /// Whatever the server underneath refused.
    #[error("The request was refused.")]
    Refused(StatusCode),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoPage | Self::NoProfile(_) | Self::NoProduct => StatusCode::NOT_FOUND,
            Self::NoMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnId(_) => StatusCode::BAD_REQUEST,
            Self::LintError(_) | Self::Refusal(_) | Self::Secured => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
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

/// The page about an error, and its JSON.
#[derive(Template, Serialize)]
#[template(path = "error.html")]
struct ErrorPage {
    error: String,
    #[serde(skip)]
    status: StatusCode,
}

impl ErrorPage {
    const LINK: Link = nav::link("", "Sorry", "");

    /// Whether the visitor can mend what they sent.
    fn can_be_mended(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 413 | 415 | 422)
    }

    /// Two or three words for the heading.
    fn heading(&self) -> &'static str {
        match self.status.as_u16() {
            404 => "Not found",
            405 => "Not that way",
            403 | 421 => "Refused",
            408 => "Too slow",
            413 => "Too large",
            422 => "Out of range",
            409 | 500.. => "Not now",
            _ => "Not understood",
        }
    }
}

impl From<RunLockError> for Error {
    fn from(why: RunLockError) -> Self {
        match why {
            RunLockError::Busy => Self::Measuring,
            RunLockError::Aborted => Self::Aborted,
        }
    }
}

impl From<StampedeError> for Error {
    fn from(why: StampedeError) -> Self {
        match why {
            StampedeError::RunLock(why) => why.into(),
            StampedeError::Failed(failure) => Self::Origin(failure),
        }
    }
}

impl From<patterns::TrialError> for Error {
    fn from(why: patterns::TrialError) -> Self {
        match why {
            patterns::TrialError::RunLock(why) => why.into(),
            patterns::TrialError::Failed(error) => Self::Redis(error),
            patterns::TrialError::TooLong => Self::TrialTooLong,
        }
    }
}

impl From<ActionError> for Error {
    fn from(why: ActionError) -> Self {
        match why {
            ActionError::Redis(error) => Self::Redis(error),
            ActionError::Refused(Refusal { error, .. }) if error.is_refusal() => Self::Redis(error),
            ActionError::Refused(refusal) => Self::Refusal(refusal),
        }
    }
}

impl From<round_trips::RoundTripsError> for Error {
    fn from(why: round_trips::RoundTripsError) -> Self {
        match why {
            round_trips::RoundTripsError::RunLock(why) => why.into(),
            round_trips::RoundTripsError::Secured => Self::Secured,
            round_trips::RoundTripsError::Redis(error) => Self::Redis(error),
        }
    }
}

impl From<console::ConsoleError> for Error {
    fn from(why: console::ConsoleError) -> Self {
        match why {
            console::ConsoleError::Busy => Self::ConsoleBusy,
            console::ConsoleError::Redis(error) => Self::Redis(error),
        }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Input(error.into())
    }
}

impl Error {
    /// The field of a form that it is about, if it is about one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Input(BadInput::Field(error)) => error.field(),
            _ => None,
        }
    }

    /// The page where it happened, with its status and headers.
    pub fn on<T>(&self, page: Page<T>) -> Page<T> {
        let page = page.status(self.status_code());
        match self.retry_after() {
            Some(seconds) => page.header(header::RETRY_AFTER, seconds),
            None => page,
        }
    }

    /// In how many seconds it may be worth trying again.
    pub fn retry_after(&self) -> Option<&'static str> {
        match self.status_code() {
            StatusCode::SERVICE_UNAVAILABLE => Some("1"),
            // As long as the usual policies take.
            StatusCode::CONFLICT => Some("3"),
            _ => None,
        }
    }

    /// The whole answer, as the request's headers want it.
    pub fn answer(&self, asked: &HeaderMap) -> HttpResponse {
        let status = self.status_code();
        let mut page = self.on(Page::new(ErrorPage { error: self.to_string(), status }));
        if let Self::NoMethod(allowed) = self {
            page = page.header(header::ALLOW, *allowed);
        }
        page.respond(asked)
    }
}

/// A cause as the start of a sentence.
fn capitalized(cause: &impl std::fmt::Display) -> String {
    let text = cause.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
