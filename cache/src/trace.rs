//! The trace of one request: its commands to Redis and the database, in order.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::time::micros;

/// One command and its reply.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// The target of the command.
    pub target: Target,
    /// The command or statement, arguments shortened.
    pub command: String,
    /// The reply, shortened.
    pub reply: String,
    /// Microseconds from the start of the request until the command was sent.
    pub start_us: u64,
    /// Microseconds from sending to the reply, simulated delay included.
    pub elapsed_us: u64,
    /// The simulated share of `elapsed_us`, in microseconds.
    pub simulated_us: u64,
    /// The number of the round trip: the commands of one pipeline share it.
    pub round_trip: usize,
}

/// The target of a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The Redis server.
    Redis,
    /// The SQL database.
    Database,
    /// The near cache, in this process.
    Memory,
    /// hitrate itself: a decision, or a wait.
    Hitrate,
}

impl Target {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Database => "database",
            Self::Memory => "memory",
            Self::Hitrate => "hitrate",
        }
    }

    /// The label on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Database => "SQL",
            Self::Memory => "near",
            Self::Hitrate => "hitrate",
        }
    }

    /// The colour class on pages.
    pub const fn colour(self) -> &'static str {
        match self {
            Self::Redis => "cache",
            Self::Memory => "memory",
            Self::Database => "database",
            Self::Hitrate => "own",
        }
    }
}

/// Collects the [`Span`]s of one request. Clones append to the same record.
/// Recording formats every command, so a caller that shows no trace uses
/// [`Trace::disabled`].
#[derive(Clone)]
pub struct Trace(Option<Arc<Record>>);

struct Record {
    start: Instant,
    spans: Mutex<Vec<Span>>,
}

/// One round trip to Redis or the database.
#[derive(Debug)]
pub struct RoundTrip {
    /// The target.
    pub target: Target,
    /// When it was sent.
    pub sent: Instant,
    /// Time until the reply.
    pub took: Duration,
    /// The simulated share of that time.
    pub simulated: Duration,
}

impl RoundTrip {
    /// A round trip to Redis, without simulated delay.
    pub fn to_redis(sent: Instant, took: Duration) -> Self {
        Self { target: Target::Redis, sent, took, simulated: Duration::ZERO }
    }
}

impl Trace {
    /// Starts a trace; span times count from now.
    pub fn start() -> Self {
        Self(Some(Arc::new(Record { start: Instant::now(), spans: Mutex::default() })))
    }

    /// A trace that records nothing, at no cost.
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// Whether spans are recorded.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Records one round trip: its commands with their replies. `lines` is called
    /// only if the trace is enabled.
    pub fn record<Lines: IntoIterator<Item = (String, String)>>(
        &self,
        round_trip: RoundTrip,
        lines: impl FnOnce() -> Lines,
    ) {
        let Some(record) = &self.0 else { return };
        let lines = lines();
        let start_us = micros(round_trip.sent.saturating_duration_since(record.start));
        let (elapsed_us, simulated_us) = (micros(round_trip.took), micros(round_trip.simulated));
        let mut spans = record.spans();
        let number = spans.last().map_or(1, |span| span.round_trip + 1);
        spans.extend(lines.into_iter().map(|(command, reply)| Span {
            target: round_trip.target,
            command,
            reply,
            start_us,
            elapsed_us,
            simulated_us,
            round_trip: number,
        }));
    }

    /// Records a step of hitrate itself or of its near cache, from `since` until
    /// now.
    pub fn event(
        &self,
        target: Target,
        since: Instant,
        operation: &str,
        outcome: impl FnOnce() -> String,
    ) {
        let round_trip =
            RoundTrip { target, sent: since, took: since.elapsed(), simulated: Duration::ZERO };
        self.record(round_trip, || [(operation.to_owned(), outcome())]);
    }

    /// The spans recorded so far.
    pub fn spans(&self) -> Vec<Span> {
        self.0.as_ref().map_or_else(Vec::new, |record| record.spans().clone())
    }

    /// Takes the recorded spans. Spans of background work that end later are not
    /// included.
    pub fn into_spans(self) -> Vec<Span> {
        self.0.map_or_else(Vec::new, |record| mem::take(&mut record.spans()))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.spans()).finish()
    }
}

impl Record {
    fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        self.spans.lock().expect("adding a span does not panic")
    }
}

/// At most `max` characters of a text, with control characters escaped. Appends `…`
/// if it was cut.
pub fn shortened(text: &str, max: usize) -> String {
    let mut short = String::with_capacity(text.len().min(max));
    push_shortened(&mut short, text, max);
    short
}

/// Appends the text to `line`, as [`shortened`] returns it.
pub fn push_shortened(line: &mut String, text: &str, max: usize) {
    if push_plain(line, text.as_bytes(), max) {
        return;
    }
    for c in text.chars().take(max) {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    if text.chars().nth(max).is_some() {
        line.push('…');
    }
}

/// As [`push_shortened`], for bytes that may not be UTF-8.
pub fn push_shortened_bytes(line: &mut String, bytes: &[u8], max: usize) {
    if !push_plain(line, bytes, max) {
        push_shortened(line, &String::from_utf8_lossy(bytes), max);
    }
}

/// The fast path for printable ASCII, which needs no escaping. Returns false, and
/// appends nothing, for anything else.
fn push_plain(line: &mut String, bytes: &[u8], max: usize) -> bool {
    let shown = &bytes[..bytes.len().min(max)];
    let plain = shown.iter().fold(true, |all, byte| all & (b' '..0x7f).contains(byte));
    if let (true, Ok(text)) = (plain, str::from_utf8(shown)) {
        line.push_str(text);
        line.push_str(if bytes.len() > max { "…" } else { "" });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip() -> RoundTrip {
        let took = Duration::from_micros(5);
        RoundTrip { target: Target::Redis, sent: Instant::now(), took, simulated: Duration::ZERO }
    }

    #[test]
    fn commands_of_one_pipeline_share_a_round_trip() {
        let trace = Trace::start();
        trace.record(round_trip(), || {
            vec![("GET a".into(), "1".into()), ("PTTL a".into(), "9".into())]
        });
        trace.record(round_trip(), || vec![("SET a".into(), "OK".into())]);
        let trips: Vec<_> = trace.spans().iter().map(|span| span.round_trip).collect();
        assert_eq!(trips, [1, 1, 2]);
    }

    #[test]
    fn a_disabled_trace_formats_nothing() {
        let trace = Trace::disabled();
        trace.record(round_trip(), || -> Vec<_> { unreachable!("the trace is disabled") });
        assert!(trace.spans().is_empty());
    }

    #[test]
    fn shortening_counts_characters_and_shows_control() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("a\nb", 9), "a\\nb");
        assert_eq!((shortened("abc", 3), shortened("abc", 2)), ("abc".into(), "ab…".into()));
        assert_eq!(shortened("abcö", 3), "abc…");
        let mut line = String::new();
        push_shortened_bytes(&mut line, b"a\xffb", 9);
        assert_eq!(line, "a\u{fffd}b");
    }
}
