//! Replies of Redis as plain types.

use hitrate_cache::redis::{Refusal, Value};

/// The reply of one command, or Redis's own words against it.
pub type Reply = Result<Value, Refusal>;

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
    fn pairs_are_two_by_two_and_an_odd_one_is_left() {
        let reply = Ok(Value::Array(vec![bulk("a"), bulk("1"), bulk("b")]));
        assert_eq!(pairs(&reply), [("a".to_owned(), "1".to_owned())]);
        assert!(pairs(&Ok(Value::Nil)).is_empty());
    }
}
