//! How much a visitor may keep: counted in Redis itself before anything grows,
//! so that it holds for all processes.

use hitrate_cache::redis::{Command, Refusal, Script, Store, Value};

use super::{policy::Refused, words::Word};
use crate::{format, labs::support::visitor_keys::KEPT};

/// The most keys of a visitor.
pub const KEYS_MAX: u64 = 100;
/// The most bytes in all of them; what exceeds it is the last command's, and
/// no command more than doubles what is there.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Counts what there is, removes names that are gone, and adds the names of
/// the command if there is room. Every element counts: from a few samples a
/// list that begins with short ones looks small, whatever follows. KEYS: the list of names, then the command's keys.
static QUOTA: Script = Script::new(include_str!("quota.lua"));

/// Asks for room for these keys; `list` is the key under which their names are.
pub fn ask(store: &Store, list: &str, keys: &[&Word]) -> Command {
    // The list outlives every key that is in it.
    let bounds = [KEYS_MAX, BYTES_MAX, 2 * KEPT.as_secs()].map(|it| it.to_string());
    let names: Vec<_> =
        [list.as_bytes()].into_iter().chain(keys.iter().map(|key| key.as_slice())).collect();
    store.script_on(&QUOTA, &names).arg(&bounds)
}

/// Whether there is.
pub fn is_there(reply: &Result<Value, Refusal>) -> Result<(), Refused> {
    let counted = match reply {
        Ok(Value::Array(parts)) => parts.as_slice(),
        Ok(_) => &[],
        Err(refusal) => return Err(Refused(format!("Redis can't say what you keep: {refusal}"))),
    };
    let number = |n: usize| match counted.get(n) {
        Some(Value::Int(number)) => u64::try_from(*number).unwrap_or_default(),
        _ => 0,
    };
    if number(0) == 1 {
        return Ok(());
    }
    Err(Refused(format!(
        "You have {} with {} here, and at most {KEYS_MAX} with {} can be kept. Remove some with DEL first.",
        format::counted(&number(1), "key", "keys"),
        format::bytes(&number(2)),
        format::bytes(&BYTES_MAX),
    )))
}
