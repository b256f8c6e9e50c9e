//! The circuit breaker of one connection: when to stop asking Redis, and when
//! to try again (Nygard, "Release It!"). A plain state machine: time comes in
//! as an argument, and whoever holds it does the asking.
//!
//! ```text
//! closed --a failed call, or a slow probe after too many slow calls--> open
//! open --its rest is over--> half-open: one probe, by the connection's own task
//! half-open --answered in time--> closed
//! half-open --else--> open, for longer
//! ```

use std::time::{Duration, Instant};

use serde::Serialize;

/// A call that took longer counts as slow: Redis answers a hundred times faster.
pub const SLOW: Duration = Duration::from_millis(100);
/// Calls that are looked back on.
const WINDOW: u32 = 20;
/// It is suspicious when so many of them were slow.
const MAX_SLOW: u32 = WINDOW / 2;
/// Rests before each next probe. The last repeats: back within half a second.
const BACKOFFS: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
];
/// After a refused password: a server that counts failures should not be hammered.
const DENIED_BACKOFF: Duration = Duration::from_millis(1500);

/// Whether calls go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They don't; a probe is under way.
    HalfOpen,
    /// They don't.
    Open,
}

impl BreakerState {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The state machine.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: BreakerState,
    /// One bit a call, the latest lowest: whether it was slow.
    slow: u32,
    /// Probes that failed since it opened.
    failures: usize,
    due: Instant,
}

impl Breaker {
    /// Closed.
    pub fn new(now: Instant) -> Self {
        Self { state: BreakerState::Closed, slow: 0, failures: 0, due: now }
    }

    /// Whether calls go out.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether any call looked back on was slow.
    pub fn has_seen_slow(&self) -> bool {
        self.slow != 0
    }

    /// A call was answered. Returns whether so many of the last were slow that
    /// a probe shall tell why: Redis may be slow, or we are, and then it must
    /// not be blamed for it.
    pub fn record_latency(&mut self, took: Duration) -> bool {
        self.slow = (self.slow << 1 | u32::from(took > SLOW)) & ((1 << WINDOW) - 1);
        let is_suspect = self.slow.count_ones() >= MAX_SLOW;
        if is_suspect {
            self.slow = 0;
        }
        is_suspect
    }

    /// A call failed, so that the connection is in doubt. Returns whether that
    /// opened it. The first probe is due at once.
    pub fn record_failure(&mut self, now: Instant) -> bool {
        let opens = self.state == BreakerState::Closed;
        if opens {
            self.open(now, Duration::ZERO);
        }
        opens
    }

    /// How long until the next probe.
    pub fn backoff(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// A probe begins.
    pub fn begin_probe(&mut self) {
        if self.state == BreakerState::Open {
            self.state = BreakerState::HalfOpen;
        }
    }

    /// A probe, or a new connection, was answered in time.
    pub fn close(&mut self) {
        (self.state, self.slow, self.failures) = (BreakerState::Closed, 0, 0);
    }

    /// A probe failed. `denied` is a refusal of our password or rights. The
    /// rest is drawn between half and all of its length, so that several
    /// connections don't come back at the same moment.
    pub fn probe_failed(&mut self, denied: bool, jitter: f64, now: Instant) {
        let backoff = BACKOFFS[self.failures.min(BACKOFFS.len() - 1)]
            .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.failures += 1;
        self.open(now, if denied { DENIED_BACKOFF } else { backoff });
    }

    fn open(&mut self, now: Instant, backoff: Duration) {
        (self.state, self.due) = (BreakerState::Open, now + backoff);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Event {
        Answered(u64),
        Failed,
        Probe,
        Close,
        ProbeFailed(bool, f64),
        Wait(u64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0..300_u64).prop_map(Event::Answered),
            Just(Event::Failed),
            Just(Event::Probe),
            Just(Event::Close),
            (any::<bool>(), 0.0..1.0)
                .prop_map(|(denied, jitter)| Event::ProbeFailed(denied, jitter)),
            (0..2_000_u64).prop_map(Event::Wait),
        ];
        proptest::collection::vec(event, 0..200)
    }

    #[test]
    fn a_failed_call_opens_the_breaker_and_an_answered_probe_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        assert!(breaker.record_failure(now) && !breaker.record_failure(now), "it opens once");
        assert_eq!((breaker.state(), breaker.backoff(now)), (BreakerState::Open, Duration::ZERO));
        breaker.begin_probe();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.probe_failed(false, 1.0, now);
        assert_eq!(breaker.backoff(now), BACKOFFS[0]);
        breaker.begin_probe();
        breaker.close();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn half_of_the_last_calls_being_slow_requests_a_probe() {
        let mut breaker = Breaker::new(Instant::now());
        for _ in 0..MAX_SLOW - 1 {
            assert!(!breaker.record_latency(SLOW * 2));
            assert!(!breaker.record_latency(SLOW / 2));
        }
        assert!(breaker.record_latency(SLOW * 2), "the tenth slow one of twenty");
        assert_eq!(breaker.state(), BreakerState::Closed, "a probe decides");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Whatever happens in whatever order, on a clock that only the test moves.
        #[test]
        fn the_backoff_is_bounded_and_only_a_probe_closes_it(events in events()) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(now);
            for event in events {
                let before = breaker.state();
                match event {
                    Event::Answered(ms) => { breaker.record_latency(Duration::from_millis(ms)); }
                    Event::Failed => { breaker.record_failure(now); }
                    Event::Probe => breaker.begin_probe(),
                    Event::Close => breaker.close(),
                    Event::ProbeFailed(denied, jitter) => breaker.probe_failed(denied, jitter, now),
                    Event::Wait(ms) => now += Duration::from_millis(ms),
                }
                let after = breaker.state();
                prop_assert!(breaker.backoff(now) <= DENIED_BACKOFF);
                if after == BreakerState::Closed && before != after {
                    prop_assert!(matches!(event, Event::Close));
                    prop_assert!(!breaker.has_seen_slow());
                }
                if after == BreakerState::HalfOpen && before != after {
                    prop_assert!(matches!(event, Event::Probe) && before == BreakerState::Open);
                }
            }
        }
    }
}
