//! Whether memory stays flat: a million requests, a million different ids.

use crate::{
    Result,
    cases::{Stage, get},
    load,
};

/// How often the memory is looked at on the way.
const LOOKS: u64 = 5;

/// Prints what hitrate holds before, meanwhile and after.
pub async fn watch(stage: &Stage, requests: u64) -> Result<()> {
    let address = stage.hitrate().address;
    println!("memory: what hitrate holds, in KiB");
    let part = requests / LOOKS;
    let known = |n: u64| get(address, &format!("/product/{}", 1 + n % 1_000), "*/*");
    follow(stage, "the same 1,000 ids", part, |_, n| known(n)).await?;
    let other = |n: u64| get(address, &format!("/profiles?id=visitor-{n}"), "application/json");
    follow(stage, "each another id", part, |look, n| other(look * part + n)).await
}

async fn follow(
    stage: &Stage,
    what: &str,
    part: u64,
    request: impl Fn(u64, u64) -> Vec<u8>,
) -> Result<()> {
    let server = stage.hitrate();
    println!("{what}:\n{:>10} requests{:>10}", 0, server.resident_kib()?);
    for look in 0..LOOKS {
        let took = load::numbered(server.address, part, |n| request(look, n)).await?;
        let per_second = part as f64 / took.as_secs_f64();
        let (sent, kib) = ((look + 1) * part, server.resident_kib()?);
        println!("{sent:>10} requests{kib:>10}  ({per_second:.0} req/s)");
    }
    println!();
    Ok(())
}
