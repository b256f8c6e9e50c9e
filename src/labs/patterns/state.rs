//! What a visitor's keys hold at the moment, whatever their types.

use hitrate_cache::{
    redis::{Command, RedisError, Refusal, Value, typed},
    trace::shortened,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::play::ActionContext;

/// The most parts of one value that are shown.
const PARTS: isize = 10;
/// The most characters of one part.
const WORD: usize = 120;
/// The most bytes of a string that are read.
const BYTES: isize = 512;

/// A key and what is in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StoredKey {
    /// As the documents call it.
    pub name: String,
    /// As Redis knows it.
    pub key: String,
    /// Redis's word for its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Milliseconds until it ends; null when it never does.
    pub ttl_ms: Option<u64>,
    /// What it takes, by MEMORY USAGE, in bytes; null where Redis does not tell.
    pub bytes: Option<u64>,
    /// How many parts it has; of a string, its bytes.
    pub length: u64,
    /// A string, as far as it is text.
    pub text: Option<String>,
    /// The first parts of anything else.
    pub items: Vec<Item>,
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Item {
    /// A field, a member with a score, the id of a stream's entry; null in a
    /// list or a set.
    pub name: Option<String>,
    /// What is there.
    pub value: String,
    /// A score's part of the highest, 0 to 1.
    pub share: Option<f64>,
}

impl StoredKey {
    /// Seconds until it ends, as a person counts them down.
    pub fn seconds_left(&self) -> Option<u64> {
        self.ttl_ms.map(|ms| ms.div_ceil(1_000))
    }

    /// The word for its type.
    pub fn kind_name(&self) -> &str {
        if self.kind == "zset" { "sorted set" } else { &self.kind }
    }

    /// What its parts are called, one and many.
    pub fn part_names(&self) -> (&'static str, &'static str) {
        match self.kind.as_str() {
            "hash" => ("field", "fields"),
            "list" => ("element", "elements"),
            "stream" => ("entry", "entries"),
            _ => ("member", "members"),
        }
    }

    /// Parts that are not shown.
    pub fn more(&self) -> u64 {
        self.length.saturating_sub(self.items.len() as u64)
    }
}

impl Item {
    /// Its share in per cent.
    pub fn percent(&self) -> Option<f64> {
        self.share.map(|share| (share * 1_000.0).round() / 10.0)
    }
}

/// What is known of a key before its value is read.
struct Head {
    name: String,
    kind: String,
    ttl_ms: Option<u64>,
    bytes: Option<u64>,
}

/// All that the visitor has at this pattern, by name.
pub async fn of(play: &ActionContext) -> Result<Vec<StoredKey>, RedisError> {
    let mut names = play.names().await?;
    names.sort();
    let heads = heads(play, names).await?;
    let questions: Vec<[Command; 2]> = heads.iter().map(|head| questions(play, head)).collect();
    let replies = play.try_all(questions.into_iter().flatten().collect()).await?;
    let pairs = replies.chunks(2).zip(heads);
    Ok(pairs.map(|(replies, head)| entry(play, head, replies)).collect())
}

async fn heads(play: &ActionContext, names: Vec<String>) -> Result<Vec<Head>, RedisError> {
    let ask = |name: &String| {
        let (store, key) = (play.store(), play.peek(name));
        let memory = store.command("MEMORY").arg("USAGE").arg(store.full_key(&key));
        [store.on("TYPE", &key), store.on("PTTL", &key), memory]
    };
    let replies = play.try_all(names.iter().flat_map(ask).collect()).await?;
    let heads = replies.chunks(3).zip(names).map(|(replies, name)| Head {
        name,
        kind: told(&replies[0]).unwrap_or_default(),
        ttl_ms: told::<i64>(&replies[1]).and_then(|ttl| u64::try_from(ttl).ok()),
        bytes: told(&replies[2]),
    });
    Ok(heads.filter(|head| !matches!(head.kind.as_str(), "" | "none")).collect())
}

/// How much there is, and the first of it.
fn questions(play: &ActionContext, head: &Head) -> [Command; 2] {
    let (store, key) = (play.store(), play.peek(&head.name));
    let read = |verb| store.on(verb, &key);
    match head.kind.as_str() {
        "hash" => [read("HLEN"), read("HSCAN").arg(0).arg("COUNT").arg(100)],
        "list" => [read("LLEN"), read("LRANGE").arg(0).arg(PARTS - 1)],
        "set" => [read("SCARD"), read("SRANDMEMBER").arg(PARTS)],
        "zset" => {
            [read("ZCARD"), read("ZRANGE").arg(0).arg(PARTS - 1).arg("REV").arg("WITHSCORES")]
        }
        "stream" => [read("XLEN"), read("XREVRANGE").arg("+").arg("-").arg("COUNT").arg(PARTS)],
        _ => [read("STRLEN"), read("GETRANGE").arg(0).arg(BYTES - 1)],
    }
}

fn entry(play: &ActionContext, head: Head, replies: &[Result<Value, Refusal>]) -> StoredKey {
    let key = play.store().full_key(&play.peek(&head.name));
    let (text, items) = match head.kind.as_str() {
        "hash" => (None, told(&replies[1]).map_or_else(Vec::new, |(_, it): (Value, _)| pairs(it))),
        "zset" => (None, told(&replies[1]).map_or_else(Vec::new, ranked)),
        "stream" => (None, told(&replies[1]).map_or_else(Vec::new, logged)),
        "list" | "set" => (None, told(&replies[1]).map_or_else(Vec::new, members)),
        _ => (told(&replies[1]).and_then(readable), Vec::new()),
    };
    let length = told(&replies[0]).unwrap_or_default();
    let Head { name, kind, ttl_ms, bytes } = head;
    StoredKey { name, key, kind, ttl_ms, bytes, length, text, items }
}

fn told<T: hitrate_cache::redis::FromRedisValue>(reply: &Result<Value, Refusal>) -> Option<T> {
    typed(reply.as_ref().ok()?.clone()).ok()
}

/// A string of bytes as text; none where it is none.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then(|| shortened(&text, BYTES.unsigned_abs()))
}

fn pairs(mut fields: Vec<(String, String)>) -> Vec<Item> {
    fields.sort();
    let item = |(name, value): &(String, String)| named(name, value, None);
    fields.iter().take(PARTS.unsigned_abs()).map(item).collect()
}

fn ranked(members: Vec<(String, f64)>) -> Vec<Item> {
    let max = members.first().map_or(1.0, |(_, score)| score.max(f64::MIN_POSITIVE));
    let share = |score: f64| (score / max).clamp(0.0, 1.0);
    let item = |(name, score): &(String, f64)| named(name, &rounded(*score), Some(share(*score)));
    members.iter().map(item).collect()
}

fn logged(entries: Vec<(String, Vec<(String, String)>)>) -> Vec<Item> {
    let told = |fields: &[(String, String)]| {
        fields
            .iter()
            .map(|(field, value)| format!("{field} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    entries.iter().map(|(id, fields)| named(id, &told(fields), None)).collect()
}

fn members(members: Vec<String>) -> Vec<Item> {
    let item = |value: &String| Item { name: None, value: shortened(value, WORD), share: None };
    members.iter().map(item).collect()
}

fn named(name: &str, value: &str, share: Option<f64>) -> Item {
    Item { name: Some(shortened(name, WORD)), value: shortened(value, WORD), share }
}

/// `12`, `1.5`, `0.38`
pub fn rounded(score: f64) -> String {
    let text = format!("{score:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_is_measured_by_its_first() {
        let items = ranked(vec![("a".into(), 4.0), ("b".into(), 1.5), ("c".into(), -2.0)]);
        let shares: Vec<_> = items.iter().map(|it| it.share.unwrap()).collect();
        assert_eq!(shares, [1.0, 0.375, 0.0]);
        assert_eq!(items[1].value, "1.5");
        assert!(ranked(vec![]).is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_not_shown_as_one() {
        assert_eq!(readable(b"HYLL\x01\0".to_vec()), None);
        assert_eq!(readable(vec![0xff]), None);
        assert_eq!(readable(b"{\"a\":1}".to_vec()).as_deref(), Some("{\"a\":1}"));
    }

    #[test]
    fn a_score_has_no_needless_zeros() {
        assert_eq!([rounded(12.0), rounded(1.5), rounded(0.375)], ["12", "1.5", "0.38"]);
        assert_eq!(rounded(100.0), "100");
    }
}
