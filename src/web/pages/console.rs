//! `/console` — runs a Redis command of the visitor and shows its reply as redis-cli
//! prints it.

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
        filters,
        form::{self, Body, NoFields},
        form_view::{FormView, or_refused},
        nav::{self, Link},
        page::{Page, run_to_completion, see_other},
        state::WorkerState,
    },
};

/// The last command of a visitor, and their command history.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "console.html")]
pub struct ConsolePage {
    /// Fields of the last command; absent before the first.
    #[serde(flatten)]
    #[schema(value_type = ConsoleEntry)]
    last: Option<Arc<ConsoleEntry>>,
    /// Whether the console is enabled.
    is_on: bool,
    /// Prefix that is added to each key of a command.
    prefix: String,
    /// Redis commands sent for the last command, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// The visitor's last commands, latest first.
    #[schema(value_type = Vec<ConsoleEntry>)]
    history: Entries,
    /// Whether commands run as a separate ACL user.
    #[serde(skip)]
    has_user: bool,
    /// Whether Redis is unavailable.
    #[serde(skip)]
    is_away: bool,
    #[serde(skip)]
    form: FormView,
}

/// A command to run.
#[derive(Deserialize, ToSchema)]
pub struct ConsoleForm {
    #[schema(inline)]
    command: CommandText,
}

type CommandText = Line<LINE_MAX>;

/// Returns the visitor's last command and their command history.
#[utoipa::path(
    get, path = "/console", operation_id = "console",
    responses((status = 200, description = "The last command, and the history", body = ConsolePage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<ConsolePage>> {
    let (visitor, _) = visitor::of(&request);
    let page =
        form::query(&request).map(|NoFields {}| Page::new(ConsolePage::load(&app, &visitor)));
    let refused = async |form| ConsolePage::refused(&app, &visitor, form);
    or_refused(page, &request, || form::sent(&request), refused).await
}

/// Runs a command if it is allowed.
#[utoipa::path(
    post, path = "/console", operation_id = "run_command",
    request_body(content(
        (ConsoleForm = "application/json"),
        (ConsoleForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The reply, with `Accept: application/json`", body = ConsolePage),
        (status = 303, description = "The command ran; redirects to `/console`"),
        (status = 403, description = "The console is disabled"),
        (status = 422, description = "hitrate or Redis rejected the command", body = ConsolePage),
        (status = 503, description = "Redis is unavailable, or too many commands are running"),
    )
)]
pub async fn run(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<ConsolePage>> {
    let console = app.shared.console.clone().ok_or(Error::ConsoleOff)?;
    let (visitor, cookie) = visitor::of(&request);
    let page = execute(&app, console, visitor.clone(), &body).await;
    let refused = async |form| ConsolePage::refused(&app, &visitor, form);
    Ok(or_refused(page, &request, || body.sent(), refused).await?.cookie(cookie))
}

async fn execute(
    app: &Data<WorkerState>,
    console: Arc<Console>,
    visitor: VisitorId,
    body: &Body,
) -> Result<Page<ConsolePage>> {
    let (app, ConsoleForm { command }) = (app.clone(), body.parse()?);
    let line = String::from(command);
    run_to_completion(async move {
        let history = console.run(&app.store, &visitor, &line).await?;
        let page = ConsolePage::of(&app, &visitor, history);
        Ok(match page.has_failed() {
            true => Page::new(page).status(StatusCode::UNPROCESSABLE_ENTITY),
            false => Page::new(page).or_redirect(nav::CONSOLE.path),
        })
    })
    .await
}

/// Clears the visitor's command history. Their keys stay.
#[utoipa::path(
    post, path = "/console/clear", operation_id = "clear_console",
    responses(
        (status = 303, description = "Cleared; redirects to `/console`"),
        (status = 403, description = "The console is disabled"),
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

    /// The page with the visitor's current history.
    fn load(app: &WorkerState, visitor: &VisitorId) -> Self {
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

    fn refused(app: &WorkerState, visitor: &VisitorId, form: FormView) -> Result<Page<Self>> {
        Ok(Page::new(Self { form, ..Self::load(app, visitor) }))
    }

    /// Whether the last command was rejected or failed.
    fn has_failed(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.refused.is_some() || last.is_error)
    }
}

// Methods for the template.
impl ConsolePage {
    /// Initial text of the prompt: the last command if it failed, to be corrected.
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
    /// Class of its colour, by its outcome.
    fn colour(&self) -> &'static str {
        match (&self.refused, self.is_error) {
            (Some(_), _) => "refused",
            (_, true) => "error",
            _ => "fine",
        }
    }
}
