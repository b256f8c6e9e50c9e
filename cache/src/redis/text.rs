//! Commands and replies as a person reads them, the way redis-cli prints them.

use std::fmt::Write as _;

use redis::{Arg, Cmd, Value};

use crate::{
    redis::{error::RedisError, script::Script},
    trace::{push_shortened, push_shortened_bytes},
};

/// One argument or reply shows at most this many characters.
const WORD: usize = 96;
/// A command shows at most this many of its words.
const WORDS: usize = 40;
/// A reply with parts shows at most this many of them.
const PARTS: usize = 8;
/// Room for most lines, so that they don't grow.
const LINE: usize = 192;

/// `SET hitrate:profile:123 "{…}" PX 300000`; a script by its first line, which
/// says what it does.
pub fn command(cmd: &Cmd, script: Option<&Script>) -> String {
    let mut line = String::with_capacity(LINE);
    for (n, arg) in cmd.args_iter().take(WORDS).enumerate() {
        if n > 0 {
            line.push(' ');
        }
        match (arg, script) {
            (Arg::Simple(_), Some(script)) if n == 1 => summary(&mut line, script),
            (Arg::Simple(bytes), _) => word(&mut line, bytes),
            _ => line.push('0'),
        }
    }
    let more = cmd.args_iter().skip(WORDS).count();
    if more > 0 {
        line.push_str(&format!(" … and {more} words more"));
    }
    line
}

fn summary(line: &mut String, script: &Script) {
    line.push('\'');
    push(line, script.summary().as_bytes());
    line.push_str(" …'");
}

fn word(line: &mut String, bytes: &[u8]) {
    // The start without a branch for each byte: most words end there.
    let (start, rest) = bytes.split_at(bytes.len().min(WORD));
    let is_plain = |byte: &u8| PLAIN[usize::from(*byte)];
    let starts_plain = start.iter().fold(!start.is_empty(), |all, byte| all & is_plain(byte));
    match str::from_utf8(start) {
        Ok(start) if starts_plain && rest.iter().all(is_plain) => {
            line.push_str(start);
            line.push_str(if rest.is_empty() { "" } else { "…" });
        }
        _ => quoted(line, bytes),
    }
}

/// Bytes that a word may have without quotes around it.
const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], b'!');
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'"' | b'\'' | b'\\');
        byte += 1;
    }
    plain
};

fn quoted(line: &mut String, bytes: &[u8]) {
    line.push('\'');
    push(line, bytes);
    line.push('\'');
}

fn push(line: &mut String, bytes: &[u8]) {
    push_shortened_bytes(line, bytes, WORD);
}

/// `(integer) 1`, `OK`, `(nil)`, `'{…}'`, or what went wrong.
pub fn reply(reply: &Result<Value, RedisError>) -> String {
    match reply {
        Ok(value) => shown(value),
        Err(error) => format!("(error) {error}"),
    }
}

/// A value as the trace shows it.
pub fn shown(value: &Value) -> String {
    let mut line = String::with_capacity(LINE);
    show(&mut line, value);
    line
}

fn show(line: &mut String, value: &Value) {
    match value {
        Value::Nil => line.push_str("(nil)"),
        Value::Int(number) => {
            let _ = write!(line, "(integer) {number}");
        }
        Value::Okay => line.push_str("OK"),
        Value::SimpleString(text) => push_shortened(line, text, WORD),
        Value::BulkString(bytes) => quoted(line, bytes),
        Value::Array(parts) | Value::Set(parts) => show_parts(line, parts),
        other => push_shortened(line, &format!("{other:?}"), WORD),
    }
}

fn show_parts(line: &mut String, parts: &[Value]) {
    line.push('[');
    for (n, part) in parts.iter().take(PARTS).enumerate() {
        line.push_str(if n > 0 { ", " } else { "" });
        show(line, part);
    }
    line.push_str(if parts.len() > PARTS { ", …]" } else { "]" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_typed() {
        let mut set = redis::cmd("SET");
        set.arg("k").arg(r#"{"a":1}"#).arg("PX").arg(300);
        assert_eq!(command(&set, None), r#"SET k '{"a":1}' PX 300"#);
    }

    #[test]
    fn a_script_reads_as_what_it_does() {
        static SCRIPT: Script = Script::new("-- adds one\nreturn redis.call('INCR', KEYS[1])");
        let call = SCRIPT.by_digest(&["k".to_owned()]);
        assert_eq!(command(&call, Some(&SCRIPT)), "EVALSHA '-- adds one …' 1 k");
    }

    #[test]
    fn a_long_command_is_cut() {
        let mut add = redis::cmd("SADD");
        add.arg("k").arg((0..1_000).collect::<Vec<_>>());
        assert!(
            command(&add, None).ends_with(" 37 … and 962 words more"),
            "{}",
            command(&add, None)
        );
    }

    #[test]
    fn a_long_value_is_shortened() {
        let value = Value::BulkString(vec![b'x'; 500]);
        assert_eq!(reply(&Ok(value)).chars().count(), WORD + 3);
    }
}
