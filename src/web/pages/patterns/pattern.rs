//! View model of one pattern: the visitor's keys, and the result of an action or a trial.

use askama::Template;
use hitrate_cache::trace::{Span, Trace};
use serde::Serialize;
use utoipa::ToSchema;

use super::{PatternRequest, trial_chart::TrialBar};
use crate::{
    labs::{
        patterns::{
            self, Action, ActionContext, ActionError, ActionFn, ActionResult, Args, RedisPattern,
            Statistic, StoredKey, TrialReport,
        },
        support::{
            fields::Field,
            result_store::{RequestedRun, RunToken},
        },
    },
    schemas,
    web::{
        filters,
        form_view::{FieldView, FormView},
        nav::{self, Link},
        pages::waterfall::Waterfall,
    },
};

/// Maximum number of spans in the trace of a page. JSON has all of them.
const SPANS_MAX: usize = 15;

/// A pattern: the visitor's keys, and the result of an action or a trial.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "pattern.html")]
pub struct PatternPage {
    /// Identifier in the URL.
    slug: &'static str,
    /// Title.
    title: &'static str,
    /// Error, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Token of the result, valid for 30 minutes as `?run=`; null without a result.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Id of the last action; null without a result.
    act: Option<&'static str>,
    /// Messages about its result.
    lines: Vec<String>,
    /// Current state in one sentence; null if the pattern has none.
    now: Option<String>,
    /// The visitor's keys and their content; null while Redis is unavailable.
    state: Option<Vec<StoredKey>>,
    /// Figures computed from the keys.
    statistics: Vec<Statistic>,
    /// Redis commands of the action, or of this request if there is no result.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    /// Report of the trial; null if the action was not a trial.
    trial: Option<TrialReport>,
    #[serde(skip)]
    pattern: &'static RedisPattern,
    #[serde(skip)]
    args: Args,
    #[serde(skip)]
    form: FormView,
    /// Whether the requested result is no longer stored.
    #[serde(skip)]
    is_expired: bool,
}

/// The keys and the figures computed from them.
type KeyState = (Vec<StoredKey>, Vec<Statistic>);

async fn key_state(
    context: &ActionContext,
    pattern: &RedisPattern,
) -> Result<KeyState, ActionError> {
    let entries = patterns::state(context).await?;
    let statistics = match pattern.statistics {
        Some(statistics) if !entries.is_empty() => statistics(context).await?,
        _ => Vec::new(),
    };
    Ok((entries, statistics))
}

impl PatternPage {
    const LINK: Link = nav::PATTERNS;

    /// The page with the current state of the keys, and a result if one was requested.
    pub(super) async fn of(target: &PatternRequest, requested: RequestedRun<ActionResult>) -> Self {
        let PatternRequest { app, pattern, keys } = target;
        let (trace, is_expired) = (Trace::start(), requested.is_expired());
        let (run, result) = requested.found().unzip();
        let args = result.as_ref().map_or_else(Args::default, |result| result.args.clone());
        let filled = pattern.filled(&args);
        let loaded =
            key_state(&ActionContext::new(&app.store, keys, filled, &trace), pattern).await;
        let (loaded, error) = match loaded {
            Ok(loaded) => (Some(loaded), None),
            Err(error) => (None, Some(format!("Your keys can't be read: {error}."))),
        };
        let now = loaded.as_ref().and_then(|(entries, _)| Some((pattern.status?)(entries)));
        let (state, statistics) = loaded.unzip();
        Self {
            slug: pattern.slug,
            title: pattern.title,
            error,
            run,
            act: result.as_ref().map(|it| it.act),
            lines: result.as_ref().map_or_else(Vec::new, |it| it.lines.clone()),
            now,
            state,
            statistics: statistics.unwrap_or_default(),
            trace: result.as_ref().map_or_else(|| trace.spans(), |it| it.trace.clone()),
            trial: result.and_then(|it| it.trial.clone()),
            pattern,
            args,
            form: FormView::default(),
            is_expired,
        }
    }

    /// Adds a rejected form.
    pub(super) fn with_form(self, form: FormView) -> Self {
        Self { form, ..self }
    }
}

// Methods for the template.
impl PatternPage {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace[..self.trace.len().min(SPANS_MAX)])
    }

    /// Number of spans that the page omits.
    fn omitted(&self) -> u64 {
        self.trace.len().saturating_sub(SPANS_MAX) as u64
    }

    /// The actions of each form: adjacent actions with the same fields share one.
    fn forms(&self) -> impl Iterator<Item = &'static [Action<ActionFn>]> {
        self.pattern.acts.chunk_by(patterns::have_same_fields)
    }

    /// A field of the form for these actions, with its last value.
    fn act_field(&self, acts: &[Action<ActionFn>], field: &Field) -> FieldView {
        let ids: Vec<_> = acts.iter().map(|act| act.id).collect();
        self.form.field_of(&ids, field, self.args.shown(field))
    }

    fn trial_field(&self, field: &Field) -> FieldView {
        self.form.field_of(&["trial"], field, self.args.shown(field))
    }

    /// Milliseconds until the page reloads: two seconds after the first key expires.
    fn reload_ms(&self) -> Option<u64> {
        let entries = self.state.as_ref().filter(|_| self.now.is_some())?;
        entries.iter().filter_map(|entry| entry.ttl_ms).min().map(|ms| ms + 2_000)
    }

    fn bars<'a>(&self, report: &'a TrialReport) -> Vec<TrialBar<'a>> {
        TrialBar::all(report)
    }
}
