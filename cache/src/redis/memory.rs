//! Runs the commands of a cache in this process, as Redis would, for tests without Redis. A
//! property test holds it equal to Redis and the scripts in Lua
//! (`tests/cache/in_memory.rs`).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redis::{Arg, Cmd, Value};

use crate::{redis::Script, scripts};

/// The keys and their values.
#[derive(Default)]
pub struct MemoryServer(Mutex<HashMap<String, Stored>>);

struct Stored {
    value: Vec<u8>,
    /// In microseconds since 1970.
    expires_at: Option<u64>,
}

/// The keyspace while a command runs.
struct Keyspace<'a> {
    keys: MutexGuard<'a, HashMap<String, Stored>>,
    /// Microseconds since 1970.
    now: u64,
}

/// The keys and arguments of a script, or the arguments of a command.
struct Call<'a> {
    keys: &'a [&'a str],
    args: &'a [&'a [u8]],
}

/// What the start of an entry says.
#[derive(Default)]
struct Head {
    version: Option<u64>,
    is_gone: bool,
    at: Option<u64>,
    /// Whether the time orders it, and not the version.
    is_timed: bool,
}

type Handler = fn(&mut Keyspace<'_>, Call<'_>) -> Value;

/// The scripts that a cache without write-behind calls.
static SCRIPTS: [(&Script, Handler); 8] = [
    (&scripts::FILL, fill),
    (&scripts::INVALIDATE, invalidate),
    (&scripts::WOULD_INVALIDATE, would_invalidate),
    (&scripts::STORE_WRITTEN, store_written),
    (&scripts::NEXT_GENERATION, next_generation),
    (&scripts::TAG_GENERATION, tag_generation),
    (&scripts::RENEW, renew),
    (&scripts::RELEASE, release),
];

/// Replies as a server that is empty and stores nothing, for a cache that is off.
pub fn reply_without_storing(cmd: &Cmd) -> Value {
    let args: Vec<&[u8]> = cmd.args_iter().filter_map(simple).collect();
    match args[0] {
        b"MGET" => Value::Array(vec![Value::Nil; args.len() - 1]),
        b"EVALSHA" | b"UNLINK" | b"STRLEN" => Value::Int(0),
        b"SCAN" => Value::Array(vec![bulk(b"0"), Value::Array(Vec::new())]),
        b"SET" => Value::Okay,
        _ => Value::Nil,
    }
}

impl MemoryServer {
    /// Runs one command at this time, in microseconds since 1970. Replies nil to one that a
    /// cache does not send.
    pub fn execute(&self, cmd: &Cmd, now: u64) -> Value {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keyspace = Keyspace { keys, now };
        let args: Vec<&[u8]> = cmd.args_iter().filter_map(simple).collect();
        let (verb, args) = (args[0], &args[1..]);
        match verb {
            b"EVALSHA" => keyspace.call(args),
            b"GET" => keyspace.get(text(args[0])).map_or(Value::Nil, bulk),
            b"MGET" => {
                let get = |key: &&[u8]| keyspace.get(text(key)).map_or(Value::Nil, bulk);
                Value::Array(args.iter().map(get).collect())
            }
            b"SET" => keyspace.set_command(args),
            b"UNLINK" => Value::Int(args.iter().map(|key| keyspace.remove(text(key))).sum()),
            b"STRLEN" => Value::Int(keyspace.get(text(args[0])).map_or(0, |it| it.len() as i64)),
            b"SCAN" => keyspace.scan(args),
            _ => Value::Nil,
        }
    }
}

impl Keyspace<'_> {
    fn get(&self, key: &str) -> Option<&[u8]> {
        let stored = self.keys.get(key)?;
        let is_live = stored.expires_at.is_none_or(|at| self.now < at);
        is_live.then_some(&stored.value)
    }

    fn set(&mut self, key: &str, value: impl Into<Vec<u8>>, ttl_ms: Option<u64>) {
        let expires_at = ttl_ms.map(|ttl| self.now + ttl * 1000);
        self.keys.insert(key.to_owned(), Stored { value: value.into(), expires_at });
    }

    fn remove(&mut self, key: &str) -> i64 {
        let existed = self.get(key).is_some();
        self.keys.remove(key);
        i64::from(existed)
    }

    fn expire(&mut self, key: &str, ttl_ms: u64) {
        let at = self.now + ttl_ms * 1000;
        if let Some(stored) = self.keys.get_mut(key) {
            stored.expires_at = Some(at);
        }
    }

    /// `SET key value [NX] [PX ttl]`
    fn set_command(&mut self, args: &[&[u8]]) -> Value {
        let (key, options) = (text(args[0]), &args[2..]);
        if options.contains(&b"NX".as_slice()) && self.get(key).is_some() {
            return Value::Nil;
        }
        let px = options.iter().position(|option| *option == b"PX");
        self.set(key, args[1], px.map(|at| number(options[at + 1])));
        Value::Okay
    }

    /// `SCAN 0 MATCH pattern …`, all keys at once.
    fn scan(&self, args: &[&[u8]]) -> Value {
        let pattern = text(args[2]);
        let names = self.keys.keys().filter(|key| glob(pattern.as_bytes(), key.as_bytes()));
        let found = names.filter(|key| self.get(key).is_some()).map(|key| bulk(key.as_bytes()));
        Value::Array(vec![bulk(b"0"), Value::Array(found.collect())])
    }

    /// `EVALSHA digest numkeys key … arg …`
    fn call(&mut self, args: &[&[u8]]) -> Value {
        let count = number(args[1]) as usize;
        let keys: Vec<_> = args[2..2 + count].iter().map(|key| text(key)).collect();
        let call = Call { keys: &keys, args: &args[2 + count..] };
        let script = SCRIPTS.iter().find(|(script, _)| script.digest().as_bytes() == args[0]);
        script.map_or(Value::Nil, |(_, run)| run(self, call))
    }

    fn head(&self, key: &str) -> Option<Head> {
        self.get(key).map(Head::of)
    }

    fn has_value(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Raises the floor of an `edited` key; without a version, sets its time.
    fn record_edit(&mut self, edited: &str, current: Option<u64>, ttl_ms: u64) {
        let (floor, at) = edited_parts(self.get(edited).unwrap_or_default());
        let floor = floor.max(current.unwrap_or_default());
        let at = if current.is_none() { Some(self.now) } else { at };
        let at = at.map_or_else(String::new, |at| format!(":{at}"));
        self.set(edited, format!("{floor}{at}"), Some(ttl_ms));
    }
}

impl Head {
    fn of(entry: &[u8]) -> Self {
        let Some((version, rest)) = entry.strip_prefix(br#"{"version":"#).and_then(digits) else {
            return Self::default();
        };
        let time = |rest: &[u8]| -> Option<(u64, bool)> {
            let (at, rest) = rest.strip_prefix(br#","at":"#).and_then(digits)?;
            Some((at, rest == b"}"))
        };
        let version = Some(version);
        match rest.strip_prefix(br#","gone":true"#) {
            None => {
                let at = time(rest).map(|(at, _)| at);
                Self { version, is_gone: false, at, is_timed: at.is_some() }
            }
            Some(rest) => {
                let (at, is_timed) = time(rest).unzip();
                Self { version, is_gone: true, at, is_timed: is_timed.unwrap_or_default() }
            }
        }
    }

    fn is_copy(&self) -> bool {
        self.version.is_some() && !self.is_gone
    }

    /// The tombstone that replaces it.
    fn tombstone(&self, current: Option<u64>, now: u64) -> String {
        let version = self.version.unwrap_or_default().max(current.unwrap_or_default());
        let rest = match (current, self.at) {
            (None, _) => format!(r#","at":{now}"#),
            (Some(_), Some(at)) => format!(r#","at":{at},"written":true"#),
            (Some(_), None) => String::new(),
        };
        format!(r#"{{"version":{version},"gone":true{rest}}}"#)
    }
}

fn fill(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let [new, entry, ttl, since, tombstone_ttl, unusable @ ..] = call.args else {
        return Value::Nil;
    };
    let (new, since) = (number(new), number(since));
    if keys.now.saturating_sub(since) > number(tombstone_ttl) * 1000 {
        return Value::Int(0);
    }
    if let Some(old) = keys.get(call.keys[0]) {
        let head = Head::of(old);
        let is_unusable = matches!(unusable, [length, start]
            if number(length) as usize == old.len() && old.starts_with(start));
        let is_newer = head.version.unwrap_or_default() > new && !(head.is_timed && new == 0);
        let is_later = head.at.is_some_and(|at| at > since);
        if !is_unusable && (is_newer || is_later) {
            return Value::Int(0);
        }
    }
    keys.set(call.keys[0], *entry, Some(number(ttl)));
    Value::Int(1)
}

fn invalidate(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let [copy, others @ ..] = call.keys else { return Value::Nil };
    let (current, tombstone_ttl) = (text(call.args[0]).parse().ok(), number(call.args[1]));
    if let ([edited, ..], 1..) = (others, number(call.args[3])) {
        keys.record_edit(edited, current, number(call.args[3]));
    }
    let head = keys.head(copy).unwrap_or_default();
    let is_copy = head.is_copy();
    if is_copy && !head.is_timed && current.is_some_and(|current| head.version >= Some(current)) {
        return Value::Int(0);
    }
    let dropped = match head.version {
        Some(_) => i64::from(is_copy),
        None => keys.remove(copy),
    };
    match tombstone_ttl {
        0 => {
            keys.remove(copy);
        }
        ttl => {
            let tombstone = head.tombstone(current, keys.now);
            keys.set(copy, tombstone, Some(ttl));
        }
    }
    Value::Int(dropped)
}

fn would_invalidate(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let would = keys.head(call.keys[0]).is_some_and(|head| !head.is_gone);
    Value::Int(i64::from(would))
}

fn store_written(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let ([copy, edited], [began, tail, ttl, tombstone_ttl, edited_ttl]) = (call.keys, call.args)
    else {
        return Value::Nil;
    };
    let (head, now) = (keys.head(copy).unwrap_or_default(), keys.now);
    let (floor, seen) = edited_parts(keys.get(edited).unwrap_or_default());
    keys.set(edited, format!("{floor}:{now}"), Some(number(edited_ttl)));
    let version = head.version.unwrap_or_default();
    if head.at.max(seen).unwrap_or_default() > number(began) {
        let tombstone = format!(r#"{{"version":{version},"gone":true,"at":{now}}}"#);
        keys.set(copy, tombstone, Some(number(tombstone_ttl)));
        return Value::Int(0);
    }
    let entry = [format!(r#"{{"version":0,"at":{now},"#).as_bytes(), tail].concat();
    keys.set(copy, entry, Some(number(ttl)));
    Value::Int(1)
}

fn next_generation(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let (generation, ttl) = (keys.now.to_string(), number(call.args[0]));
    keys.set(call.keys[0], generation.clone(), (ttl > 0).then_some(ttl));
    bulk(generation.as_bytes())
}

fn tag_generation(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let (tag, first, ttl) = (call.keys[0], call.args[0], number(call.args[1]));
    if !keys.has_value(tag) {
        keys.set(tag, first, Some(2 * ttl));
        return bulk(first);
    }
    let until = keys.keys.get(tag).and_then(|stored| stored.expires_at);
    if until.is_some_and(|until| until < keys.now + ttl * 1000) {
        keys.expire(tag, 2 * ttl);
    }
    bulk(keys.get(tag).unwrap_or_default())
}

fn renew(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let is_held = keys.get(call.keys[0]) == Some(call.args[0]);
    if is_held {
        keys.expire(call.keys[0], number(call.args[1]));
    }
    Value::Int(i64::from(is_held))
}

fn release(keys: &mut Keyspace<'_>, call: Call<'_>) -> Value {
    let is_held = keys.get(call.keys[0]) == Some(call.args[0]);
    Value::Int(if is_held { keys.remove(call.keys[0]) } else { 0 })
}

/// The floor and the time of an `edited` key.
fn edited_parts(value: &[u8]) -> (u64, Option<u64>) {
    let Some((floor, rest)) = digits(value) else { return (0, None) };
    let at = rest.strip_prefix(b":").and_then(digits);
    (floor, at.filter(|(_, rest)| rest.is_empty()).map(|(at, _)| at))
}

fn simple(arg: Arg<&[u8]>) -> Option<&[u8]> {
    match arg {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    }
}

/// The number at the start, and the rest.
fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    Some((text(&bytes[..end]).parse().ok()?, &bytes[end..]))
}

fn number(bytes: &[u8]) -> u64 {
    text(bytes).parse().unwrap_or_default()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

fn bulk(bytes: &[u8]) -> Value {
    Value::BulkString(bytes.to_vec())
}

/// Whether a text matches a pattern of `*`, `?` and escaped characters.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([b'*', rest @ ..], _) => {
            glob(rest, text) || text.split_first().is_some_and(|(_, text)| glob(pattern, text))
        }
        ([b'?', rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([b'\\', c, rest @ ..] | [c, rest @ ..], [d, text @ ..]) => c == d && glob(rest, text),
        _ => pattern.is_empty() && text.is_empty(),
    }
}

#[cfg(all(test, unix, feature = "test-util"))]
#[path = "memory_tests.rs"]
mod tests;
