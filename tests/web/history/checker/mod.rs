//! Checks a history: the results that clients received must be consistent.
//!
//! A write supersedes a value if it began after the write of that value had ended.
//! Concurrent writes may take effect in either order. A write with an unknown outcome
//! may take effect at any time after its start, or never.

mod visits;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use super::operation::{INITIAL, Kind, Operation, Outcome, Route};

/// An outage that ended at most this long before a violation may have caused it.
const CAUSE_WINDOW: Duration = Duration::from_secs(1);

/// A violated property, and the operations that prove it, in order.
#[derive(Debug, PartialEq)]
pub struct Violation {
    pub breach: Breach,
    pub shown_by: Vec<Operation>,
}

/// The violated property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A read returned a value after the guarantee required a newer one.
    StaleRead,
    /// After recovery, the database does not have an acknowledged write.
    LostWrite,
    /// A read returned a value that was never written to that key.
    NeverWritten,
    /// After recovery, the cache and the database differ.
    NotConverged,
    /// Two visitors received the same number.
    DuplicateNumber,
    /// A later visitor received a smaller number.
    CountedBackwards,
    /// The last number does not match the number of visits.
    Miscounted,
}

impl Violation {
    /// Whether an outage in this period may have caused the violation.
    pub fn is_near(&self, start: Duration, end: Duration) -> bool {
        let first = self.shown_by.iter().map(|it| it.start).min().unwrap_or_default();
        let last = self.shown_by.iter().map(|it| it.end).max().unwrap_or_default();
        start <= last && end + CAUSE_WINDOW >= first
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.breach)?;
        self.shown_by.iter().try_for_each(|operation| write!(f, "\n  {operation}"))
    }
}

/// Returns all violations. `visible` is the time after which no read by this process
/// through this route may return a value older than this write.
pub fn check(
    history: &[Operation],
    visible: impl Fn(&Operation, usize, Route) -> Duration,
) -> Vec<Violation> {
    let history = &with_observed_writes(history);
    let mut found = check_reads(history, &Writes::of(history), visible);
    found.extend(check_rest(history));
    found.extend(visits::check(history));
    found
}

/// The history in which an unacknowledged write counts as effective from the time at
/// which its value was first read from the database.
fn with_observed_writes(history: &[Operation]) -> Vec<Operation> {
    let mut seen = HashMap::new();
    for read in history {
        if let Kind::Read { key, value, route: Route::Origin | Route::OriginAtRest } = read.kind {
            let first = seen.entry((key, value)).or_insert(read.end);
            *first = read.end.min(*first);
        }
    }
    let observed = |operation: &Operation| match operation.kind {
        Kind::Write { key, value, outcome: Outcome::Unknown } => {
            let end = operation.end.max(*seen.get(&(key, value))?);
            let kind = Kind::Write { key, value, outcome: Outcome::Observed };
            Some(Operation { end, kind, ..operation.clone() })
        }
        _ => None,
    };
    history.iter().map(|it| observed(it).unwrap_or_else(|| it.clone())).collect()
}

/// The writes of a history, by key and value.
struct Writes<'a> {
    all: Vec<&'a Operation>,
    by_value: HashMap<(&'static str, u64), &'a Operation>,
}

impl<'a> Writes<'a> {
    fn of(history: &'a [Operation]) -> Self {
        let written = |operation: &'a Operation| match operation.kind {
            Kind::Write { key, value, .. } => Some(((key, value), operation)),
            _ => None,
        };
        let by_value: HashMap<_, _> = history.iter().filter_map(written).collect();
        Self { all: by_value.values().copied().collect(), by_value }
    }

    /// Whether `later` began after the write of `value` had certainly ended.
    fn supersedes(&self, later: &Operation, key: &'static str, value: u64) -> bool {
        if value == INITIAL {
            return true;
        }
        let over = self.by_value.get(&(key, value)).and_then(|write| write.over());
        over.is_some_and(|over| over <= later.start)
    }
}

/// The writes that must be visible for one key and one route, by time.
struct Horizon<'a>(Vec<(Duration, &'a Operation)>);

impl<'a> Horizon<'a> {
    fn of(
        writes: &Writes<'a>,
        key: &'static str,
        visible: impl Fn(&Operation) -> Duration,
    ) -> Self {
        let acknowledged = writes
            .all
            .iter()
            .filter(|write| write.acknowledged().is_some_and(|(written, _)| written == key));
        let mut from: Vec<_> = acknowledged.map(|write| (visible(write), *write)).collect();
        from.sort_by_key(|(visible, write)| (*visible, write.start));
        // If any of these writes supersedes a value, so does the one that began last.
        let mut last: Option<&Operation> = None;
        for (_, write) in &mut from {
            let latest = last.filter(|last| last.start > write.start).unwrap_or(write);
            (*write, last) = (latest, Some(latest));
        }
        Self(from)
    }

    /// Of the writes visible before `time`, the one that began last.
    fn before(&self, time: Duration) -> Option<&'a Operation> {
        let count = self.0.partition_point(|(visible, _)| *visible < time);
        count.checked_sub(1).map(|last| self.0[last].1)
    }
}

fn check_reads(
    history: &[Operation],
    writes: &Writes<'_>,
    visible: impl Fn(&Operation, usize, Route) -> Duration,
) -> Vec<Violation> {
    let mut horizons = BTreeMap::new();
    let mut found = Vec::new();
    for read in history {
        let Kind::Read { key, value, route } = read.kind else { continue };
        let horizon = horizons.entry((key, read.process, route)).or_insert_with(|| {
            Horizon::of(writes, key, |write| match route {
                Route::Cache | Route::WithoutRedis | Route::StaleMemory => {
                    visible(write, read.process, route)
                }
                _ => write.end,
            })
        });
        let write = writes.by_value.get(&(key, value)).copied();
        if value != INITIAL && write.is_none_or(|write| write.start > read.end) {
            found.push(violation(Breach::NeverWritten, write.into_iter().chain([read])));
        }
        let newer = horizon.before(read.start);
        if let Some(newer) = newer.filter(|newer| writes.supersedes(newer, key, value)) {
            let breach = match route {
                Route::OriginAtRest => Breach::LostWrite,
                _ => Breach::StaleRead,
            };
            found.push(violation(breach, write.into_iter().chain([newer, read])));
        }
    }
    found
}

/// Returns the differences between the caches and the database after recovery.
pub fn check_rest(history: &[Operation]) -> Vec<Violation> {
    let at = |wanted: Route| {
        history.iter().filter_map(move |read| match read.kind {
            Kind::Read { key, value, route } if route == wanted => Some((key, value, read)),
            _ => None,
        })
    };
    let origin: HashMap<_, _> =
        at(Route::OriginAtRest).map(|(key, value, read)| (key, (value, read))).collect();
    let differs = |(key, value, cached): (&str, u64, _)| {
        let (held, read) = origin.get(key)?;
        (*held != value).then(|| violation(Breach::NotConverged, [*read, cached]))
    };
    at(Route::CacheAtRest).filter_map(differs).collect()
}

fn violation<'a>(breach: Breach, shown_by: impl IntoIterator<Item = &'a Operation>) -> Violation {
    let mut shown_by: Vec<_> = shown_by.into_iter().cloned().collect();
    shown_by.sort_by_key(|operation| operation.start);
    Violation { breach, shown_by }
}

#[cfg(test)]
pub mod tests {
    use std::time::Instant;

    use super::*;

    const KEY: &str = "123";

    pub fn at(start: u64, end: u64, kind: Kind) -> Operation {
        let ms = Duration::from_millis;
        Operation { process: 0, worker: 0, start: ms(start), end: ms(end), kind }
    }

    fn wrote(value: u64, start: u64, end: u64) -> Operation {
        at(start, end, Kind::Write { key: KEY, value, outcome: Outcome::Acknowledged })
    }

    fn tried(value: u64, start: u64, end: u64) -> Operation {
        at(start, end, Kind::Write { key: KEY, value, outcome: Outcome::Unknown })
    }

    fn read(value: u64, start: u64, end: u64) -> Operation {
        at(start, end, Kind::Read { key: KEY, value, route: Route::Cache })
    }

    fn at_rest(value: u64, cached: u64) -> [Operation; 2] {
        [(value, Route::OriginAtRest), (cached, Route::CacheAtRest)]
            .map(|(value, route)| at(9_000, 9_001, Kind::Read { key: KEY, value, route }))
    }

    pub fn counted(number: u64, start: u64, end: u64) -> Operation {
        at(start, end, Kind::Count(Some(number)))
    }

    /// The violations if writes must be visible as soon as they are acknowledged.
    pub fn breaches(history: &[Operation]) -> Vec<Breach> {
        breaches_within(0, history)
    }

    fn breaches_within(window_ms: u64, history: &[Operation]) -> Vec<Breach> {
        let window = Duration::from_millis(window_ms);
        let found = check(history, |write, _, _| write.end + window);
        found.iter().map(|violation| violation.breach).collect()
    }

    #[test]
    fn a_read_of_the_last_write_is_valid() {
        let history =
            [read(0, 0, 5), wrote(1, 10, 20), read(1, 21, 25), wrote(2, 30, 40), read(2, 41, 45)];
        assert_eq!(breaches(&history), []);
        assert_eq!(breaches(&at_rest(0, 0)), []);
    }

    #[test]
    fn a_read_during_a_write_may_return_either() {
        for value in [1, 2] {
            assert_eq!(breaches(&[wrote(1, 0, 9), wrote(2, 10, 30), read(value, 20, 25)]), []);
            assert_eq!(breaches(&[wrote(1, 0, 9), wrote(2, 10, 30), read(value, 20, 50)]), []);
        }
    }

    #[test]
    fn a_read_of_a_superseded_value_is_stale() {
        let history = [wrote(1, 0, 9), wrote(2, 10, 30), read(1, 31, 35)];
        assert_eq!(breaches(&history), [Breach::StaleRead]);
        assert_eq!(breaches(&[wrote(1, 0, 9), read(0, 10, 15)]), [Breach::StaleRead]);
        // The proof has the write that was read and the one that was missed.
        assert_eq!(check(&history, |write, _, _| write.end)[0].shown_by, history);
    }

    #[test]
    fn the_window_lasts_from_the_acknowledgement_to_the_start_of_the_read() {
        let history = [wrote(1, 0, 9), wrote(2, 10, 30), read(1, 80, 200)];
        assert_eq!(breaches_within(50, &history), []);
        assert_eq!(breaches_within(49, &history), [Breach::StaleRead]);
    }

    #[test]
    fn writes_at_the_same_time_take_effect_in_either_order() {
        for value in [1, 2] {
            let history = [wrote(1, 0, 30), wrote(2, 10, 20), read(value, 40, 45)];
            assert_eq!(breaches(&history), []);
            assert_eq!(breaches(&at_rest(value, value)), [Breach::NeverWritten; 2]);
            let rest = at_rest(value, value);
            assert_eq!(breaches(&[&history[..], &rest[..]].concat()), []);
        }
    }

    #[test]
    fn a_long_write_does_not_hide_a_shorter_one() {
        // 1 ends before 3 begins; 2 begins before 3 and ends after it.
        let history = [wrote(1, 0, 10), wrote(2, 5, 90), wrote(3, 20, 30), read(1, 40, 45)];
        assert_eq!(breaches(&history), [Breach::StaleRead]);
        let later = [wrote(1, 0, 10), wrote(3, 20, 30), wrote(2, 5, 40), read(1, 50, 55)];
        assert_eq!(breaches(&later), [Breach::StaleRead]);
        assert_eq!(breaches(&[wrote(3, 20, 30), wrote(2, 5, 40), read(2, 50, 55)]), []);
    }

    #[test]
    fn an_unknown_write_may_take_effect_late_or_never_but_not_before_its_start() {
        let (tried, later) = (tried(1, 10, 20), wrote(2, 30, 40));
        for value in [1, 2] {
            let history = [tried.clone(), later.clone(), read(value, 50, 55)];
            assert_eq!(breaches(&history), []);
        }
        assert_eq!(breaches(&[tried.clone(), read(0, 50, 55)]), []);
        assert_eq!(breaches(&[tried, read(1, 0, 5)]), [Breach::NeverWritten]);
        let lost = [&[later][..], &at_rest(0, 0)].concat();
        assert_eq!(breaches(&lost), [Breach::LostWrite, Breach::StaleRead]);
    }

    #[test]
    fn an_unknown_write_counts_once_its_value_was_read_from_the_database() {
        let seen = |value| at(30, 35, Kind::Read { key: KEY, value, route: Route::Origin });
        assert_eq!(breaches(&[tried(1, 0, 9), seen(1), read(0, 20, 25)]), []);
        assert_eq!(breaches(&[tried(1, 0, 9), seen(1), read(0, 40, 45)]), [Breach::StaleRead]);
        // A write that began after that read supersedes it.
        let history = [tried(1, 0, 9), seen(1), wrote(2, 40, 45), read(1, 50, 55)];
        assert_eq!(breaches(&history), [Breach::StaleRead]);
        let history = [tried(1, 0, 9), seen(1), wrote(2, 34, 45), read(1, 50, 55)];
        assert_eq!(breaches(&history), []);
    }

    #[test]
    fn an_acknowledged_write_missing_after_recovery_is_lost() {
        let history = [&[wrote(1, 0, 9), wrote(2, 10, 20)], &at_rest(1, 1)[..]].concat();
        assert_eq!(breaches(&history), [Breach::LostWrite, Breach::StaleRead]);
    }

    #[test]
    fn a_value_that_was_never_written_is_reported() {
        assert_eq!(breaches(&[read(7, 0, 5)]), [Breach::NeverWritten]);
        let other = at(0, 5, Kind::Write { key: "456", value: 1, outcome: Outcome::Acknowledged });
        assert_eq!(breaches(&[other, read(1, 10, 15)]), [Breach::NeverWritten]);
    }

    #[test]
    fn a_cache_outdated_after_recovery_is_reported() {
        let history = [&[tried(1, 0, 9)], &at_rest(1, 0)[..]].concat();
        assert_eq!(breaches(&history), [Breach::NotConverged]);
    }

    #[test]
    fn each_process_and_each_route_has_its_own_window() {
        let elsewhere = Operation { process: 1, ..read(0, 50, 55) };
        let bypassing = at(50, 55, Kind::Read { key: KEY, value: 0, route: Route::Origin });
        let visible = |write: &Operation, process: usize, _| match process == write.process {
            true => write.end,
            false => write.end + Duration::from_millis(100),
        };
        let found = |read: &Operation| check(&[wrote(1, 0, 9), read.clone()], visible).len();
        assert_eq!([found(&read(0, 50, 55)), found(&elsewhere), found(&bypassing)], [1, 0, 1]);
    }

    #[test]
    fn a_hundred_thousand_operations_are_checked_in_seconds() {
        let history: Vec<_> = (1..=33_333)
            .flat_map(|n| {
                let t = n * 10;
                [wrote(n, t, t + 5), read(n, t + 6, t + 8), counted(n, t + 6, t + 8)]
            })
            .collect();
        let start = Instant::now();
        assert_eq!(breaches(&history), []);
        // Comparing every pair of operations would take minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
