//! The current content of a visitor's keys, of any type.

use hitrate_cache::{
    redis::{Command, RedisError, Refusal, Value, typed},
    trace::shortened,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::action_context::ActionContext;

/// Maximum number of elements shown per value.
const ITEMS_MAX: isize = 10;
/// Maximum length of a displayed element, in characters.
const TEXT_MAX: usize = 120;
/// Maximum number of bytes read of a string.
const STRING_MAX: isize = 512;

/// A key and its content.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StoredKey {
    /// Its name in the tutorial.
    pub name: String,
    /// Its full name in Redis.
    pub key: String,
    /// Its type, by TYPE.
    #[serde(rename = "type")]
    pub kind: String,
    /// TTL in milliseconds; null if it does not expire.
    pub ttl_ms: Option<u64>,
    /// Memory in bytes, by MEMORY USAGE; null if Redis does not return it.
    pub bytes: Option<u64>,
    /// Number of elements; for a string, its length in bytes.
    pub length: u64,
    /// The value of a string, if it is text.
    pub text: Option<String>,
    /// The first elements of other types.
    pub items: Vec<ValueItem>,
}

/// An element of a value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ValueItem {
    /// The field, the member with a score, or the id of a stream entry; null in a list or
    /// a set.
    pub name: Option<String>,
    /// The value.
    pub value: String,
    /// The score as a share of the highest, 0 to 1.
    pub share: Option<f64>,
}

impl StoredKey {
    /// TTL in seconds, rounded up for a countdown.
    pub fn seconds_left(&self) -> Option<u64> {
        self.ttl_ms.map(|ms| ms.div_ceil(1_000))
    }

    /// The name of its type.
    pub fn kind_name(&self) -> &str {
        if self.kind == "zset" { "sorted set" } else { &self.kind }
    }

    /// The name of its elements, singular and plural.
    pub fn part_names(&self) -> (&'static str, &'static str) {
        match self.kind.as_str() {
            "hash" => ("field", "fields"),
            "list" => ("element", "elements"),
            "stream" => ("entry", "entries"),
            _ => ("member", "members"),
        }
    }

    /// Number of elements not shown.
    pub fn more(&self) -> u64 {
        self.length.saturating_sub(self.items.len() as u64)
    }
}

impl ValueItem {
    /// The share in percent.
    pub fn percent(&self) -> Option<f64> {
        self.share.map(|share| (share * 1_000.0).round() / 10.0)
    }
}

/// The metadata of a key.
struct Head {
    name: String,
    kind: String,
    ttl_ms: Option<u64>,
    bytes: Option<u64>,
}

/// All of the visitor's keys at this pattern, by name.
pub async fn of(context: &ActionContext) -> Result<Vec<StoredKey>, RedisError> {
    let mut names = context.key_names().await?;
    names.sort();
    let heads = heads(context, names).await?;
    let read_commands: Vec<[Command; 2]> =
        heads.iter().map(|head| read_commands(context, head)).collect();
    let replies = context.pipeline_each(read_commands.into_iter().flatten().collect()).await?;
    let pairs = replies.chunks(2).zip(heads);
    Ok(pairs.map(|(replies, head)| entry(context, head, replies)).collect())
}

async fn heads(context: &ActionContext, names: Vec<String>) -> Result<Vec<Head>, RedisError> {
    let ask = |name: &String| {
        let (store, key) = (context.store(), context.read_key(name));
        let memory = store.command("MEMORY").arg("USAGE").arg(store.full_key(&key));
        [store.on("TYPE", &key), store.on("PTTL", &key), memory]
    };
    let replies = context.pipeline_each(names.iter().flat_map(ask).collect()).await?;
    let heads = replies.chunks(3).zip(names).map(|(replies, name)| Head {
        name,
        kind: decoded(&replies[0]).unwrap_or_default(),
        ttl_ms: decoded::<i64>(&replies[1]).and_then(|ttl| u64::try_from(ttl).ok()),
        bytes: decoded(&replies[2]),
    });
    Ok(heads.filter(|head| !matches!(head.kind.as_str(), "" | "none")).collect())
}

/// Commands that return the length and the first elements.
fn read_commands(context: &ActionContext, head: &Head) -> [Command; 2] {
    let (store, key) = (context.store(), context.read_key(&head.name));
    let read = |verb| store.on(verb, &key);
    match head.kind.as_str() {
        "hash" => [read("HLEN"), read("HSCAN").arg(0).arg("COUNT").arg(100)],
        "list" => [read("LLEN"), read("LRANGE").arg(0).arg(ITEMS_MAX - 1)],
        "set" => [read("SCARD"), read("SRANDMEMBER").arg(ITEMS_MAX)],
        "zset" => {
            [read("ZCARD"), read("ZRANGE").arg(0).arg(ITEMS_MAX - 1).arg("REV").arg("WITHSCORES")]
        }
        "stream" => [read("XLEN"), read("XREVRANGE").arg("+").arg("-").arg("COUNT").arg(ITEMS_MAX)],
        _ => [read("STRLEN"), read("GETRANGE").arg(0).arg(STRING_MAX - 1)],
    }
}

fn entry(context: &ActionContext, head: Head, replies: &[Result<Value, Refusal>]) -> StoredKey {
    let key = context.store().full_key(&context.read_key(&head.name));
    let (text, items) = match head.kind.as_str() {
        "hash" => {
            (None, decoded(&replies[1]).map_or_else(Vec::new, |(_, it): (Value, _)| pairs(it)))
        }
        "zset" => (None, decoded(&replies[1]).map_or_else(Vec::new, ranked_items)),
        "stream" => (None, decoded(&replies[1]).map_or_else(Vec::new, stream_items)),
        "list" | "set" => (None, decoded(&replies[1]).map_or_else(Vec::new, members)),
        _ => (decoded(&replies[1]).and_then(readable), Vec::new()),
    };
    let length = decoded(&replies[0]).unwrap_or_default();
    let Head { name, kind, ttl_ms, bytes } = head;
    StoredKey { name, key, kind, ttl_ms, bytes, length, text, items }
}

fn decoded<T: hitrate_cache::redis::FromRedisValue>(reply: &Result<Value, Refusal>) -> Option<T> {
    typed(reply.as_ref().ok()?.clone()).ok()
}

/// Bytes as text; none if they are not printable UTF-8.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then(|| shortened(&text, STRING_MAX.unsigned_abs()))
}

fn pairs(mut fields: Vec<(String, String)>) -> Vec<ValueItem> {
    fields.sort();
    let item = |(name, value): &(String, String)| named(name, value, None);
    fields.iter().take(ITEMS_MAX.unsigned_abs()).map(item).collect()
}

fn ranked_items(members: Vec<(String, f64)>) -> Vec<ValueItem> {
    let max = members.first().map_or(1.0, |(_, score)| score.max(f64::MIN_POSITIVE));
    let share = |score: f64| (score / max).clamp(0.0, 1.0);
    let item = |(name, score): &(String, f64)| named(name, &rounded(*score), Some(share(*score)));
    members.iter().map(item).collect()
}

fn stream_items(entries: Vec<(String, Vec<(String, String)>)>) -> Vec<ValueItem> {
    let joined = |fields: &[(String, String)]| {
        fields
            .iter()
            .map(|(field, value)| format!("{field} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    entries.iter().map(|(id, fields)| named(id, &joined(fields), None)).collect()
}

fn members(members: Vec<String>) -> Vec<ValueItem> {
    let item =
        |value: &String| ValueItem { name: None, value: shortened(value, TEXT_MAX), share: None };
    members.iter().map(item).collect()
}

fn named(name: &str, value: &str, share: Option<f64>) -> ValueItem {
    ValueItem { name: Some(shortened(name, TEXT_MAX)), value: shortened(value, TEXT_MAX), share }
}

/// A score with up to two decimals: `12`, `1.5`, `0.38`.
pub fn rounded(score: f64) -> String {
    let text = format!("{score:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_relative_to_the_highest_score() {
        let items = ranked_items(vec![("a".into(), 4.0), ("b".into(), 1.5), ("c".into(), -2.0)]);
        let shares: Vec<_> = items.iter().map(|it| it.share.unwrap()).collect();
        assert_eq!(shares, [1.0, 0.375, 0.0]);
        assert_eq!(items[1].value, "1.5");
        assert!(ranked_items(vec![]).is_empty());
    }

    #[test]
    fn binary_data_is_not_shown_as_text() {
        assert_eq!(readable(b"HYLL\x01\0".to_vec()), None);
        assert_eq!(readable(vec![0xff]), None);
        assert_eq!(readable(b"{\"a\":1}".to_vec()).as_deref(), Some("{\"a\":1}"));
    }

    #[test]
    fn a_score_has_no_trailing_zeros() {
        assert_eq!([rounded(12.0), rounded(1.5), rounded(0.375)], ["12", "1.5", "0.38"]);
        assert_eq!(rounded(100.0), "100");
    }
}
