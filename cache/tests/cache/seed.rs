//! Where what is random in a test begins.

/// `HITRATE_SEED`, or this number where it is not set: the same on every run. A
/// test that fails shows it.
pub fn seed_or(number: u64) -> u64 {
    let seed = from_environment("HITRATE_SEED").unwrap_or(number);
    eprintln!("to repeat what was random: HITRATE_SEED={seed}");
    seed
}

pub fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}
