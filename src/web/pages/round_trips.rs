//! `/patterns/round-trips` — measures the same commands one by one, in pipelines and
//! concurrently, and compares the claims of the tutorial.

use std::sync::Arc;

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use hitrate_cache::time::micros;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::visitor;
use crate::{
    input::{Input, Integer},
    labs::{
        round_trips::{
            COUNT_MAX, DEFAULT_NETWORK, NETWORKS, Network, RoundTripRow, RoundTripsOutcome,
            RoundTripsPlan, Verb,
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
        filters,
        form::{self, Body, RunQuery},
        form_view::{Choice, FieldView, FormView, or_refused},
        nav::{self, Link},
        page::Page,
        percent::Percent,
        state::WorkerState,
    },
};

/// Minimum width of a bar, so that it is visible.
const WIDTH_MIN: Percent = Percent::hundredths(40);

/// Result of a measurement.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "round_trips.html")]
pub struct RoundTripsPage {
    /// Token of the result, valid for 30 minutes as `?run=`; null without a result.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Fields of the result; absent without one.
    #[serde(flatten)]
    #[schema(value_type = RoundTripsOutcome)]
    outcome: Option<Arc<RoundTripsOutcome>>,
    /// Claims of the tutorial, each with the measured value.
    claims: Vec<Claim>,
    /// Whether the requested result is no longer stored.
    #[serde(skip)]
    is_expired: bool,
    #[serde(skip)]
    form: FormView,
}

/// A measurement to run.
#[derive(Deserialize, ToSchema)]
pub struct RoundTripsForm {
    /// Commands per round; defaults to 1000.
    #[schema(inline)]
    count: Option<Count>,
    /// Simulated round trip in milliseconds: 0, 0.5, 2 or 10; defaults to 0.5.
    #[schema(value_type = Option<f32>)]
    round_trip: Option<Network>,
}

type Count = Integer<1, COUNT_MAX>;

const COUNT: Field = Field { name: "count", label: "Commands", kind: Count::KIND, default: "1000" };
const NETWORK: Field = Field {
    name: "round_trip",
    label: "Simulated round trip",
    kind: Network::KIND,
    default: "0.5",
};

/// Returns a stored result, if `run` names one.
#[utoipa::path(
    get, path = "/patterns/round-trips", operation_id = "round_trips",
    params(("run" = Option<String>, Query, description = "Token of a result, as returned by the POST")),
    responses((status = 200, description = "The result, or nulls without one", body = RoundTripsPage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<RoundTripsPage>> {
    let page = form::query(&request).map(|RunQuery { run }| {
        Page::new(RoundTripsPage::of(app.shared.round_trips.requested(run.as_deref())))
    });
    or_refused(page, &request, || form::sent(&request), RoundTripsPage::refused).await
}

/// Runs a measurement, which takes up to 15 seconds.
#[utoipa::path(
    post, path = "/patterns/round-trips", operation_id = "measure_round_trips",
    request_body(content(
        (RoundTripsForm = "application/json"),
        (RoundTripsForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The result, with `Accept: application/json`", body = RoundTripsPage),
        (status = 303, description = "Done; redirects to the result"),
        (status = 409, description = "Another measurement is running"),
        (status = 422, description = "A value is out of range"),
        (status = 503, description = "Redis is unavailable"),
    )
)]
pub async fn run(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<RoundTripsPage>> {
    let (visitor, cookie) = visitor::of(&request);
    let page = measure(&app, visitor.keys("round-trips"), &body).await;
    let page = or_refused(page, &request, || body.sent(), RoundTripsPage::refused).await;
    Ok(page?.cookie(cookie))
}

async fn measure(
    app: &WorkerState,
    keys: VisitorKeys,
    body: &Body,
) -> Result<Page<RoundTripsPage>> {
    let plan = body.parse::<RoundTripsForm>()?.plan();
    let (run, outcome) = app.shared.round_trips.run(app.store.clone(), keys, plan).await?;
    let page = Page::new(RoundTripsPage::of(RequestedRun::Found(run, outcome)));
    Ok(page.or_redirect(format!("{}?run={run}", nav::ROUND_TRIPS.path)))
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
        let is_expired = requested.is_expired();
        let (run, outcome) = requested.found().unzip();
        let claims = outcome.as_deref().map(RoundTripsOutcome::claims).unwrap_or_default();
        Self { run, outcome, claims, is_expired, form: FormView::default() }
    }

    async fn refused(form: FormView) -> Result<Page<Self>> {
        Ok(Page::new(Self { form, ..Self::of(RequestedRun::NotRequested) }))
    }
}

/// All modes of one command on one scale from zero.
struct VerbChart<'a> {
    verb: &'static str,
    bars: Vec<ModeBar<'a>>,
    /// Text alternative of the chart.
    description: String,
}

/// Bar of one mode; the slowest round has the full width.
struct ModeBar<'a> {
    row: &'a RoundTripRow,
    width: Percent,
    min: Percent,
    max: Percent,
}

// Methods for the template.
impl RoundTripsPage {
    fn count_field(&self) -> FieldView {
        let count = self.outcome.as_ref().map_or(u64::from(COUNT_MAX), |it| it.count);
        self.form.field(&COUNT, count).with_bounds()
    }

    fn network_field(&self) -> FieldView {
        let present = self.outcome.as_ref().map_or(micros(DEFAULT_NETWORK), |it| it.simulated_us);
        let present = NETWORKS.into_iter().find(|(_, time)| micros(*time) == present);
        let choices = NETWORKS.into_iter().map(|(name, time)| match time.is_zero() {
            true => Choice::of(name, "none"),
            false => Choice::of(name, format!("{name} ms")),
        });
        let present = present.map_or(NETWORK.default, |(name, _)| name);
        self.form.field(&NETWORK, present).with_choices(choices)
    }

    fn charts(&self) -> Vec<VerbChart<'_>> {
        let rows = self.outcome.as_deref().map(|it| it.rows.as_slice()).unwrap_or_default();
        Verb::ALL.map(|verb| VerbChart::new(verb, rows)).into()
    }
}

impl<'a> VerbChart<'a> {
    fn new(verb: Verb, rows: &'a [RoundTripRow]) -> Self {
        let rows: Vec<_> = rows.iter().filter(|row| row.verb == verb).collect();
        let slowest = rows.iter().map(|row| row.each.max_ns).max().unwrap_or_default();
        let share = |ns: u64| Percent::of(ns, slowest);
        let bar = |row: &'a RoundTripRow| ModeBar {
            row,
            width: share(row.each.median_ns).visible(WIDTH_MIN),
            min: share(row.each.min_ns),
            max: share(row.each.max_ns),
        };
        let modes = rows.iter().map(|row| format!("{}: {}", row.mode.title(), row.each.median()));
        Self {
            verb: verb.name(),
            description: format!(
                "Time per {}: {}",
                verb.name(),
                modes.collect::<Vec<_>>().join(", ")
            ),
            bars: rows.into_iter().map(bar).collect(),
        }
    }
}
