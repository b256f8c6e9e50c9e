//! Visitors: a crowd that comes at one signal, and a few clients who come again
//! and again. Both are counted here, and timed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hitrate_cache::{FetchError, Fill, Lookup, Source, time::micros};
use serde::Serialize;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use utoipa::ToSchema;

use super::scenario::Scenario;
use crate::demo::model::Trial;

/// "The next 99 requests" of the documents.
const NEXT: u32 = 99;
/// Their "10 concurrent clients".
const CLIENTS: u32 = 10;
/// No further request is sent after this time: without a cache, or without
/// Redis, each of them costs a load.
const NEXT_WITHIN: Duration = Duration::from_secs(3);

/// No visitor waits longer: see the limits of [`Scenario`].
const LONGEST_US: u64 = 60_000_000;

type Answer = Result<Lookup<Trial>, FetchError>;

/// What a crowd met.
pub struct CrowdTally {
    /// Of those who were answered, in microseconds.
    pub times: Histogram<u64>,
    /// How many were answered by whom, in the order of [`Source::ALL`].
    pub sources: [u64; Source::ALL.len()],
    /// Turned away at a full queue.
    pub shed: u64,
    /// The slowest of those, in microseconds.
    pub shed_max_us: Option<u64>,
    /// Failed in another way.
    pub failed: u64,
    /// The first such failure.
    pub failure: Option<FetchError>,
    /// What Redis said to one who wanted to store a value.
    pub error: Option<String>,
}

/// The requests after the crowd, for the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FollowUp {
    /// Answered; 99 unless time ran out or some failed.
    pub requests: u64,
    /// Who asked, each one question after the other.
    pub clients: u32,
    /// Values loaded from the database for them.
    pub origin_loads: u64,
    /// Half of them took at most this many microseconds; null when none was answered.
    pub p50_us: Option<u64>,
    /// 99 of 100 took at most this many microseconds.
    pub p99_us: Option<u64>,
    /// The slowest, in microseconds.
    pub max_us: Option<u64>,
    /// Answered in less than a millisecond.
    pub below_1ms: u64,
    /// Answered in 1 to 5 milliseconds.
    pub from_1_to_5ms: u64,
    /// Answered later.
    pub above_5ms: u64,
    /// Whether nobody asked, as Redis was away.
    pub left_out: bool,
}

impl CrowdTally {
    fn new() -> Self {
        Self {
            times: Histogram::new_with_bounds(1, LONGEST_US, 3).expect("constants that fit"),
            sources: Default::default(),
            shed: 0,
            shed_max_us: None,
            failed: 0,
            failure: None,
            error: None,
        }
    }

    fn count(&mut self, answer: Answer, took: Duration) {
        match answer {
            Ok(lookup) => self.answered(&lookup, took),
            Err(FetchError::Rejected) => {
                self.shed += 1;
                self.shed_max_us = self.shed_max_us.max(Some(micros(took)));
            }
            Err(failure) => {
                self.failed += 1;
                self.failure.get_or_insert(failure);
            }
        }
    }

    fn answered(&mut self, lookup: &Lookup<Trial>, took: Duration) {
        self.times.saturating_record(micros(took));
        self.sources[lookup.source as usize] += 1;
        if let (None, Fill::Failed(error)) = (&self.error, &lookup.fill) {
            self.error = Some(error.to_string());
        }
    }

    /// Why visitors went without an answer, where some did.
    pub fn cause(&self) -> Option<FetchError> {
        self.failure.clone().or((self.shed > 0).then_some(FetchError::Rejected))
    }

    /// A quantile, or the most at 1; none where nobody was answered.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        (!self.times.is_empty()).then(|| self.times.value_at_quantile(q))
    }
}

/// All come at one signal, and their time runs from it. Who has no answer by
/// `limit` is given up.
pub async fn burst(scenario: &Arc<Scenario>, visitors: u32, limit: Duration) -> CrowdTally {
    let signal = watch::Sender::new(None);
    let mut crowd = JoinSet::new();
    for _ in 0..visitors {
        crowd.spawn(visit(Arc::clone(scenario), signal.subscribe()));
    }
    let start = Instant::now();
    signal.send_replace(Some(start));
    let mut tally = CrowdTally::new();
    let _ = timeout(limit, async {
        while let Some(visited) = crowd.join_next().await {
            let (answer, end) = visited.unwrap_or((Err(FetchError::Aborted), Instant::now()));
            tally.count(answer, end - start);
        }
    })
    .await;
    for _ in 0..crowd.len() {
        tally.count(Err(FetchError::TimedOut), limit);
    }
    tally
}

async fn visit(
    scenario: Arc<Scenario>,
    mut signal: watch::Receiver<Option<Instant>>,
) -> (Answer, Instant) {
    let _ = signal.wait_for(Option::is_some).await;
    let answer = scenario.ask().await;
    (answer, Instant::now())
}

/// A few clients make the next requests, each one after the other.
pub async fn follow_up(scenario: &Arc<Scenario>) -> FollowUp {
    let left = Arc::new(AtomicU32::new(NEXT));
    let until = Instant::now() + NEXT_WITHIN;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask_on(Arc::clone(scenario), Arc::clone(&left), until));
    }
    let mut tally = CrowdTally::new();
    while let Some(answers) = clients.join_next().await {
        for (answer, took) in answers.unwrap_or_default() {
            tally.count(answer, took);
        }
    }
    FollowUp::of(&tally)
}

/// One client, until no request or no time is left.
async fn ask_on(
    scenario: Arc<Scenario>,
    left: Arc<AtomicU32>,
    until: Instant,
) -> Vec<(Answer, Duration)> {
    let mut answers = Vec::new();
    let less = |left: u32| left.checked_sub(1);
    while Instant::now() < until
        && left.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
    {
        let sent = Instant::now();
        let answer = scenario.ask().await;
        answers.push((answer, sent.elapsed()));
    }
    answers
}

impl FollowUp {
    fn of(tally: &CrowdTally) -> Self {
        let requests = tally.times.len();
        let below_1ms = tally.times.count_between(0, 999);
        let from_1_to_5ms = tally.times.count_between(1_000, 5_000);
        Self {
            requests,
            clients: CLIENTS,
            origin_loads: 0,
            p50_us: tally.quantile(0.5),
            p99_us: tally.quantile(0.99),
            max_us: tally.quantile(1.0),
            below_1ms,
            from_1_to_5ms,
            above_5ms: requests.saturating_sub(below_1ms + from_1_to_5ms),
            left_out: false,
        }
    }
}
