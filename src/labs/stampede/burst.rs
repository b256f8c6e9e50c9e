//! The load: a burst of concurrent visitors, and a few clients that send further
//! requests. Both are counted and timed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hitrate_cache::{Fill, Lookup, Source, time::micros};
use serde::Serialize;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use utoipa::ToSchema;

use super::scenario::Scenario;
use crate::demo::{load_error::LoadError, model::Product};

/// The tutorial's "next 99 requests".
const NEXT: u32 = 99;
/// The tutorial's "10 concurrent clients".
const CLIENTS: u32 = 10;
/// No follow-up request starts after this time: without a cache or without Redis, each
/// costs a load.
const NEXT_WITHIN: Duration = Duration::from_secs(3);

/// Upper bound of a visitor's wait, in microseconds: see the limits of [`Scenario`].
const MAX_DURATION_US: u64 = 60_000_000;

type Response = Result<Lookup<Product>, LoadError>;

/// The results of a burst.
pub struct BurstTally {
    /// Response times of answered requests, in microseconds.
    pub times: Histogram<u64>,
    /// Number of responses per source, in the order of [`Source::ALL`].
    pub sources: [u64; Source::ALL.len()],
    /// Requests rejected by the full queue.
    pub rejected: u64,
    /// The slowest rejection, in microseconds.
    pub rejected_max_us: Option<u64>,
    /// Requests that failed for other reasons.
    pub failed: u64,
    /// The first of these failures.
    pub failure: Option<LoadError>,
    /// The first Redis error when storing a value.
    pub error: Option<String>,
}

/// The requests after the burst, for the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FollowUp {
    /// Responseed requests; 99 unless time ran out or some failed.
    pub requests: u64,
    /// Number of clients, each sending one request at a time.
    pub clients: u32,
    /// Number of database loads.
    pub origin_loads: u64,
    /// Median response time in microseconds; null if no request was answered.
    pub p50_us: Option<u64>,
    /// 99th percentile in microseconds.
    pub p99_us: Option<u64>,
    /// Maximum in microseconds.
    pub max_us: Option<u64>,
    /// Requests answered in less than a millisecond.
    pub below_1ms: u64,
    /// Requests answered in 1 to 5 milliseconds.
    pub from_1_to_5ms: u64,
    /// Requests answered in more than 5 milliseconds.
    pub above_5ms: u64,
    /// Whether the requests were skipped because Redis was unavailable.
    pub skipped: bool,
}

impl BurstTally {
    fn new() -> Self {
        Self {
            times: Histogram::new_with_bounds(1, MAX_DURATION_US, 3).expect("constants that fit"),
            sources: Default::default(),
            rejected: 0,
            rejected_max_us: None,
            failed: 0,
            failure: None,
            error: None,
        }
    }

    fn count(&mut self, response: Response, took: Duration) {
        match response {
            Ok(lookup) => self.answered(&lookup, took),
            Err(LoadError::Rejected) => {
                self.rejected += 1;
                self.rejected_max_us = self.rejected_max_us.max(Some(micros(took)));
            }
            Err(failure) => {
                self.failed += 1;
                self.failure.get_or_insert(failure);
            }
        }
    }

    fn answered(&mut self, lookup: &Lookup<Product>, took: Duration) {
        self.times.saturating_record(micros(took));
        self.sources[lookup.source as usize] += 1;
        if let (None, Fill::Failed(error)) = (&self.error, &lookup.fill) {
            self.error = Some(error.to_string());
        }
    }

    /// The first failure, if any request was not answered.
    pub fn cause(&self) -> Option<LoadError> {
        self.failure.clone().or((self.rejected > 0).then_some(LoadError::Rejected))
    }

    /// A quantile of the response times; none if no request was answered.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        (!self.times.is_empty()).then(|| self.times.value_at_quantile(q))
    }
}

/// Starts all visitors at one signal, from which their time is measured. Visitors without
/// a response by `limit` time out.
pub async fn burst(scenario: &Arc<Scenario>, visitors: u32, limit: Duration) -> BurstTally {
    let signal = watch::Sender::new(None);
    let mut tasks = JoinSet::new();
    for _ in 0..visitors {
        tasks.spawn(visit(Arc::clone(scenario), signal.subscribe()));
    }
    let start = Instant::now();
    signal.send_replace(Some(start));
    let mut tally = BurstTally::new();
    let _ = timeout(limit, async {
        while let Some(visited) = tasks.join_next().await {
            let (response, end) = visited.unwrap_or((Err(LoadError::Aborted), Instant::now()));
            tally.count(response, end - start);
        }
    })
    .await;
    for _ in 0..tasks.len() {
        tally.count(Err(LoadError::TimedOut), limit);
    }
    tally
}

async fn visit(
    scenario: Arc<Scenario>,
    mut signal: watch::Receiver<Option<Instant>>,
) -> (Response, Instant) {
    let _ = signal.wait_for(Option::is_some).await;
    let response = scenario.fetch().await;
    (response, Instant::now())
}

/// A few clients send further requests, each one at a time.
pub async fn follow_up(scenario: &Arc<Scenario>) -> FollowUp {
    let left = Arc::new(AtomicU32::new(NEXT));
    let until = Instant::now() + NEXT_WITHIN;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(Arc::clone(scenario), Arc::clone(&left), until));
    }
    let mut tally = BurstTally::new();
    while let Some(responses) = clients.join_next().await {
        for (response, took) in responses.unwrap_or_default() {
            tally.count(response, took);
        }
    }
    FollowUp::of(&tally)
}

/// One client, until no request or no time is left.
async fn client(
    scenario: Arc<Scenario>,
    left: Arc<AtomicU32>,
    until: Instant,
) -> Vec<(Response, Duration)> {
    let mut responses = Vec::new();
    let less = |left: u32| left.checked_sub(1);
    while Instant::now() < until
        && left.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
    {
        let sent = Instant::now();
        let response = scenario.fetch().await;
        responses.push((response, sent.elapsed()));
    }
    responses
}

impl FollowUp {
    fn of(tally: &BurstTally) -> Self {
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
            skipped: false,
        }
    }
}
