//! Whether memory stays low and flat: a million requests, a million different ids.

use crate::{
    Result,
    cases::{Stage, Who, get},
    load,
    process::Memory,
    report::Verdict,
};

/// How often the memory is looked at on the way.
const LOOKS: u64 = 5;
/// What hitrate may hold after any turn, in millions of bytes.
const MOST: f64 = 40.0;
/// What it may hold at the end beside what it held after the first of the looks.
const GROWTH: f64 = 1.05;

/// Prints what hitrate holds before, meanwhile and after; returns what it held at each look.
pub async fn watch(stage: &Stage, requests: u64) -> Result<Watched> {
    println!("memory: what hitrate holds");
    let part = requests / LOOKS;
    let address = stage.server(Who::Hitrate).address;
    let known = |n: u64| get(address, &format!("/product/{}", 1 + n % 1_000), "*/*", "");
    let same = follow(stage, "the same 1,000 ids", part, |_, n| known(n)).await?;
    let other = |n: u64| get(address, &format!("/profiles?id=visitor-{n}"), "application/json", "");
    let each = follow(stage, "each another id", part, |look, n| other(look * part + n)).await?;
    Ok(Watched { same, each })
}

/// What hitrate held at each look.
pub struct Watched {
    same: Vec<Memory>,
    each: Vec<Memory>,
}

impl Watched {
    /// The most of all looks.
    pub fn most(&self) -> Option<Memory> {
        self.same.iter().chain(&self.each).copied().max()
    }

    /// Whether a new id leaves nothing behind.
    pub fn verdict(&self) -> Option<Verdict> {
        let (first, last) = (self.each.first()?, self.each.last()?);
        let growth = last.megabytes() / first.megabytes();
        Some(Verdict {
            what: "memory: after all ids, of a fifth of them".to_owned(),
            measured: format!("{growth:.2}"),
            goal: format!("at most {GROWTH}"),
            is_met: growth <= GROWTH,
        })
    }
}

/// Whether hitrate stayed small throughout.
pub fn verdict(most: Memory) -> Verdict {
    Verdict {
        what: "memory: the most after any turn, in MB".to_owned(),
        measured: format!("{:.1}", most.megabytes()),
        goal: format!("below {MOST}"),
        is_met: most.megabytes() < MOST,
    }
}

async fn follow(
    stage: &Stage,
    what: &str,
    part: u64,
    request: impl Fn(u64, u64) -> Vec<u8>,
) -> Result<Vec<Memory>> {
    let server = stage.server(Who::Hitrate);
    println!("{what}:\n{:>10} requests{:>8.1} MB", 0, server.memory()?.megabytes());
    let mut held = Vec::new();
    for look in 0..LOOKS {
        let took = load::numbered(server.address, part, |n| request(look, n)).await?;
        let per_second = part as f64 / took.as_secs_f64();
        let (sent, memory) = ((look + 1) * part, server.memory()?);
        println!("{sent:>10} requests{:>8.1} MB  ({per_second:.0} req/s)", memory.megabytes());
        held.push(memory);
    }
    println!();
    Ok(held)
}
