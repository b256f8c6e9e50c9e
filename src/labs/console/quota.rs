//! The quota of a visitor, checked in Redis before a write, so that it holds across all
//! processes.

use hitrate_cache::redis::{Client, Command, Refusal, Script, Value};

use super::{command_line::Word, policy::NotPermitted};
use crate::{format, labs::support::visitor_keys::KEY_TTL};

/// Maximum number of keys per visitor.
pub const KEYS_MAX: u64 = 100;
/// Maximum size of all keys together, in bytes. The last command may exceed it, but no
/// command more than doubles the size.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Measures the listed keys, removes those that no longer exist, and adds the keys of the
/// command if the quota allows. Counts every element (`SAMPLES 0`), because a few samples
/// underestimate a list that starts with short elements. `KEYS[1]` is the list of names,
/// the others the command's keys.
static QUOTA: Script = Script::new(include_str!("quota.lua"));

/// A command that checks the quota for these keys; `list` is the key that lists the
/// visitor's keys.
pub fn command(store: &Client, list: &str, keys: &[&Word]) -> Command {
    // The list outlives every key in it.
    let bounds = [KEYS_MAX, BYTES_MAX, 2 * KEY_TTL.as_secs()].map(|it| it.to_string());
    let names: Vec<_> =
        [list.as_bytes()].into_iter().chain(keys.iter().map(|key| key.as_slice())).collect();
    store.script_on(&QUOTA, &names).arg(&bounds)
}

/// Checks the reply: whether the quota allows the command.
pub fn check(reply: &Result<Value, Refusal>) -> Result<(), NotPermitted> {
    let counted = match reply {
        Ok(Value::Array(parts)) => parts.as_slice(),
        Ok(_) => &[],
        Err(refusal) => {
            return Err(NotPermitted(format!("Redis can't measure your keys: {refusal}")));
        }
    };
    let number = |n: usize| match counted.get(n) {
        Some(Value::Int(number)) => u64::try_from(*number).unwrap_or_default(),
        _ => 0,
    };
    if number(0) == 1 {
        return Ok(());
    }
    Err(NotPermitted(format!(
        "You have {} with {}; the limit is {KEYS_MAX} keys with {}. Remove some with DEL first.",
        format::counted(&number(1), "key", "keys"),
        format::bytes(&number(2)),
        format::bytes(&BYTES_MAX),
    )))
}
