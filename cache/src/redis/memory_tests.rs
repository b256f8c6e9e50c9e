//! The server in memory against Redis and the scripts in Lua: any commands have the same
//! replies and leave the same keys.

use std::{sync::Arc, time::Duration};

use proptest::{prelude::*, test_runner::TestRunner};
use redis::cmd;

use super::*;
use crate::{
    redis::{Address, Client, Command, HealthMonitor},
    test_util::TestRedis,
    time::now_ms,
    trace::Trace,
};

/// An hour, in microseconds: times differ by far more than the test takes.
const HOUR: u64 = 3_600_000_000;
const KEYS: [&str; 4] = ["cell:1", "cell:2", "edited:{cell:1}", "tags:t"];

/// A time relative to the start of the test, in hours. Loads and writes begin an hour away
/// from what the servers do now.
type Hours = i64;

/// A command that a cache sends.
#[derive(Debug, Clone)]
enum Step {
    /// Something under a key that a script may find.
    Put(usize, Entry, u64),
    Fill {
        key: usize,
        entry: Entry,
        ttl: u64,
        since: Hours,
        unusable: Option<Entry>,
    },
    Invalidate {
        key: usize,
        version: i64,
        tombstone_ttl: u64,
        edited_ttl: u64,
        alone: bool,
    },
    WouldInvalidate(usize),
    StoreWritten {
        key: usize,
        began: Hours,
        ttl: u64,
    },
    NextGeneration(u64),
    TagGeneration(Hours, u64),
    SetNx(usize, u64),
    Renew(usize, u64),
    Release(usize),
    Unlink(usize),
    Strlen(usize),
    Scan(usize),
}

/// What stands under a key.
#[derive(Debug, Clone)]
enum Entry {
    Versioned(u64),
    Timed(Hours),
    Tombstone(u64, Option<Hours>, bool),
    Edited(u64, Option<Hours>),
    Token(u64),
    Text(&'static str),
}

/// The start of the test, in microseconds since 1970.
#[derive(Clone, Copy)]
struct Start(u64);

impl Start {
    fn time(self, hours: Hours) -> u64 {
        self.0.saturating_add_signed(hours * HOUR.cast_signed())
    }

    fn bytes(self, entry: &Entry) -> String {
        match entry {
            Entry::Versioned(version) => format!("{{\"version\":{version},\"ttl\":9}}\nx"),
            Entry::Timed(at) => format!("{{\"version\":0,\"at\":{},\"ttl\":9}}\nx", self.time(*at)),
            Entry::Tombstone(version, None, _) => {
                format!("{{\"version\":{version},\"gone\":true}}")
            }
            Entry::Tombstone(version, Some(at), is_written) => {
                let written = if *is_written { ",\"written\":true" } else { "" };
                let at = self.time(*at);
                format!("{{\"version\":{version},\"gone\":true,\"at\":{at}{written}}}")
            }
            Entry::Edited(floor, None) => floor.to_string(),
            Entry::Edited(floor, Some(at)) => format!("{floor}:{}", self.time(*at)),
            Entry::Token(token) => token.to_string(),
            Entry::Text(text) => (*text).to_owned(),
        }
    }

    fn command(self, step: &Step) -> Command {
        let script = |script, keys: &[&str]| Command::script(script, keys);
        let raw = |words: &[&str]| Command::raw(words);
        match step {
            Step::Put(key, entry, ttl) => {
                raw(&["SET", KEYS[*key], &self.bytes(entry), "PX", &ttl.to_string()])
            }
            Step::Fill { key, entry, ttl, since, unusable } => {
                let version = match entry {
                    Entry::Versioned(version) => *version,
                    _ => 0,
                };
                let fill = script(&scripts::FILL, &[KEYS[*key]]).arg(version);
                let fill = fill.arg(self.bytes(entry)).arg(*ttl).arg(self.time(*since));
                let fill = fill.arg(90 * 60_000);
                match unusable.as_ref().map(|entry| self.bytes(entry)) {
                    Some(bytes) => fill.arg(bytes.len()).arg(&bytes[..bytes.len().min(128)]),
                    None => fill,
                }
            }
            Step::Invalidate { key, version, tombstone_ttl, edited_ttl, alone } => {
                let keys = [KEYS[*key], KEYS[2], "clock:{cell:1}"];
                let keys = if *alone { &keys[..1] } else { &keys[..] };
                let invalidate = script(&scripts::INVALIDATE, keys).arg(*version);
                let edited_ttl = if *alone { 0 } else { *edited_ttl };
                invalidate.arg(*tombstone_ttl).arg(0).arg(edited_ttl).arg(60_000)
            }
            Step::WouldInvalidate(key) => script(&scripts::WOULD_INVALIDATE, &[KEYS[*key]]),
            Step::StoreWritten { key, began, ttl } => {
                let store = script(&scripts::STORE_WRITTEN, &[KEYS[*key], KEYS[2]]);
                let store = store.arg(self.time(*began)).arg("\"ttl\":9}\nx");
                store.arg(*ttl).arg(70_000).arg(80_000)
            }
            Step::NextGeneration(ttl) => script(&scripts::NEXT_GENERATION, &[KEYS[3]]).arg(*ttl),
            Step::TagGeneration(since, ttl) => {
                script(&scripts::TAG_GENERATION, &[KEYS[3]]).arg(self.time(*since)).arg(*ttl)
            }
            Step::SetNx(key, token) => {
                raw(&["SET", KEYS[*key], &token.to_string(), "NX", "PX", "50000"])
            }
            Step::Renew(key, token) => {
                script(&scripts::RENEW, &[KEYS[*key]]).arg(*token).arg(90_000)
            }
            Step::Release(key) => script(&scripts::RELEASE, &[KEYS[*key]]).arg(7),
            Step::Unlink(key) => raw(&["UNLINK", KEYS[*key]]),
            Step::Strlen(key) => raw(&["STRLEN", KEYS[*key]]),
            Step::Scan(pattern) => {
                let pattern = ["*", "cell:?", "edited:{*}", "tags\\:t"][*pattern];
                raw(&["SCAN", "0", "MATCH", pattern, "COUNT", "500"])
            }
        }
    }
}

fn entries() -> impl Strategy<Value = Entry> {
    let hours = -2..3_i64;
    prop_oneof![
        (0..6_u64).prop_map(Entry::Versioned),
        hours.clone().prop_map(Entry::Timed),
        (0..6_u64, proptest::option::of(hours.clone()), any::<bool>())
            .prop_map(|(version, at, is_written)| Entry::Tombstone(version, at, is_written)),
        (0..6_u64, proptest::option::of(hours)).prop_map(|(floor, at)| Entry::Edited(floor, at)),
        (6..9_u64).prop_map(Entry::Token),
        prop_oneof![
            Just(""),
            Just("{\"version\":"),
            Just("{\"version\":3"),
            Just("{\"version\":3}"),
            Just("{\"version\":x,\"at\":1}"),
            Just("\"gone\":true}"),
            Just("no entry"),
        ]
        .prop_map(Entry::Text),
    ]
}

/// An entry that a cache would store.
fn new_entries() -> impl Strategy<Value = (Entry, Hours)> {
    prop_oneof![
        (1..6_u64, begins()).prop_map(|(version, since)| (Entry::Versioned(version), since)),
        begins().prop_map(|since| (Entry::Timed(since), since)),
    ]
}

fn begins() -> impl Strategy<Value = Hours> {
    prop_oneof![Just(-2), Just(-1), Just(1)]
}

fn steps() -> impl Strategy<Value = Step> {
    let (copies, keys, ttls) = (0..2_usize, 0..4_usize, 100_000..500_000_u64);
    prop_oneof![
        4 => (keys.clone(), entries(), ttls.clone())
            .prop_map(|(key, entry, ttl)| Step::Put(key, entry, ttl)),
        4 => (copies.clone(), new_entries(), ttls.clone(), proptest::option::of(entries())).prop_map(
            |(key, (entry, since), ttl, unusable)| Step::Fill { key, entry, ttl, since, unusable }
        ),
        4 => (copies.clone(), -1..6_i64, prop_oneof![Just(0), Just(70_000)], prop_oneof![Just(0), Just(90_000)], any::<bool>())
            .prop_map(|(key, version, tombstone_ttl, edited_ttl, alone)| {
                Step::Invalidate { key, version, tombstone_ttl, edited_ttl, alone }
            }),
        1 => copies.clone().prop_map(Step::WouldInvalidate),
        3 => (copies, begins(), ttls.clone())
            .prop_map(|(key, began, ttl)| Step::StoreWritten { key, began, ttl }),
        1 => prop_oneof![Just(0), Just(60_000)].prop_map(Step::NextGeneration),
        2 => (begins(), ttls).prop_map(|(since, ttl)| Step::TagGeneration(since, ttl)),
        1 => (keys.clone(), 6..9_u64).prop_map(|(key, token)| Step::SetNx(key, token)),
        1 => (keys.clone(), 6..9_u64).prop_map(|(key, token)| Step::Renew(key, token)),
        1 => keys.clone().prop_map(Step::Release),
        1 => keys.clone().prop_map(Step::Unlink),
        1 => keys.prop_map(Step::Strlen),
        1 => (0..4_usize).prop_map(Step::Scan),
    ]
}

/// A reply with each time of today replaced by its distance from the start, in hours.
fn normalised(start: Start, reply: &Value) -> String {
    let bytes = match reply {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(parts) => {
            let mut parts: Vec<_> = parts.iter().map(|part| normalised(start, part)).collect();
            // SCAN has no order.
            parts.sort();
            return format!("{parts:?}");
        }
        other => return format!("{other:?}"),
    };
    let (mut text, mut rest) = (String::new(), bytes.as_str());
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[at..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| at + end);
        text.push_str(&rest[..at]);
        let number: u64 = rest[at..end].parse().unwrap_or_default();
        match number.abs_diff(start.0) < 10 * HOUR {
            true => {
                let hours = (number as f64 - start.0 as f64) / HOUR as f64;
                text.push_str(&format!("<{} h>", hours.round()));
            }
            false => text.push_str(&number.to_string()),
        }
        rest = &rest[end..];
    }
    text + rest
}

/// All keys and their TTLs, to ten seconds.
async fn keyspace(
    redis: &Client,
    memory: &MemoryServer,
    now: u64,
    start: Start,
) -> [Vec<String>; 2] {
    let (mut there, mut here) = (Vec::new(), Vec::new());
    for key in KEYS {
        let (trace, read) = (Trace::disabled(), |verb: &str| Command::raw(&[verb, key]));
        let value: Value = redis.run(read("GET"), &trace).await.expect("Redis replies");
        let left: i64 = redis.run(read("PTTL"), &trace).await.expect("Redis replies");
        let ttl = |left: i64| (left + 5_000).div_euclid(10_000);
        there.push(format!("{key}: {} for {}", normalised(start, &value), ttl(left)));
        let value = memory.execute(cmd("GET").arg(key), now);
        let keys = memory.0.lock().expect("no command panics");
        let until = keys
            .get(key)
            .map(|it| it.expires_at.map_or(-1, |at| (at.cast_signed() - now.cast_signed()) / 1000));
        here.push(format!("{key}: {} for {}", normalised(start, &value), ttl(until.unwrap_or(-2))));
    }
    [there, here]
}

#[test]
fn any_commands_have_the_same_replies_and_leave_the_same_keys() {
    let (server, runtime) = (
        TestRedis::start().unwrap(),
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
    );
    let redis = runtime.block_on(async {
        let address = Address::unix(server.socket());
        let client = Client::open(&address, "", &Arc::new(HealthMonitor::default()));
        client.ready(Duration::from_secs(5)).await.unwrap();
        client
    });
    let config =
        ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() };
    let sequences = proptest::collection::vec(steps(), 1..25);
    TestRunner::new(config)
        .run(&sequences, |steps| {
            server.flush();
            let (start, memory) = (Start(now_ms() * 1000), MemoryServer::default());
            for step in &steps {
                let there: Value = runtime
                    .block_on(redis.run(start.command(step), &Trace::disabled()))
                    .map_err(|error| TestCaseError::fail(format!("{step:?}: {error}")))?;
                let now = now_ms() * 1000;
                let here = memory.execute(&start.command(step).cmd, now);
                prop_assert_eq!(normalised(start, &there), normalised(start, &here), "{:?}", step);
                let [there, here] = runtime.block_on(keyspace(&redis, &memory, now, start));
                prop_assert_eq!(there, here, "after {:?}", step);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn keys_expire() {
    let memory = MemoryServer::default();
    let set = cmd("SET").arg("k").arg("v").arg("PX").arg(5).to_owned();
    memory.execute(&set, 1_000_000);
    assert_eq!(memory.execute(cmd("GET").arg("k"), 1_004_999), bulk(b"v"));
    assert_eq!(memory.execute(cmd("GET").arg("k"), 1_005_000), Value::Nil);
    let nx = cmd("SET").arg("k").arg("w").arg("NX").to_owned();
    assert_eq!(memory.execute(&nx, 1_005_000), Value::Okay);
    assert_eq!(memory.execute(&nx, 1_005_001), Value::Nil);
}
