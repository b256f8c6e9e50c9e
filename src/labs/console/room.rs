//! How much a visitor may keep: counted in Redis itself before anything grows,
//! so that it holds for all processes.

use hitrate_cache::redis::{Command, Refusal, Store, Value};

use super::{policy::Refused, words::Word};
use crate::{format, labs::support::visitor_keys::KEPT};

/// The most keys of a visitor.
pub const KEYS_MAX: u64 = 100;
/// The most bytes in all of them; what exceeds it is the last command's, and
/// no command more than doubles what is there.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Counts what there is, forgetting names that are gone, and adds the names of
/// the command if there is room. Every element counts: from a few samples a
/// list that begins with short ones looks small, whatever follows. KEYS: the list of names, then the command's keys.
const ROOM: &str = "-- console: how much is there, and is there room for these keys?
local known, keys, bytes = {}, 0, 0
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local size = redis.call('MEMORY', 'USAGE', name, 'SAMPLES', 0)
  if size then
    known[name], keys, bytes = true, keys + 1, bytes + size
  else
    redis.call('SREM', KEYS[1], name)
  end
end
local more = keys
for i = 2, #KEYS do
  if not known[KEYS[i]] then known[KEYS[i]], more = true, more + 1 end
end
if (more > keys and more > tonumber(ARGV[1])) or bytes > tonumber(ARGV[2]) then
  return {0, keys, bytes}
end
for i = 2, #KEYS do redis.call('SADD', KEYS[1], KEYS[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {1, keys, bytes}
";

/// Asks for room for these keys; `list` is the key under which their names are.
pub fn ask(store: &Store, list: &str, keys: &[&Word]) -> Command {
    // The list outlives every key that is in it.
    let bounds = [KEYS_MAX, BYTES_MAX, 2 * KEPT.as_secs()].map(|it| it.to_string());
    let mut words = vec!["EVAL".into(), ROOM.into(), (keys.len() + 1).to_string().into_bytes()];
    words.push(list.as_bytes().to_vec());
    words.extend(keys.iter().map(|key| key.to_vec()));
    words.extend(bounds.map(String::into_bytes));
    store.words::<Word>(&words)
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
