//! What Redis answered: as a person reads it, and as plain types.

use hitrate_cache::{
    redis::{Refusal, Value},
    trace::shortened,
};

/// The reply of one command, or Redis's own words against it.
pub type Reply = Result<Value, Refusal>;

/// A text shows at most this many characters.
const TEXT: usize = 200;
/// A reply shows at most this many lines.
const LINES: usize = 40;

/// A reply the way redis-cli prints it, cut where it is long.
pub fn printed(value: &Value) -> String {
    let mut lines = Vec::new();
    print(value, "", &mut lines);
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    if more > 0 {
        lines.push(format!("… and {more} lines more"));
    }
    lines.join("\n")
}

fn print(value: &Value, before: &str, lines: &mut Vec<String>) {
    if let Some(parts) = parts(value).filter(|parts| !parts.is_empty()) {
        let width = parts.len().to_string().len();
        for (n, part) in parts.iter().enumerate() {
            let number = format!("{:>width$}) ", n + 1);
            let indent = if n == 0 { before.to_owned() } else { " ".repeat(before.len()) };
            print(part, &(indent + &number), lines);
        }
        return;
    }
    lines.push(format!("{before}{}", scalar(value)));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Nil => "(nil)".to_owned(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) => shortened(text, TEXT),
        Value::BulkString(bytes) => {
            let text = shortened(&String::from_utf8_lossy(bytes), TEXT);
            format!("\"{}\"", text.replace('"', "\\\""))
        }
        Value::Array(_) | Value::Set(_) => "(empty array)".to_owned(),
        other => shortened(&format!("{other:?}"), TEXT),
    }
}

/// The parts of a reply that has parts.
pub fn parts(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(parts) | Value::Set(parts) => Some(parts),
        _ => None,
    }
}

/// A text, as far as it is one.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

/// Bytes, as they are.
pub fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        _ => &[],
    }
}

/// A count: what is there, or 0.
pub fn count(reply: &Reply) -> u64 {
    match reply {
        Ok(Value::Int(number)) => u64::try_from(*number).unwrap_or_default(),
        _ => 0,
    }
}

/// The texts of a reply with parts.
pub fn texts(reply: &Reply) -> Vec<String> {
    let all = reply.as_ref().ok().and_then(parts).unwrap_or_default();
    all.iter().filter_map(text).collect()
}

/// The same, two by two.
pub fn pairs(reply: &Reply) -> Vec<(String, String)> {
    let mut texts = texts(reply).into_iter();
    std::iter::from_fn(|| Some((texts.next()?, texts.next()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_reply_reads_as_in_redis_cli() {
        assert_eq!(printed(&Value::Int(3)), "(integer) 3");
        assert_eq!(printed(&Value::Nil), "(nil)");
        assert_eq!(printed(&bulk("a\"b")), "\"a\\\"b\"");
        assert_eq!(printed(&Value::Array(vec![])), "(empty array)");
        let entry = Value::Array(vec![bulk("1-0"), Value::Array(vec![bulk("a"), bulk("1")])]);
        let printed = printed(&Value::Array(vec![entry.clone(), entry]));
        assert_eq!(
            printed,
            "1) 1) \"1-0\"\n   2) 1) \"a\"\n      2) \"1\"\n2) 1) \"1-0\"\n   2) 1) \"a\"\n      2) \"1\""
        );
    }

    #[test]
    fn a_long_reply_is_cut() {
        let long = printed(&Value::Array(vec![Value::Nil; 100]));
        assert_eq!(long.lines().count(), LINES + 1);
        assert!(long.ends_with("… and 60 lines more"));
    }

    #[test]
    fn pairs_are_two_by_two_and_an_odd_one_is_left() {
        let reply = Ok(Value::Array(vec![bulk("a"), bulk("1"), bulk("b")]));
        assert_eq!(pairs(&reply), [("a".to_owned(), "1".to_owned())]);
        assert!(pairs(&Ok(Value::Nil)).is_empty());
    }
}
