//! The circuit breaker of one connection (Nygard, "Release It!"): decides when to
//! stop sending commands to Redis, and when to try again. A pure state machine:
//! time is an argument, and the owner sends the probes.
//!
//! ```text
//! closed --a failed call, or a slow probe after too many slow calls--> open
//! open --its backoff is over--> half-open: one probe, by the connection's own task
//! half-open --answered in time--> closed
//! half-open --otherwise--> open, with a longer backoff
//! ```

use std::time::{Duration, Instant};

use serde::Serialize;

/// A call that took longer is slow: Redis usually replies a hundred times faster.
pub const SLOW: Duration = Duration::from_millis(100);
/// The number of recent calls considered.
const WINDOW: u32 = 20;
/// So many slow calls among them request a probe.
const MAX_SLOW: u32 = WINDOW / 2;
/// Backoff before each further probe. The last one repeats, so that recovery is
/// noticed within half a second.
const BACKOFFS: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
];
/// Backoff after rejected credentials, so as not to trip a server that counts
/// failures.
const DENIED_BACKOFF: Duration = Duration::from_millis(1500);

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Commands are sent.
    Closed,
    /// Commands fail at once; a probe is in progress.
    HalfOpen,
    /// Commands fail at once.
    Open,
}

impl BreakerState {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The state machine of one breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: BreakerState,
    /// One bit per call, the latest lowest: whether it was slow.
    slow: u32,
    /// Probes failed since it opened.
    failures: usize,
    due: Instant,
}

impl Breaker {
    /// Creates a closed breaker.
    pub fn new(now: Instant) -> Self {
        Self { state: BreakerState::Closed, slow: 0, failures: 0, due: now }
    }

    /// The current state.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether any recent call was slow.
    pub fn has_seen_slow(&self) -> bool {
        self.slow != 0
    }

    /// Records an answered call. Returns whether so many recent calls were slow
    /// that a probe should find out why: Redis may be slow, or this process may be
    /// overloaded, which must not count against Redis.
    pub fn record_latency(&mut self, took: Duration) -> bool {
        self.slow = (self.slow << 1 | u32::from(took > SLOW)) & ((1 << WINDOW) - 1);
        let is_suspect = self.slow.count_ones() >= MAX_SLOW;
        if is_suspect {
            self.slow = 0;
        }
        is_suspect
    }

    /// Records a failed call, which casts doubt on the connection. Returns whether
    /// that opened the breaker. The first probe is due at once.
    pub fn record_failure(&mut self, now: Instant) -> bool {
        let opens = self.state == BreakerState::Closed;
        if opens {
            self.open(now, Duration::ZERO);
        }
        opens
    }

    /// Time until the next probe.
    pub fn backoff(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// A probe begins: open becomes half-open.
    pub fn begin_probe(&mut self) {
        if self.state == BreakerState::Open {
            self.state = BreakerState::HalfOpen;
        }
    }

    /// A probe or a new connection was answered in time.
    pub fn close(&mut self) {
        (self.state, self.slow, self.failures) = (BreakerState::Closed, 0, 0);
    }

    /// A probe failed. `denied` says that Redis rejected the credentials or
    /// permissions. `jitter`, 0 to 1, draws the backoff between half and all of its
    /// length, so that several connections don't come back at the same moment.
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
        assert!(breaker.record_latency(SLOW * 2), "ten of twenty calls were slow");
        assert_eq!(breaker.state(), BreakerState::Closed, "only a probe opens it");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Any sequence of events, on a clock that only the test advances.
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
