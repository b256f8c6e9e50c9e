//! `/stampede` — many concurrent visitors request one key, policy by policy.

mod stampede_chart;

use std::time::Duration;

use actix_web::{HttpRequest, web::Data};
use askama::Template;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Unexpected},
};
use utoipa::ToSchema;

use self::stampede_chart::StampedeChart;
use crate::{
    demo::policy::Policy,
    input::{FieldError, Input, Integer},
    labs::{
        stampede::{
            self, DEFAULTS, DELAY_MS, DELAY_MS_MAX, PolicyRun, StampedeOutcome, StampedePlan,
            Stampedes, VISITORS, VISITORS_MAX,
        },
        support::{
            claims::Claim,
            fields::Field,
            result_store::{RequestedRun, RunToken},
        },
    },
    web::{
        error::Result,
        filters,
        form::{self, Body, RunQuery},
        form_view::{FieldView, FormView, or_refused},
        nav::{self, Link},
        page::Page,
        state::WorkerState,
    },
};

/// Result of a stampede.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "stampede.html")]
pub struct StampedePage {
    /// Token of the result, valid for 30 minutes as `?run=`; null without a result.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Concurrent visitors; before a run, the default.
    visitors: u64,
    /// Simulated database delay in milliseconds; before a run, the default.
    delay_ms: u64,
    /// Duration of all runs in milliseconds, including preparation; null without a result.
    took_ms: Option<u64>,
    /// One run per policy, in order.
    runs: Vec<PolicyRun>,
    /// Policies that did not run because the time limit was reached.
    skipped: Vec<&'static str>,
    /// Claims of the tutorial, each with the measured value.
    claims: Vec<Claim>,
    /// Whether the requested result is no longer stored.
    #[serde(skip)]
    is_expired: bool,
    #[serde(skip)]
    form: FormView,
}

/// A stampede to run.
#[derive(Deserialize, ToSchema)]
pub struct StampedeForm {
    /// Policies to run, each at most once: a caching policy, or one protection alone
    /// (`single-flight`, `lease`, `early-refresh`, `stale-while-revalidate`). Defaults to
    /// `cache-aside` and these four.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    policy: Vec<StampedePolicy>,
    /// Concurrent visitors; defaults to 100.
    #[schema(inline)]
    visitors: Option<Visitors>,
    /// Simulated database delay in milliseconds; defaults to 200.
    #[schema(inline)]
    delay_ms: Option<DelayMs>,
}

type Visitors = Integer<1, VISITORS_MAX>;
type DelayMs = Integer<0, DELAY_MS_MAX>;

const VISITORS_FIELD: Field =
    Field { name: "visitors", label: "Visitors", kind: Visitors::KIND, default: "100" };
const DELAY_FIELD: Field = Field {
    name: "delay_ms",
    label: "Simulated database delay, ms",
    kind: DelayMs::KIND,
    default: "200",
};

/// A policy that a stampede can run, parsed from its name.
#[derive(Debug)]
struct StampedePolicy(Policy);

impl<'de> Deserialize<'de> for StampedePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || {
            let names: Vec<_> = Stampedes::policies().map(|policy| policy.name).collect();
            D::Error::invalid_value(Unexpected::Str(&name), &names.join(", ").as_str())
        };
        named(&name).map(Self).ok_or_else(unknown)
    }
}

/// Returns a stored result, if `run` names one.
#[utoipa::path(
    get, path = "/stampede", operation_id = "stampede",
    params(("run" = Option<String>, Query, description = "Token of a result, as returned by the POST")),
    responses((status = 200, description = "The result, or an empty one without `run`", body = StampedePage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<StampedePage>> {
    let page = form::query(&request).map(|RunQuery { run }| {
        Page::new(StampedePage::of(app.shared.stampedes.requested(run.as_deref())))
    });
    or_refused(page, &request, || form::sent(&request), StampedePage::refused).await
}

/// Runs a stampede and waits for its end.
#[utoipa::path(
    post, path = "/stampede", operation_id = "run_stampede",
    request_body(content(
        (StampedeForm = "application/json"),
        (StampedeForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The result, with `Accept: application/json`", body = StampedePage),
        (status = 303, description = "Done; redirects to the result"),
        (status = 409, description = "Another measurement is running"),
        (status = 422, description = "A value is out of range, or a policy is unknown"),
        (status = 503, description = "No visitor got an answer, or the run was aborted"),
    )
)]
pub async fn run(
    app: Data<WorkerState>,
    request: HttpRequest,
    body: Body,
) -> Result<Page<StampedePage>> {
    let page = measure(&app, &body).await;
    or_refused(page, &request, || body.sent(), StampedePage::refused).await
}

async fn measure(app: &WorkerState, body: &Body) -> Result<Page<StampedePage>> {
    let plan = body.parse::<StampedeForm>()?.plan()?;
    let (run, outcome) = app.shared.stampedes.run(plan).await?;
    let page = Page::new(StampedePage::of(RequestedRun::Found(run, outcome)));
    Ok(page.or_redirect(format!("{}?run={run}", nav::STAMPEDE.path)))
}

impl StampedeForm {
    fn plan(self) -> Result<StampedePlan, FieldError> {
        let delay_ms = self.delay_ms.map_or(DELAY_MS, DelayMs::get);
        Ok(StampedePlan {
            policies: chosen(self.policy)?,
            visitors: self.visitors.map_or(VISITORS, Visitors::get),
            delay: Duration::from_millis(u64::from(delay_ms)),
        })
    }
}

/// The requested policies, or the default ones; rejects duplicates.
fn chosen(names: Vec<StampedePolicy>) -> Result<Vec<Policy>, FieldError> {
    let mut chosen = Vec::<Policy>::new();
    for StampedePolicy(policy) in names {
        if chosen.contains(&policy) {
            let message = format!("The policy {} was sent twice.", policy.name);
            return Err(FieldError::malformed(message).of("policy"));
        }
        chosen.push(policy);
    }
    let defaults = || DEFAULTS.into_iter().filter_map(named).collect();
    Ok(if chosen.is_empty() { defaults() } else { chosen })
}

fn named(name: &str) -> Option<Policy> {
    Stampedes::policies().find(|policy| policy.name == name)
}

impl StampedePage {
    const LINK: Link = nav::STAMPEDE;

    fn of(requested: RequestedRun<StampedeOutcome>) -> Self {
        let is_expired = requested.is_expired();
        match requested.found() {
            Some((run, outcome)) => Self::with_result(run, &outcome),
            None => Self { is_expired, ..Self::empty() },
        }
    }

    async fn refused(form: FormView) -> Result<Page<Self>> {
        Ok(Page::new(Self { form, ..Self::empty() }))
    }

    fn empty() -> Self {
        Self {
            run: None,
            visitors: u64::from(VISITORS),
            delay_ms: u64::from(DELAY_MS),
            took_ms: None,
            runs: Vec::new(),
            skipped: Vec::new(),
            claims: Vec::new(),
            is_expired: false,
            form: FormView::default(),
        }
    }

    fn with_result(run: RunToken, outcome: &StampedeOutcome) -> Self {
        let StampedeOutcome { visitors, delay_ms, took_ms, runs, skipped } = outcome.clone();
        let claims = stampede::check_claims(&runs);
        Self {
            run: Some(run),
            visitors,
            delay_ms,
            took_ms: Some(took_ms),
            runs,
            skipped,
            claims,
            is_expired: false,
            form: FormView::default(),
        }
    }
}

/// A checkbox.
struct PolicyOption {
    policy: Policy,
    is_chosen: bool,
}

// Methods for the template.
impl StampedePage {
    /// The claims, grouped by statement.
    fn statements(&self) -> impl Iterator<Item = &[Claim]> {
        self.claims.chunk_by(|one, next| one.says == next.says)
    }

    fn visitors_field(&self) -> FieldView {
        self.form.field(&VISITORS_FIELD, self.visitors).with_bounds()
    }

    fn delay_field(&self) -> FieldView {
        self.form.field(&DELAY_FIELD, self.delay_ms)
    }

    /// Checkboxes of the default policies.
    fn default_options(&self) -> Vec<PolicyOption> {
        self.options(true)
    }

    /// Checkboxes of the other policies.
    fn other_options(&self) -> Vec<PolicyOption> {
        self.options(false)
    }

    fn options(&self, are_defaults: bool) -> Vec<PolicyOption> {
        let policies =
            Stampedes::policies().filter(|it| DEFAULTS.contains(&it.name) == are_defaults);
        policies.map(|policy| PolicyOption { is_chosen: self.is_chosen(&policy), policy }).collect()
    }

    fn is_chosen(&self, policy: &Policy) -> bool {
        if let Some(sent) = self.form.all_typed("policy") {
            return sent.iter().any(|name| name == policy.name);
        }
        let ran = self.runs.iter().map(|run| run.policy).chain(self.skipped.iter().copied());
        match self.runs.is_empty() {
            true => DEFAULTS.contains(&policy.name),
            false => ran.into_iter().any(|name| name == policy.name),
        }
    }

    /// Each distinct error of Redis, with the policies that it affected.
    fn errors(&self) -> Vec<(&str, Vec<&'static str>)> {
        let mut all = Vec::<(&str, Vec<_>)>::new();
        for run in &self.runs {
            let Some(error) = run.error.as_deref() else { continue };
            match all.iter_mut().find(|(known, _)| *known == error) {
                Some((_, policies)) => policies.push(run.policy),
                None => all.push((error, vec![run.policy])),
            }
        }
        all
    }

    fn skipped_follow_up(&self) -> bool {
        self.runs.iter().any(|run| run.follow_up.skipped)
    }

    fn took_us(&self) -> Option<u64> {
        self.took_ms.map(|ms| ms * 1_000)
    }

    fn chart(&self) -> StampedeChart<'_> {
        StampedeChart::of(&self.runs, self.delay_ms)
    }
}
