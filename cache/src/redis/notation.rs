//! Commands and replies in the notation of redis-cli: one printer for traces, pages and the console.

use redis::{Arg, Cmd, Value};

use crate::{
    redis::{error::RedisError, script::Script},
    trace::push_shortened_bytes,
};

/// Words of a command that are shown.
const WORDS_MAX: usize = 40;
/// Room for most lines, so that they are allocated once.
const LINE_CAPACITY: usize = 192;

/// How replies are laid out, and how much of them is shown.
#[derive(Debug, Clone, Copy)]
pub struct Notation {
    /// Characters of one text. With `is_exact`, bytes.
    text_max: usize,
    /// Parts of an array on one line, or lines in all.
    parts_max: usize,
    /// Bytes in all.
    bytes_max: usize,
    /// Whether an array is one line, `["a", "b"]`, or numbered lines as on a terminal.
    is_one_line: bool,
    /// Whether every byte that is not printable ASCII is escaped, so that the text can
    /// be typed again (`sdscatrepr` in Redis). Otherwise UTF-8 stays as it is.
    is_exact: bool,
    /// The quotation mark: single ones leave JSON readable.
    quote: char,
}

impl Notation {
    /// One short line for each command of a request.
    pub const TRACE: Self = Self {
        text_max: 96,
        parts_max: 8,
        bytes_max: usize::MAX,
        is_one_line: true,
        is_exact: false,
        quote: '\'',
    };

    /// Numbered lines, shortened.
    pub const PAGE: Self =
        Self { text_max: 200, parts_max: 40, is_one_line: false, quote: '"', ..Self::TRACE };

    /// Byte for byte what redis-cli prints, up to 16 KiB.
    pub const CONSOLE: Self = Self {
        text_max: 16 * 1024,
        parts_max: usize::MAX,
        bytes_max: 16 * 1024,
        is_exact: true,
        ..Self::PAGE
    };

    /// A command as it would be typed.
    pub fn command(self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
        let mut line = String::with_capacity(LINE_CAPACITY);
        for word in words {
            if !line.is_empty() {
                line.push(' ');
            }
            self.push_word(&mut line, word.as_ref());
        }
        line
    }

    /// `(integer) 1`, `OK`, `(nil)`, `"text"`, `1) "a"`.
    pub fn value(self, value: &Value) -> String {
        let mut text = String::with_capacity(LINE_CAPACITY);
        self.push_value(&mut text, value, 0);
        self.cut(text)
    }

    /// A word as it would be typed.
    pub fn word(self, word: &[u8]) -> String {
        self.command([word])
    }

    fn push_word(self, line: &mut String, word: &[u8]) {
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
        match !word.is_empty() && word.iter().all(is_plain) {
            true => push_shortened_bytes(line, word, self.text_max),
            false => self.push_quoted(line, word),
        }
    }

    fn push_quoted(self, line: &mut String, bytes: &[u8]) {
        line.push(self.quote);
        match self.is_exact {
            true => push_escaped(line, &bytes[..bytes.len().min(self.text_max)]),
            false => self.push_readable(line, bytes),
        }
        line.push(self.quote);
    }

    fn push_readable(self, line: &mut String, bytes: &[u8]) {
        let start = line.len();
        push_shortened_bytes(line, bytes, self.text_max);
        if self.quote == '"' && line[start..].contains('"') {
            let escaped = line[start..].replace('"', "\\\"");
            line.replace_range(start.., &escaped);
        }
    }

    /// The first line begins where `text` ends; the others are indented
    /// (`cliFormatReplyTTY` in Redis).
    fn push_value(self, text: &mut String, value: &Value, indent: usize) {
        match value {
            _ if text.len() > self.bytes_max => (),
            Value::Nil => text.push_str("(nil)"),
            Value::Int(number) => text.push_str(&format!("(integer) {number}")),
            Value::Okay => text.push_str("OK"),
            Value::SimpleString(status) => {
                push_shortened_bytes(text, status.as_bytes(), self.text_max);
            }
            Value::BulkString(bytes) => self.push_quoted(text, bytes),
            Value::Array(parts) | Value::Set(parts) if self.is_one_line => {
                self.push_inline(text, parts);
            }
            Value::Array(parts) | Value::Set(parts) => self.push_numbered(text, parts, indent),
            Value::ServerError(error) => {
                let details = error.details().unwrap_or_default();
                text.push_str(&format!("(error) {} {details}", error.code()));
            }
            other => push_shortened_bytes(text, format!("{other:?}").as_bytes(), self.text_max),
        }
    }

    fn push_inline(self, text: &mut String, parts: &[Value]) {
        text.push('[');
        for (n, part) in parts.iter().take(self.parts_max).enumerate() {
            text.push_str(if n > 0 { ", " } else { "" });
            self.push_value(text, part, 0);
        }
        text.push_str(if parts.len() > self.parts_max { ", …]" } else { "]" });
    }

    fn push_numbered(self, text: &mut String, parts: &[Value], indent: usize) {
        if parts.is_empty() {
            return text.push_str("(empty array)");
        }
        let digits = parts.len().to_string().len();
        for (n, part) in parts.iter().enumerate().take_while(|(n, _)| *n <= self.parts_max) {
            if text.len() > self.bytes_max {
                return;
            }
            if n > 0 {
                text.push_str(&format!("\n{:indent$}", ""));
            }
            text.push_str(&format!("{:>digits$}) ", n + 1));
            self.push_value(text, part, indent + digits + 2);
        }
    }

    fn cut(self, mut text: String) -> String {
        let line_end = text.match_indices('\n').nth(self.parts_max - 1).map(|(end, _)| end);
        if let (false, Some(end)) = (self.is_one_line, line_end) {
            text.truncate(end);
            text.push_str("\n… and more");
        }
        if text.len() > self.bytes_max {
            let is_boundary = |end: &usize| text.is_char_boundary(*end);
            text.truncate((0..=self.bytes_max).rev().find(is_boundary).unwrap_or_default());
            text.push_str(&format!(
                "\n… cut here: only the first {} KiB are shown",
                self.bytes_max / 1_024
            ));
        }
        // Replies are kept for a while, and weighed by their length.
        text.shrink_to_fit();
        text
    }
}

fn push_escaped(line: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend(['\\', char::from(*byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(*byte)),
            other => line.push_str(&format!("\\x{other:02x}")),
        }
    }
}

/// `SET hitrate:profile:123 '{…}' PX 300000`; a script by its first line, which
/// is a summary.
pub fn traced_command(cmd: &Cmd, script: Option<&Script>) -> String {
    let mut line = String::with_capacity(LINE_CAPACITY);
    for (n, arg) in cmd.args_iter().take(WORDS_MAX).enumerate() {
        line.push_str(if n > 0 { " " } else { "" });
        match (arg, script) {
            (Arg::Simple(_), Some(script)) if n == 1 => {
                Notation::TRACE
                    .push_quoted(&mut line, format!("{} …", script.summary()).as_bytes());
            }
            (Arg::Simple(bytes), _) => Notation::TRACE.push_word(&mut line, bytes),
            _ => line.push('0'),
        }
    }
    let more = cmd.args_iter().skip(WORDS_MAX).count();
    if more > 0 {
        line.push_str(&format!(" … and {more} more arguments"));
    }
    line
}

/// A reply as a trace shows it, or the error in its place.
pub fn traced_reply(reply: &Result<Value, RedisError>) -> String {
    match reply {
        Ok(value) => Notation::TRACE.value(value),
        Err(error) => format!("(error) {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Notation; 3] = [Notation::TRACE, Notation::PAGE, Notation::CONSOLE];

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_command_reads_as_typed() {
        let mut set = redis::cmd("SET");
        set.arg("k").arg(r#"{"a":1}"#).arg("PX").arg(300);
        assert_eq!(traced_command(&set, None), r#"SET k '{"a":1}' PX 300"#);
        assert_eq!(Notation::CONSOLE.command(["SET", "a b", "ü"]), r#"SET "a b" "\xc3\xbc""#);
    }

    #[test]
    fn a_script_reads_as_its_summary() {
        static SCRIPT: Script = Script::new("-- adds one\nreturn redis.call('INCR', KEYS[1])");
        let call = SCRIPT.evalsha(&["k".to_owned()]);
        assert_eq!(traced_command(&call, Some(&SCRIPT)), "EVALSHA '-- adds one …' 1 k");
    }

    #[test]
    fn a_long_command_is_cut() {
        let mut add = redis::cmd("SADD");
        add.arg("k").arg((0..1_000).collect::<Vec<_>>());
        let line = traced_command(&add, None);
        assert!(line.ends_with(" 37 … and 962 more arguments"), "{line}");
    }

    #[test]
    fn scalars_read_as_in_redis_cli() {
        for notation in ALL {
            assert_eq!(notation.value(&Value::Okay), "OK");
            assert_eq!(notation.value(&Value::SimpleString("PONG".into())), "PONG");
            assert_eq!(notation.value(&Value::Int(-2)), "(integer) -2");
            assert_eq!(notation.value(&Value::Nil), "(nil)");
        }
        assert_eq!(Notation::CONSOLE.value(&bulk("a \"b\"\nü")), r#""a \"b\"\n\xc3\xbc""#);
        assert_eq!(Notation::PAGE.value(&bulk("a \"b\" ü")), r#""a \"b\" ü""#);
        assert_eq!(Notation::TRACE.value(&bulk("a \"b\" ü")), r#"'a "b" ü'"#);
    }

    #[test]
    fn arrays_are_numbered_and_nested_ones_indented() {
        let inner = Value::Array(vec![bulk("id"), Value::Array(vec![bulk("k"), bulk("v")])]);
        let nested = Value::Array(vec![inner]);
        let lines = "1) 1) \"id\"\n   2) 1) \"k\"\n      2) \"v\"";
        for notation in [Notation::PAGE, Notation::CONSOLE] {
            assert_eq!(notation.value(&nested), lines);
            assert_eq!(notation.value(&Value::Array(vec![])), "(empty array)");
        }
        assert_eq!(Notation::TRACE.value(&nested), "[['id', ['k', 'v']]]");
        let ten = Notation::PAGE.value(&Value::Array((1..=10).map(Value::Int).collect()));
        assert!(ten.starts_with(" 1) (integer) 1\n 2)") && ten.ends_with("\n10) (integer) 10"));
    }

    #[test]
    fn long_replies_are_cut() {
        let nils = Value::Array(vec![Value::Nil; 100_000]);
        assert_eq!(Notation::TRACE.value(&bulk(&"x".repeat(500))).chars().count(), 99);
        assert_eq!(Notation::TRACE.value(&nils).matches("nil").count(), 8);
        assert_eq!(Notation::PAGE.value(&nils).lines().count(), 41);
        for long in [bulk(&"ü".repeat(16 * 1_024)), nils] {
            let text = Notation::CONSOLE.value(&long);
            assert!(
                text.capacity() < 17 * 1_024 && text.ends_with("first 16 KiB are shown"),
                "{}",
                text.len()
            );
        }
    }
}
