//! The tutorial's performance tables, each line with a measurement.

use hitrate_cache::time::millis;

use super::{
    RoundTripsOutcome,
    clients::{ClientReport, LOAD, POOL},
    modes::{RoundTripRow, SendMode, Verb},
};
use crate::{
    format,
    labs::support::claims::{Claim, Verdict},
};

impl RoundTripsOutcome {
    /// All claims, checked against this result.
    pub fn claims(&self) -> Vec<Claim> {
        let pipelines = [
            (
                Verb::Set,
                SendMode::ByHundred,
                "SET",
                "about 0.5 ms alone, about 2 ms for a pipeline of 100: 25 times faster",
                25.0,
            ),
            (
                Verb::Get,
                SendMode::ByHundred,
                "GET",
                "about 0.3 ms alone, about 1.5 ms for a pipeline of 100: 20 times faster",
                20.0,
            ),
            (Verb::Set, SendMode::OnePipeline, "Batch", "50 times faster", 50.0),
        ];
        let mut claims: Vec<_> = pipelines
            .into_iter()
            .filter_map(|(verb, mode, subject, says, times)| {
                faster(
                    self.row(verb, mode)?,
                    self.row(verb, SendMode::Singly)?,
                    subject,
                    says,
                    times,
                )
            })
            .collect();
        if let [blocking, not_blocking] = self.clients.as_slice() {
            claims.extend(of_clients(blocking, not_blocking));
        }
        claims.extend(UNMEASURED.map(unmeasured));
        claims
    }
}

impl RoundTripsOutcome {
    /// The row of a command and a send mode.
    pub fn row(&self, verb: Verb, mode: SendMode) -> Option<&RoundTripRow> {
        self.rows.iter().find(|row| row.verb == verb && row.mode == mode)
    }
}

fn faster(
    row: &RoundTripRow,
    singly: &RoundTripRow,
    subject: &'static str,
    says: &'static str,
    times: f64,
) -> Option<Claim> {
    let [min, max] = row.times_range;
    (row.each.n > 0).then(|| Claim {
        subject,
        says,
        measured: format!(
            "{:.1} times faster: {} alone, {} each in a pipeline",
            row.times,
            singly.each.median(),
            row.each.median()
        ),
        n: row.each.n,
        spread: Some(format!("{min:.1} to {max:.1} times")),
        verdict: Verdict::of(row.times >= times),
    })
}

/// A miss in the tutorial waits two seconds; here it waits less, and the text says so.
fn of_clients(blocking: &ClientReport, other: &ClientReport) -> [Claim; 4] {
    let ranges = |of: fn(&ClientReport) -> &super::Spread| {
        Some(format!("{}; {}", of(blocking).range(), of(other).range()))
    };
    let saved = 1.0 - other.connect.median_ns as f64 / blocking.connect.median_ns.max(1) as f64;
    let rate = |client: &ClientReport| {
        client.concurrent_misses as f64 * 1e6 / client.concurrent_us.max(1) as f64
    };
    let times = rate(other) / rate(blocking).max(f64::MIN_POSITIVE);
    let load = millis(LOAD);
    [
        Claim {
            subject: "Setup",
            says: "5 to 10 s with the blocking client, 2 to 3 s with the async one: 60 to 70 % less",
            measured: format!(
                "connecting only: {} and {}",
                blocking.connect.median(),
                other.connect.median()
            ),
            n: blocking.connect.n,
            spread: ranges(|client| &client.connect),
            verdict: Verdict::of(saved >= 0.6),
        },
        Claim {
            subject: "A hit",
            says: "about 1 ms with both",
            measured: format!("{} and {}", blocking.hit.median(), other.hit.median()),
            n: blocking.hit.n,
            spread: ranges(|client| &client.hit),
            verdict: Verdict::of(blocking.hit.median_ns.max(other.hit.median_ns) <= 1_000_000),
        },
        Claim {
            subject: "A miss",
            says: "about 2 s with both; the blocking client’s thread waits, the async client’s does not",
            measured: format!(
                "{} and {}, with {load} ms instead of 2 s; during a miss, the thread served {} and {} hits",
                blocking.miss.median(),
                other.miss.median(),
                blocking.hits_meanwhile,
                format::number(&other.hits_meanwhile),
            ),
            n: blocking.miss.n,
            spread: ranges(|client| &client.miss),
            verdict: Verdict::of(other.hits_meanwhile > 0),
        },
        Claim {
            subject: "1,000 misses at once",
            says: "at least 10 times as many with the async client",
            measured: format!(
                "{times:.1} times: {} in {} with {POOL} threads and connections, {} in {} with one of each",
                format::number(&blocking.concurrent_misses),
                format::time(&blocking.concurrent_us),
                format::number(&other.concurrent_misses),
                format::time(&other.concurrent_us),
            ),
            n: 1,
            spread: None,
            verdict: Verdict::of(times >= 10.0),
        },
    ]
}

/// Claims that are not measured, and the reason.
const UNMEASURED: [(&str, &str, &str); 2] = [
    (
        "Memory",
        "the async client takes 30 to 50 % less",
        "both clients run in this process, so their memory can’t be measured separately",
    ),
    (
        "Memory versus disk",
        "memory is 100 times faster",
        "after the first read, the operating system keeps the database file in memory, too",
    ),
];

fn unmeasured((subject, says, why): (&'static str, &'static str, &str)) -> Claim {
    let (measured, verdict) = (why.to_owned(), Verdict::Unknown);
    Claim { subject, says, measured, n: 0, spread: None, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labs::round_trips::Spread;

    fn row(mode: SendMode, each_ns: u64, times: f64) -> RoundTripRow {
        let each = Spread { n: 3, median_ns: each_ns, min_ns: 1, max_ns: 2 };
        let times_range = [times, times];
        RoundTripRow {
            verb: Verb::Set,
            mode,
            commands: 9,
            each,
            rounds_ns: vec![],
            times,
            times_range,
        }
    }

    fn client(name: &'static str, concurrent_us: u64) -> ClientReport {
        let spread = Spread { n: 1, median_ns: 1_000, min_ns: 1, max_ns: 2 };
        ClientReport {
            name,
            connect: spread,
            hit: spread,
            miss: spread,
            hits_meanwhile: 0,
            concurrent_misses: 1_000,
            concurrent_us,
            threads: 1,
            connections: 1,
        }
    }

    #[test]
    fn a_claim_holds_if_the_measurement_reaches_it() {
        let outcome = RoundTripsOutcome {
            count: 9,
            simulated_us: 0,
            ping: Spread::default(),
            took_ms: 0,
            rows: vec![row(SendMode::Singly, 500_000, 1.0), row(SendMode::ByHundred, 20_000, 25.0)],
            clients: vec![client("blocking", 100_000), client("async", 20_000)],
        };
        let claims = outcome.claims();
        let verdict =
            |subject: &str| claims.iter().find(|it| it.subject == subject).unwrap().verdict;
        assert_eq!(verdict("SET"), Verdict::True);
        assert_eq!(verdict("A hit"), Verdict::True);
        assert_eq!(verdict("1,000 misses at once"), Verdict::False, "five times");
        assert_eq!(verdict("Setup"), Verdict::False);
        assert_eq!(verdict("Memory"), Verdict::Unknown);
        assert!(
            claims.iter().all(|claim| claim.subject != "GET"),
            "claims without a measurement are left out"
        );
    }
}
