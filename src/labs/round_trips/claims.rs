//! The documents' tables of performance, each line beside what was measured.

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
    /// All lines, held against this outcome.
    pub fn claims(&self) -> Vec<Claim> {
        let pipelines = [
            (
                Verb::Set,
                SendMode::ByHundred,
                "SET",
                "one about 0.5 ms, a pipeline of 100 about 2 ms: 25 times faster",
                25.0,
            ),
            (
                Verb::Get,
                SendMode::ByHundred,
                "GET",
                "one about 0.3 ms, a pipeline of 100 about 1.5 ms: 20 times faster",
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
    /// One verb by one way.
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
            "{:.1} times faster: one {}, in a pipeline {} each",
            row.times,
            singly.each.median(),
            row.each.median()
        ),
        n: row.each.n,
        spread: Some(format!("{min:.1} to {max:.1} times")),
        verdict: Verdict::of(row.times >= times),
    })
}

/// The documents' miss waits two seconds; ours waits less, and says so.
fn of_clients(blocking: &ClientReport, other: &ClientReport) -> [Claim; 4] {
    let ranges = |of: fn(&ClientReport) -> &super::Spread| {
        Some(format!("{}; {}", of(blocking).range(), of(other).range()))
    };
    let saved = 1.0 - other.connect.median_ns as f64 / blocking.connect.median_ns.max(1) as f64;
    let rate = |client: &ClientReport| client.crowd as f64 * 1e6 / client.crowd_us.max(1) as f64;
    let times = rate(other) / rate(blocking).max(f64::MIN_POSITIVE);
    let load = millis(LOAD);
    [
        Claim {
            subject: "Setup",
            says: "5 to 10 s with the blocking client, 2 to 3 s with the async one: 60 to 70 % less",
            measured: format!(
                "connecting alone: {} and {}",
                blocking.connect.median(),
                other.connect.median()
            ),
            n: blocking.connect.n,
            spread: ranges(|client| &client.connect),
            verdict: Verdict::of(saved >= 0.6),
        },
        Claim {
            subject: "A hit",
            says: "about 1 ms with either",
            measured: format!("{} and {}", blocking.hit.median(), other.hit.median()),
            n: blocking.hit.n,
            spread: ranges(|client| &client.hit),
            verdict: Verdict::of(blocking.hit.median_ns.max(other.hit.median_ns) <= 1_000_000),
        },
        Claim {
            subject: "A miss",
            says: "about 2 s with either; the blocking client’s thread waits, the async one’s does not",
            measured: format!(
                "{} and {}, with {load} ms in place of the 2 s; meanwhile the thread answered {} and {} hits",
                blocking.miss.median(),
                other.miss.median(),
                blocking.meanwhile,
                format::number(&other.meanwhile),
            ),
            n: blocking.miss.n,
            spread: ranges(|client| &client.miss),
            verdict: Verdict::of(other.meanwhile > 0),
        },
        Claim {
            subject: "1,000 misses at once",
            says: "10 times and more with the async client",
            measured: format!(
                "{times:.1} times: {} in {} by {POOL} threads and connections, {} in {} by one of each",
                format::number(&blocking.crowd),
                format::time(&blocking.crowd_us),
                format::number(&other.crowd),
                format::time(&other.crowd_us),
            ),
            n: 1,
            spread: None,
            verdict: Verdict::of(times >= 10.0),
        },
    ]
}

/// Lines that are not measured, and why.
const UNMEASURED: [(&str, &str, &str); 2] = [
    (
        "Memory",
        "the async client takes 30 to 50 % less",
        "both clients live in this one process, whose memory can’t be told apart",
    ),
    (
        "Memory against disk",
        "memory is 100 times faster",
        "after its first read the database’s file is in memory, too, kept there by the operating system",
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

    fn client(name: &'static str, crowd_us: u64) -> ClientReport {
        let spread = Spread { n: 1, median_ns: 1_000, min_ns: 1, max_ns: 2 };
        ClientReport {
            name,
            connect: spread,
            hit: spread,
            miss: spread,
            meanwhile: 0,
            crowd: 1_000,
            crowd_us,
            threads: 1,
            connections: 1,
        }
    }

    #[test]
    fn a_claim_is_so_if_it_is_reached() {
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
            "what was not measured is not told"
        );
    }
}
