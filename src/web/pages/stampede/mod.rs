//! `/stampede` — many visitors who ask for one key at once, policy by policy.

mod stampede_chart;

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use askama::Template;
use hitrate_cache::CachePolicy;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Unexpected},
};
use utoipa::ToSchema;

use self::stampede_chart::Chart;
use crate::{
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
        form::{self, Body, RunQuery},
        form_view::{FieldView, FormView, refused},
        nav::{self, Link},
        page::Page,
        state::WorkerState,
    },
};

/// The form, and what a stampede brought.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "stampede.html")]
pub struct StampedePage {
    /// The token by which `GET /stampede?run=` shows the result again for half
    /// an hour; null when nothing ran.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Who came at once; before a run, what the form offers.
    visitors: u64,
    /// Simulated delay of the database; before a run, what the form offers.
    delay_ms: u64,
    /// Milliseconds for all runs, preparations included; null when nothing ran.
    took_ms: Option<u64>,
    /// One for each policy, in the order they ran.
    runs: Vec<PolicyRun>,
    /// Policies for which no time was left.
    skipped: Vec<&'static str>,
    /// What the documents say, and how that fared.
    claims: Vec<Claim>,
    /// Whether the request names a result that is not kept any more.
    #[serde(skip)]
    is_gone: bool,
    #[serde(skip)]
    form: FormView,
}

/// What to run.
#[derive(Deserialize, ToSchema)]
pub struct StampedeForm {
    /// Policies, each at most once: the presets, `single-flight`, `lease`,
    /// `early-refresh` and `grace`. None: the usual five.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    policy: Vec<StampedePolicy>,
    /// Who come at once; 100 by default.
    #[schema(inline)]
    visitors: Option<Visitors>,
    /// Simulated delay of the database in milliseconds; 200 by default.
    #[schema(inline)]
    delay_ms: Option<DelayMs>,
}

type Visitors = Integer<1, VISITORS_MAX>;
type DelayMs = Integer<0, DELAY_MS_MAX>;

const VISITORS_FIELD: Field =
    Field { name: "visitors", label: "Visitors", kind: Visitors::KIND, default: "100" };
const DELAY_FIELD: Field = Field {
    name: "delay_ms",
    label: "Simulated database delay, in ms",
    kind: DelayMs::KIND,
    default: "200",
};

/// The name of a policy that can be measured.
#[derive(Debug)]
struct StampedePolicy(CachePolicy);

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

/// The form, and the result of an earlier run while it is kept.
#[utoipa::path(
    get, path = "/stampede", operation_id = "stampede",
    params(("run" = Option<String>, Query, description = "The token of a result, as a POST returned it")),
    responses((status = 200, description = "The form, and the result if one was asked for", body = StampedePage))
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<Page<StampedePage>> {
    let RunQuery { run } = form::query(&request)?;
    Ok(Page::new(StampedePage::of(app.shared.stampedes.requested(run.as_deref()))))
}

/// Lets the visitors come, and waits until all have left.
#[utoipa::path(
    post, path = "/stampede", operation_id = "run_stampede",
    request_body(content(
        (StampedeForm = "application/json"),
        (StampedeForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = StampedePage),
        (status = 303, description = "Done; to the result"),
        (status = 409, description = "Something else is being measured"),
        (status = 422, description = "A value is out of range, or no such policy"),
        (status = 503, description = "No visitor got an answer"),
    )
)]
pub async fn run(app: Data<WorkerState>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let (run, outcome) = match measure(&app, &body).await {
        Ok(measured) => measured,
        Err(error) => return refused(&request, &body, error, StampedePage::refused),
    };
    let page = Page::new(StampedePage::of(RequestedRun::Found(run, outcome)));
    Ok(page.or_redirect(request.headers(), &format!("{}?run={run}", nav::STAMPEDE.path)))
}

async fn measure(app: &WorkerState, body: &Body) -> Result<(RunToken, Arc<StampedeOutcome>)> {
    let plan = body.parse::<StampedeForm>()?.plan()?;
    Ok(app.shared.stampedes.run(plan).await?)
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

/// These policies, each once; the usual ones where there are none.
fn chosen(names: Vec<StampedePolicy>) -> Result<Vec<CachePolicy>, FieldError> {
    let mut chosen = Vec::<CachePolicy>::new();
    for StampedePolicy(policy) in names {
        if chosen.contains(&policy) {
            let what = format!("The policy {} was sent twice.", policy.name);
            return Err(FieldError::malformed(what).of("policy"));
        }
        chosen.push(policy);
    }
    let usual = || DEFAULTS.into_iter().filter_map(named).collect();
    Ok(if chosen.is_empty() { usual() } else { chosen })
}

fn named(name: &str) -> Option<CachePolicy> {
    Stampedes::policies().find(|policy| policy.name == name)
}

impl StampedePage {
    const LINK: Link = nav::STAMPEDE;

    fn of(requested: RequestedRun<StampedeOutcome>) -> Self {
        let is_gone = requested.is_expired();
        match requested.found() {
            Some((run, outcome)) => Self::showing(run, &outcome),
            None => Self { is_gone, ..Self::blank() },
        }
    }

    fn refused(form: FormView) -> Self {
        Self { form, ..Self::blank() }
    }

    fn blank() -> Self {
        Self {
            run: None,
            visitors: u64::from(VISITORS),
            delay_ms: u64::from(DELAY_MS),
            took_ms: None,
            runs: Vec::new(),
            skipped: Vec::new(),
            claims: Vec::new(),
            is_gone: false,
            form: FormView::default(),
        }
    }

    fn showing(run: RunToken, outcome: &StampedeOutcome) -> Self {
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
            is_gone: false,
            form: FormView::default(),
        }
    }
}

/// A checkbox.
struct Offer {
    policy: CachePolicy,
    is_chosen: bool,
}

// What the template asks for.
impl StampedePage {
    /// The claims by statement.
    fn statements(&self) -> impl Iterator<Item = &[Claim]> {
        self.claims.chunk_by(|one, next| one.says == next.says)
    }

    fn visitors_field(&self) -> FieldView {
        self.form.field(&VISITORS_FIELD, self.visitors).with_bounds()
    }

    fn delay_field(&self) -> FieldView {
        self.form.field(&DELAY_FIELD, self.delay_ms)
    }

    /// The usual policies.
    fn usual(&self) -> Vec<Offer> {
        self.offers(true)
    }

    /// The others.
    fn others(&self) -> Vec<Offer> {
        self.offers(false)
    }

    fn offers(&self, default: bool) -> Vec<Offer> {
        let policies = Stampedes::policies().filter(|it| DEFAULTS.contains(&it.name) == default);
        policies.map(|policy| Offer { is_chosen: self.is_chosen(&policy), policy }).collect()
    }

    fn is_chosen(&self, policy: &CachePolicy) -> bool {
        if let Some(sent) = self.form.all_typed("policy") {
            return sent.iter().any(|name| name == policy.name);
        }
        let ran = self.runs.iter().map(|run| run.policy).chain(self.skipped.iter().copied());
        match self.runs.is_empty() {
            true => DEFAULTS.contains(&policy.name),
            false => ran.into_iter().any(|name| name == policy.name),
        }
    }

    /// Whether one of the others was chosen, so that they should be seen.
    fn shows_others(&self) -> bool {
        self.others().iter().any(|offer| offer.is_chosen)
    }

    /// What was wrong with Redis, each once, and the policies that met it.
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

    fn chart(&self) -> Chart<'_> {
        Chart::of(&self.runs, self.delay_ms)
    }
}
