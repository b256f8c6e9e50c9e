//! `/patterns/round-trips` — the same commands singly, in pipelines and all at
//! once, and what the documents say of that.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use askama::Template;
use hitrate_cache::time::micros;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::visitor;
use crate::{
    format,
    input::{Input, Integer},
    labs::{
        round_trips::{
            COUNT_MAX, ClientReport, DEFAULT_NETWORK, NETWORKS, Network, RoundTripRow,
            RoundTripsOutcome, RoundTripsPlan, Verb,
        },
        support::{
            claims::Claim,
            fields::Field,
            result_store::{RequestedRun, RunToken},
            visitor_keys::VisitorKeys,
        },
    },
    web::{
        error::Result,
        form::{self, Body, RunQuery},
        form_view::{FieldView, FormView, refused},
        nav::{self, Link},
        page::Page,
        state::WorkerState,
    },
};

/// No bar is narrower, in per cent: one that can't be seen would look like none.
const NARROWEST: f64 = 0.4;

/// The form, and what was measured.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "round_trips.html")]
pub struct RoundTripsPage {
    /// The token by which `GET ?run=` shows the result again for half an hour;
    /// null when nothing ran.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// What was measured; nothing of it before.
    #[serde(flatten)]
    #[schema(value_type = RoundTripsOutcome)]
    outcome: Option<Arc<RoundTripsOutcome>>,
    /// The documents' tables, each line beside what was measured.
    claims: Vec<Claim>,
    /// Whether the request names a result that is not kept any more.
    #[serde(skip)]
    is_gone: bool,
    #[serde(skip)]
    form: FormView,
}

/// What to measure.
#[derive(Deserialize, ToSchema)]
pub struct RoundTripsForm {
    /// Commands in each turn; 1000 when left out.
    #[schema(inline)]
    count: Option<Count>,
    /// The simulated round trip in milliseconds: 0, 0.5, 2 or 10; 0.5 when left out.
    #[schema(value_type = Option<f32>)]
    round_trip: Option<Network>,
}

type Count = Integer<1, COUNT_MAX>;

const COUNT: Field = Field { name: "count", label: "Commands", kind: Count::KIND, default: "1000" };
const NETWORK: Field = Field {
    name: "round_trip",
    label: "Simulated network, round trip",
    kind: Network::KIND,
    default: "0.5",
};

/// The form, and the result of an earlier run while it is kept.
#[utoipa::path(
    get, path = "/patterns/round-trips", operation_id = "round_trips",
    params(("run" = Option<String>, Query, description = "The token of a result, as a POST returned it")),
    responses((status = 200, description = "The form, and the result if one was asked for", body = RoundTripsPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<RoundTripsPage>> {
    let RunQuery { run } = form::query(&request)?;
    Ok(Page::new(RoundTripsPage::of(app.shared.round_trips.requested(run.as_deref()))))
}

/// Measures, which takes some seconds.
#[utoipa::path(
    post, path = "/patterns/round-trips", operation_id = "measure_round_trips",
    request_body(content(
        (RoundTripsForm = "application/json"),
        (RoundTripsForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = RoundTripsPage),
        (status = 303, description = "Done; to the result"),
        (status = 409, description = "Something else is being measured"),
        (status = 422, description = "A value is out of range"),
        (status = 503, description = "Redis does not answer"),
    )
)]
pub async fn run(app: Data<WorkerState>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let (visitor, cookie) = visitor::of(&request);
    let (run, outcome) = match measure(&app, visitor.keys("round-trips"), &body).await {
        Ok(measured) => measured,
        Err(error) => return refused(&request, &body, error, RoundTripsPage::refused),
    };
    let page = Page::new(RoundTripsPage::of(RequestedRun::Found(run, outcome))).cookie(cookie);
    Ok(page.or_redirect(request.headers(), &format!("{}?run={run}", nav::ROUND_TRIPS.path)))
}

async fn measure(
    app: &WorkerState,
    demo: VisitorKeys,
    body: &Body,
) -> Result<(RunToken, Arc<RoundTripsOutcome>)> {
    let plan = body.parse::<RoundTripsForm>()?.plan();
    Ok(app.shared.round_trips.run(app.store.clone(), demo, plan).await?)
}

impl RoundTripsForm {
    fn plan(self) -> RoundTripsPlan {
        RoundTripsPlan {
            count: self.count.map_or(COUNT_MAX, Count::get) as usize,
            round_trip: self.round_trip.map_or(DEFAULT_NETWORK, |network| network.0),
        }
    }
}

impl RoundTripsPage {
    const LINK: Link = nav::ROUND_TRIPS;

    fn of(requested: RequestedRun<RoundTripsOutcome>) -> Self {
        let is_gone = requested.is_expired();
        let (run, outcome) = requested.found().unzip();
        let claims = outcome.as_deref().map(RoundTripsOutcome::claims).unwrap_or_default();
        Self { run, outcome, claims, is_gone, form: FormView::default() }
    }

    fn refused(form: FormView) -> Self {
        Self { form, ..Self::of(RequestedRun::NotRequested) }
    }
}

/// All ways of one verb, on one scale that begins at nothing.
struct Chart<'a> {
    verb: &'static str,
    bars: Vec<Bar<'a>>,
    /// What can be seen, for who can't.
    told: String,
}

/// One way, in per cent of the slowest.
struct Bar<'a> {
    row: &'a RoundTripRow,
    width: f64,
    min: f64,
    max: f64,
}

// What the template asks for.
impl RoundTripsPage {
    fn count_field(&self) -> FieldView {
        let count = self.outcome.as_ref().map_or(u64::from(COUNT_MAX), |it| it.count);
        self.form.field(&COUNT, count).with_bounds()
    }

    fn network_field(&self) -> FieldView {
        let present = self.outcome.as_ref().map_or(micros(DEFAULT_NETWORK), |it| it.simulated_us);
        let present = NETWORKS.into_iter().find(|(_, time)| micros(*time) == present);
        let mut field =
            self.form.field(&NETWORK, present.map_or(NETWORK.default, |(name, _)| name));
        for choice in &mut field.choices {
            let is_none = choice.value == "0";
            choice.label = if is_none { "none".to_owned() } else { format!("{} ms", choice.value) };
        }
        field
    }

    fn charts(&self) -> Vec<Chart<'_>> {
        let rows = self.outcome.as_deref().map(|it| it.rows.as_slice()).unwrap_or_default();
        Verb::ALL.map(|verb| Chart::of(verb, rows)).into()
    }
}

impl<'a> Chart<'a> {
    fn of(verb: Verb, rows: &'a [RoundTripRow]) -> Self {
        let rows: Vec<_> = rows.iter().filter(|row| row.verb == verb).collect();
        let run_to_completion =
            rows.iter().map(|row| row.each.max_ns).max().unwrap_or_default().max(1);
        let share = |ns: u64| (ns as f64 * 10_000.0 / run_to_completion as f64).round() / 100.0;
        let bar = |row: &'a RoundTripRow| Bar {
            row,
            width: share(row.each.median_ns).max(NARROWEST),
            min: share(row.each.min_ns),
            max: share(row.each.max_ns),
        };
        let told = rows.iter().map(|row| format!("{}: {}", row.mode.title(), row.each.median()));
        Self {
            verb: verb.name(),
            told: format!("{} each, {}", verb.name(), told.collect::<Vec<_>>().join(", ")),
            bars: rows.into_iter().map(bar).collect(),
        }
    }
}

impl ClientReport {
    /// Microseconds for all that came at once, as a person reads them.
    fn concurrent_time(&self) -> String {
        format::time(&self.concurrent_us)
    }
}
