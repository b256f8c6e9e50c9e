//! `/console` — a Redis command of the visitor's own, and its reply as
//! redis-cli prints it.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use hitrate_cache::trace::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{visitor, waterfall::Waterfall};
use crate::{
    input::Line,
    labs::{
        console::{Console, ConsoleEntry, EXAMPLES, Entries, ExampleGroup, LINE_MAX},
        support::visitor_keys::VisitorId,
    },
    schemas,
    web::{
        error::{Error, Result},
        form::{self, Body, NoFields},
        form_view::{FormView, refused},
        nav::{self, Link},
        page::{Page, run_to_completion, see_other},
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
    #[serde(skip)]
    form: FormView,
}

/// What a visitor types.
#[derive(Deserialize, ToSchema)]
pub struct ConsoleForm {
    #[schema(inline)]
    command: CommandText,
}

type CommandText = Line<LINE_MAX>;

/// The last command of this visitor, and those before.
#[utoipa::path(
    get, path = "/console", operation_id = "console",
    responses((status = 200, description = "The form and what was typed before", body = ConsolePage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<ConsolePage>> {
    let NoFields {} = form::query(&request)?;
    Ok(Page::new(ConsolePage::look(&app, &visitor::of(&request).0)))
}

/// Runs a command, if it may run.
#[utoipa::path(
    post, path = "/console", operation_id = "run_command",
    request_body(content(
        (ConsoleForm = "application/json"),
        (ConsoleForm = "application/x-www-form-urlencoded"),
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
    let (visitor, cookie) = visitor::of(&request);
    let history = match typed(&app, console, visitor.clone(), &body).await {
        Ok(history) => history,
        Err(error) => {
            let page = |form| ConsolePage { form, ..ConsolePage::look(&app, &visitor) };
            return refused(&request, &body, error, page);
        }
    };
    let page = ConsolePage::of(&app, &visitor, history);
    let status = page.status();
    let page = Page::new(page).status(status).cookie(cookie);
    Ok(match status {
        StatusCode::OK => page.or_redirect(request.headers(), nav::CONSOLE.path),
        _ => page.respond(request.headers()),
    })
}

async fn typed(
    app: &WorkerState,
    console: Arc<Console>,
    visitor: VisitorId,
    body: &Body,
) -> Result<Entries> {
    let (store, ConsoleForm { command }) = (app.store.clone(), body.parse()?);
    let line = String::from(command);
    run_to_completion(async move { Ok(console.run(&store, &visitor, &line).await?) }).await
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
    let NoFields {} = body.parse()?;
    console.clear_history(&visitor::of(&request).0);
    Ok(see_other(nav::CONSOLE.path).finish())
}

impl ConsolePage {
    const LINK: Link = nav::CONSOLE;

    /// The visitor's last commands.
    fn look(app: &WorkerState, visitor: &VisitorId) -> Self {
        let console = app.shared.console.as_ref();
        Self::of(app, visitor, console.map(|it| it.history(visitor)).unwrap_or_default())
    }

    fn of(app: &WorkerState, visitor: &VisitorId, history: Entries) -> Self {
        let last = history.first().cloned();
        Self {
            is_on: app.shared.console.is_some(),
            prefix: Console::prefix(&app.store, visitor),
            trace: last.as_ref().map(|it| it.trace.clone()).unwrap_or_default(),
            last,
            history,
            has_user: app.shared.console.as_ref().is_some_and(|it| it.has_acl_user()),
            is_away: app.store.is_unavailable(),
            form: FormView::default(),
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
    /// What stands in the prompt: a command that was refused, to be corrected.
    fn prompt(&self) -> &str {
        let last = self.last.as_ref().filter(|last| last.colour() != "fine");
        self.form.typed("command").or(last.map(|last| &*last.typed)).unwrap_or_default()
    }

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
