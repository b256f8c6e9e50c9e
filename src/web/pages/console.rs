//! `/console` — a Redis command of the visitor's own, and its reply as
//! redis-cli prints it.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use hitrate_cache::trace::Span;
use serde::Serialize;
use utoipa::ToSchema;

use super::{visitor, waterfall::Waterfall};
use crate::{
    labs::console::{Console, ConsoleEntry, EXAMPLES, Entries, ExampleGroup, LINE_MAX},
    schemas,
    web::{
        error::{Error, Result},
        form::{Body, Fields},
        nav::{self, Link},
        page::{self, Page, run_to_completion, see_other},
        state::WorkerState,
    },
};

/// The last command of this visitor, and those before.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "console.html")]
pub struct ConsolePage {
    /// The last command; nothing of it before the first.
    #[serde(flatten)]
    #[schema(value_type = ConsoleEntry)]
    last: Option<Arc<ConsoleEntry>>,
    /// Whether commands are taken.
    is_on: bool,
    /// What is put before each key that is typed.
    prefix: String,
    /// What was said to Redis for the last command.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// The last commands of this visitor, the latest first.
    #[schema(value_type = Vec<ConsoleEntry>)]
    history: Entries,
    /// Whether commands run as an ACL user of their own.
    #[serde(skip)]
    has_user: bool,
    /// Whether Redis can't be asked at the moment.
    #[serde(skip)]
    is_away: bool,
}

/// What a visitor types.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described for the OpenAPI document, read field by field")]
pub struct TypedCommand {
    /// One line, as redis-cli takes it.
    command: String,
}

/// The last command of this visitor, and those before.
#[utoipa::path(
    get, path = "/console", operation_id = "console",
    responses((status = 200, description = "The form and what was typed before", body = ConsolePage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<ConsolePage>> {
    Fields::of_query(&request, &[])?;
    let (visitor, _) = visitor::of(&request);
    let console = app.shared.console.as_ref();
    let history = console.map(|it| it.history(&visitor)).unwrap_or_default();
    Ok(Page::new(ConsolePage::of(&app, Console::prefix(&app.store, &visitor), history)))
}

/// Runs a command, if it may run.
#[utoipa::path(
    post, path = "/console", operation_id = "run_command",
    request_body(content(
        (TypedCommand = "application/json"),
        (TypedCommand = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Its reply; with Accept: application/json", body = ConsolePage),
        (status = 303, description = "It ran; to the page that shows its reply"),
        (status = 403, description = "The console is off"),
        (status = 422, description = "It was refused, by hitrate or by Redis", body = ConsolePage),
        (status = 503, description = "Redis does not answer, or too many commands run"),
    )
)]
pub async fn run(app: Data<WorkerState>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let console = app.shared.console.clone().ok_or(Error::ConsoleOff)?;
    let fields = body.fields(&["command"])?;
    let line = fields.text("command", 1..=LINE_MAX)?;
    let (visitor, cookie) = visitor::of(&request);
    let prefix = Console::prefix(&app.store, &visitor);
    let store = app.store.clone();
    let history =
        run_to_completion(
            async move { Ok::<_, Error>(console.run(&store, &visitor, &line).await?) },
        )
        .await?;
    let page = ConsolePage::of(&app, prefix, history);
    let status = page.status();
    let mut answer = match page::wants_json(request.headers()) || status != StatusCode::OK {
        true => Page::new(page).status(status).respond(request.headers()),
        false => see_other(nav::CONSOLE.path).finish(),
    };
    if let Some(cookie) = cookie {
        // It fits a header: a name and a token.
        let _ = answer.add_cookie(&cookie);
    }
    Ok(answer)
}

/// Forgets what was typed. The keys stay.
#[utoipa::path(
    post, path = "/console/clear", operation_id = "clear_console",
    responses(
        (status = 303, description = "Forgotten"),
        (status = 403, description = "The console is off"),
    )
)]
pub async fn clear(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse> {
    let console = app.shared.console.as_ref().ok_or(Error::ConsoleOff)?;
    let _: Fields<'_> = body.fields(&[])?;
    console.forget(&visitor::of(&request).0);
    Ok(see_other(nav::CONSOLE.path).finish())
}

impl ConsolePage {
    const LINK: Link = nav::CONSOLE;

    fn of(app: &WorkerState, prefix: String, history: Entries) -> Self {
        let last = history.first().cloned();
        Self {
            is_on: app.shared.console.is_some(),
            prefix,
            trace: last.as_ref().map(|it| it.trace.clone()).unwrap_or_default(),
            last,
            history,
            has_user: app.shared.console.as_ref().is_some_and(|it| it.has_user()),
            is_away: app.store.is_unavailable(),
        }
    }

    /// Whether the last command did what it was meant to.
    fn status(&self) -> StatusCode {
        let failed = |last: &Arc<ConsoleEntry>| last.refused.is_some() || last.is_error;
        match self.last.as_ref().is_some_and(failed) {
            true => StatusCode::UNPROCESSABLE_ENTITY,
            false => StatusCode::OK,
        }
    }
}

// What the template asks for.
impl ConsolePage {
    fn examples(&self) -> &'static [ExampleGroup] {
        &EXAMPLES
    }

    fn earlier(&self) -> impl Iterator<Item = &Arc<ConsoleEntry>> {
        self.history.iter().skip(1)
    }

    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }
}

impl ConsoleEntry {
    /// How it looks: as what it became.
    fn colour(&self) -> &'static str {
        match (&self.refused, self.is_error) {
            (Some(_), _) => "refused",
            (_, true) => "error",
            _ => "fine",
        }
    }
}
