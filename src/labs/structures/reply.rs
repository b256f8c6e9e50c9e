//! Conversion of Redis replies to plain types.

use hitrate_cache::redis::{Refusal, Value};

/// The reply of one command, or its error reply.
pub type CommandReply = Result<Value, Refusal>;

/// The elements of an array or set reply.
pub fn parts(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(parts) | Value::Set(parts) => Some(parts),
        _ => None,
    }
}

/// A reply as text, if it is a scalar.
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

/// The bytes of a bulk string; empty for other replies.
pub fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        _ => &[],
    }
}

/// An integer reply as a count; 0 for other replies.
pub fn count(reply: &CommandReply) -> u64 {
    match reply {
        Ok(Value::Int(number)) => u64::try_from(*number).unwrap_or_default(),
        _ => 0,
    }
}

/// The elements of a reply as texts.
pub fn texts(reply: &CommandReply) -> Vec<String> {
    let all = reply.as_ref().ok().and_then(parts).unwrap_or_default();
    all.iter().filter_map(text).collect()
}

/// The elements of a reply as pairs.
pub fn pairs(reply: &CommandReply) -> Vec<(String, String)> {
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
    fn an_odd_last_element_is_ignored() {
        let reply = Ok(Value::Array(vec![bulk("a"), bulk("1"), bulk("b")]));
        assert_eq!(pairs(&reply), [("a".to_owned(), "1".to_owned())]);
        assert!(pairs(&Ok(Value::Nil)).is_empty());
    }
}
