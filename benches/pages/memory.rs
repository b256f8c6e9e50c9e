//! Memory of hitrate during a million requests for known ids, and a million for new
//! ones.

use crate::{
    Result,
    cases::{Bench, Contestant, get},
    load,
    process::Memory,
    report::Verdict,
};

/// Number of samples per series.
const SAMPLES: u64 = 5;
/// Maximum resident memory of hitrate, in megabytes.
const MAX_MB: f64 = 40.0;
/// Maximum ratio of the last sample to the first, for new ids.
const MAX_GROWTH: f64 = 1.05;

/// Sends both series of requests, and prints and returns the resident memory of hitrate.
pub async fn measure(bench: &Bench, requests: u64) -> Result<MemoryProfile> {
    println!("memory: resident memory of hitrate");
    let part = requests / SAMPLES;
    let address = bench.server(Contestant::Hitrate).address;
    let known_id = |n: u64| get(address, &format!("/product/{}", 1 + n % 1_000), "*/*", "");
    let known = sample(bench, "1,000 known ids", part, |_, n| known_id(n)).await?;
    let new_id =
        |n: u64| get(address, &format!("/profiles?id=visitor-{n}"), "application/json", "");
    let new =
        sample(bench, "a new id per request", part, |sample, n| new_id(sample * part + n)).await?;
    Ok(MemoryProfile { known, new })
}

/// Samples of the resident memory.
pub struct MemoryProfile {
    known: Vec<Memory>,
    new: Vec<Memory>,
}

impl MemoryProfile {
    /// The largest sample.
    pub fn max(&self) -> Option<Memory> {
        self.known.iter().chain(&self.new).copied().max()
    }

    /// The verdict on growth: new ids must not accumulate.
    pub fn verdict(&self) -> Option<Verdict> {
        let (first, last) = (self.new.first()?, self.new.last()?);
        let growth = last.megabytes() / first.megabytes();
        Some(Verdict {
            what: "memory: after all new ids, compared with a fifth of them".to_owned(),
            measured: format!("{growth:.2}"),
            goal: format!("at most {MAX_GROWTH}"),
            is_met: growth <= MAX_GROWTH,
        })
    }
}

/// The verdict on the maximum.
pub fn verdict(max: Memory) -> Verdict {
    Verdict {
        what: "memory: maximum, in MB".to_owned(),
        measured: format!("{:.1}", max.megabytes()),
        goal: format!("below {MAX_MB}"),
        is_met: max.megabytes() < MAX_MB,
    }
}

async fn sample(
    bench: &Bench,
    what: &str,
    part: u64,
    request: impl Fn(u64, u64) -> Vec<u8>,
) -> Result<Vec<Memory>> {
    let server = bench.server(Contestant::Hitrate);
    println!("{what}:\n{:>10} requests{:>8.1} MB", 0, server.memory()?.megabytes());
    let mut samples = Vec::new();
    for sample in 0..SAMPLES {
        let took = load::numbered(server.address, part, |n| request(sample, n)).await?;
        let per_second = part as f64 / took.as_secs_f64();
        let (sent, memory) = ((sample + 1) * part, server.memory()?);
        println!("{sent:>10} requests{:>8.1} MB  ({per_second:.0} req/s)", memory.megabytes());
        samples.push(memory);
    }
    println!();
    Ok(samples)
}
