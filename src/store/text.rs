//! Commands and replies as a person reads them, the way redis-cli prints them.

use redis::{Arg, Cmd, Value};

use super::trouble::Trouble;
use crate::wire::shortened;

/// One argument or reply shows at most this many characters.
const WORD: usize = 96;
/// A command shows at most this many of its words.
const WORDS: usize = 40;
/// A reply with parts shows at most this many of them.
const PARTS: usize = 8;

/// `SET hitrate:profile:123 "{…}" PX 300000`
pub fn command(cmd: &Cmd) -> String {
    let words = cmd.args_iter().take(WORDS).map(|arg| match arg {
        Arg::Simple(bytes) if bytes.starts_with(b"--") => script(bytes),
        Arg::Simple(bytes) => word(bytes),
        _ => "0".to_owned(),
    });
    let more = cmd.args_iter().count().saturating_sub(WORDS);
    let more = (more > 0).then(|| format!("… and {more} words more"));
    words.chain(more).collect::<Vec<_>>().join(" ")
}

/// A script by its first line, which says what it does.
fn script(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    format!("'{} …'", shortened(&String::from_utf8_lossy(line), WORD))
}

fn word(bytes: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_graphic() && !b"\"'\\".contains(b);
    match !bytes.is_empty() && bytes.iter().all(plain) {
        true => shortened(&String::from_utf8_lossy(bytes), WORD),
        false => format!("'{}'", shortened(&String::from_utf8_lossy(bytes), WORD)),
    }
}

/// `(integer) 1`, `OK`, `(nil)`, `'{…}'`, or what went wrong.
pub fn reply(reply: &Result<Value, Trouble>) -> String {
    match reply {
        Ok(value) => shown(value),
        Err(trouble) => format!("(error) {trouble}"),
    }
}

/// A value as the wire shows it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "(nil)".to_owned(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) => shortened(text, WORD),
        Value::BulkString(bytes) => {
            format!("'{}'", shortened(&String::from_utf8_lossy(bytes), WORD))
        }
        Value::Array(parts) | Value::Set(parts) => {
            let more = if parts.len() > PARTS { ", …" } else { "" };
            let first: Vec<_> = parts.iter().take(PARTS).map(shown).collect();
            format!("[{}{more}]", first.join(", "))
        }
        other => shortened(&format!("{other:?}"), WORD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_typed() {
        let mut set = redis::cmd("SET");
        set.arg("k").arg(r#"{"a":1}"#).arg("PX").arg(300);
        assert_eq!(command(&set), r#"SET k '{"a":1}' PX 300"#);
    }

    #[test]
    fn a_long_command_is_cut() {
        let mut add = redis::cmd("SADD");
        add.arg("k").arg((0..1_000).collect::<Vec<_>>());
        assert!(command(&add).ends_with(" 37 … and 962 words more"), "{}", command(&add));
    }

    #[test]
    fn a_long_value_is_shortened() {
        let value = Value::BulkString(vec![b'x'; 500]);
        assert_eq!(reply(&Ok(value)).chars().count(), WORD + 3);
    }
}
