//! A reply as redis-cli prints it on a terminal.

use hitrate_cache::redis::{Refusal, Value};

use super::words::quoted;

/// The most bytes of a printed reply; what is longer is cut, and says so.
pub const REPLY_MAX: usize = 16 * 1024;

/// `(integer) 1`, `"text"`, `(nil)`, `1) "a"`, `(error) …`.
pub fn printed(reply: &Result<Value, Refusal>) -> String {
    let mut text = String::new();
    match reply {
        Ok(value) => print(value, 0, &mut text),
        Err(refusal) => text = format!("(error) {refusal}"),
    }
    cut(text)
}

/// Adds a value, of which the first line begins where the text ends; the others
/// are indented. (`cliFormatReplyTTY` in Redis.)
fn print(value: &Value, indent: usize, text: &mut String) {
    if text.len() > REPLY_MAX {
        return;
    }
    match value {
        Value::Nil => text.push_str("(nil)"),
        Value::Int(number) => text.push_str(&format!("(integer) {number}")),
        Value::Okay => text.push_str("OK"),
        Value::SimpleString(status) => text.push_str(status),
        Value::BulkString(bytes) => text.push_str(&quoted(&bytes[..bytes.len().min(REPLY_MAX)])),
        Value::Array(parts) | Value::Set(parts) => print_all(parts, indent, text),
        Value::ServerError(error) => {
            let details = error.details().unwrap_or_default();
            text.push_str(&format!("(error) {} {details}", error.code()));
        }
        other => text.push_str(&format!("{other:?}")),
    }
}

fn print_all(parts: &[Value], indent: usize, text: &mut String) {
    if parts.is_empty() {
        return text.push_str("(empty array)");
    }
    let digits = parts.len().to_string().len();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            text.push_str(&format!("\n{:indent$}", ""));
        }
        text.push_str(&format!("{:>digits$}) ", n + 1));
        print(part, indent + digits + 2, text);
        if text.len() > REPLY_MAX {
            return;
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > REPLY_MAX {
        text.truncate(text.floor_char_boundary(REPLY_MAX));
        text.push_str(&format!("\n… cut here: the page shows {} KiB of a reply", REPLY_MAX / 1024));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn shown(value: Value) -> String {
        printed(&Ok(value))
    }

    #[test]
    fn replies_read_as_in_redis_cli() {
        assert_eq!(shown(Value::Okay), "OK");
        assert_eq!(shown(Value::SimpleString("PONG".into())), "PONG");
        assert_eq!(shown(Value::Int(-2)), "(integer) -2");
        assert_eq!(shown(Value::Nil), "(nil)");
        assert_eq!(shown(bulk("a \"b\"\n")), r#""a \"b\"\n""#);
        assert_eq!(shown(bulk("ü")), r#""\xc3\xbc""#);
        assert_eq!(shown(Value::Array(vec![])), "(empty array)");
        assert_eq!(shown(Value::Array(vec![bulk("a"), Value::Nil])), "1) \"a\"\n2) (nil)");
    }

    #[test]
    fn what_is_nested_is_indented_and_numbers_line_up() {
        let inner = Value::Array(vec![bulk("id"), Value::Array(vec![bulk("k"), bulk("v")])]);
        assert_eq!(
            shown(Value::Array(vec![inner])),
            "1) 1) \"id\"\n   2) 1) \"k\"\n      2) \"v\""
        );
        let ten = shown(Value::Array((1..=10).map(Value::Int).collect()));
        assert!(ten.starts_with(" 1) (integer) 1\n 2)") && ten.ends_with("\n10) (integer) 10"));
    }

    #[test]
    fn a_long_reply_is_cut() {
        for long in [bulk(&"ü".repeat(REPLY_MAX)), Value::Array(vec![Value::Nil; 100_000])] {
            let text = shown(long);
            assert!(text.len() < REPLY_MAX + 100 && text.contains("cut here"));
        }
    }
}
