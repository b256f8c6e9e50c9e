//! Commands and replies as text, in the style of redis-cli.

use std::fmt::Write as _;

use redis::{Arg, Cmd, Value};

use crate::{
    redis::{error::RedisError, script::Script},
    trace::{push_shortened, push_shortened_bytes},
};

/// Characters shown of an argument or reply.
const MAX_ARG_CHARS: usize = 96;
/// Arguments shown of a command.
const MAX_ARGS: usize = 40;
/// Elements shown of an array reply.
const MAX_ELEMENTS: usize = 8;
/// Initial capacity of a line: most never grow.
const LINE_CAPACITY: usize = 192;

/// Formats a command, such as `SET hitrate:profile:123 "{…}" PX 300000`. A script
/// is shown by its first line.
pub fn command(cmd: &Cmd, script: Option<&Script>) -> String {
    let mut line = String::with_capacity(LINE_CAPACITY);
    for (n, arg) in cmd.args_iter().take(MAX_ARGS).enumerate() {
        if n > 0 {
            line.push(' ');
        }
        match (arg, script) {
            (Arg::Simple(_), Some(script)) if n == 1 => push_summary(&mut line, script),
            (Arg::Simple(bytes), _) => push_arg(&mut line, bytes),
            _ => line.push('0'),
        }
    }
    let more = cmd.args_iter().skip(MAX_ARGS).count();
    if more > 0 {
        line.push_str(&format!(" … and {more} more arguments"));
    }
    line
}

fn push_summary(line: &mut String, script: &Script) {
    line.push('\'');
    push_text(line, script.summary().as_bytes());
    line.push_str(" …'");
}

fn push_arg(line: &mut String, bytes: &[u8]) {
    // Checks the start without a branch per byte: most arguments end there.
    let (start, rest) = bytes.split_at(bytes.len().min(MAX_ARG_CHARS));
    let is_plain = |byte: &u8| PLAIN[usize::from(*byte)];
    let starts_plain = start.iter().fold(!start.is_empty(), |all, byte| all & is_plain(byte));
    match str::from_utf8(start) {
        Ok(start) if starts_plain && rest.iter().all(is_plain) => {
            line.push_str(start);
            line.push_str(if rest.is_empty() { "" } else { "…" });
        }
        _ => push_quoted(line, bytes),
    }
}

/// Bytes that need no quotes.
const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], b'!');
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'"' | b'\'' | b'\\');
        byte += 1;
    }
    plain
};

fn push_quoted(line: &mut String, bytes: &[u8]) {
    line.push('\'');
    push_text(line, bytes);
    line.push('\'');
}

fn push_text(line: &mut String, bytes: &[u8]) {
    push_shortened_bytes(line, bytes, MAX_ARG_CHARS);
}

/// Formats a reply or error: `(integer) 1`, `OK`, `(nil)`, `'{…}'`.
pub fn reply(reply: &Result<Value, RedisError>) -> String {
    match reply {
        Ok(value) => self::value(value),
        Err(error) => format!("(error) {error}"),
    }
}

/// Formats a value.
pub fn value(value: &Value) -> String {
    let mut line = String::with_capacity(LINE_CAPACITY);
    push_value(&mut line, value);
    line
}

fn push_value(line: &mut String, value: &Value) {
    match value {
        Value::Nil => line.push_str("(nil)"),
        Value::Int(number) => {
            let _ = write!(line, "(integer) {number}");
        }
        Value::Okay => line.push_str("OK"),
        Value::SimpleString(text) => push_shortened(line, text, MAX_ARG_CHARS),
        Value::BulkString(bytes) => push_quoted(line, bytes),
        Value::Array(parts) | Value::Set(parts) => push_array(line, parts),
        other => push_shortened(line, &format!("{other:?}"), MAX_ARG_CHARS),
    }
}

fn push_array(line: &mut String, parts: &[Value]) {
    line.push('[');
    for (n, part) in parts.iter().take(MAX_ELEMENTS).enumerate() {
        line.push_str(if n > 0 { ", " } else { "" });
        push_value(line, part);
    }
    line.push_str(if parts.len() > MAX_ELEMENTS { ", …]" } else { "]" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut set = redis::cmd("SET");
        set.arg("k").arg(r#"{"a":1}"#).arg("PX").arg(300);
        assert_eq!(command(&set, None), r#"SET k '{"a":1}' PX 300"#);
    }

    #[test]
    fn a_script_is_shown_by_its_first_line() {
        static SCRIPT: Script = Script::new("-- adds one\nreturn redis.call('INCR', KEYS[1])");
        let call = SCRIPT.evalsha(&["k".to_owned()]);
        assert_eq!(command(&call, Some(&SCRIPT)), "EVALSHA '-- adds one …' 1 k");
    }

    #[test]
    fn a_long_command_is_truncated() {
        let mut add = redis::cmd("SADD");
        add.arg("k").arg((0..1_000).collect::<Vec<_>>());
        assert!(
            command(&add, None).ends_with(" 37 … and 962 more arguments"),
            "{}",
            command(&add, None)
        );
    }

    #[test]
    fn a_long_value_is_truncated() {
        let value = Value::BulkString(vec![b'x'; 500]);
        assert_eq!(reply(&Ok(value)).chars().count(), MAX_ARG_CHARS + 3);
    }
}
