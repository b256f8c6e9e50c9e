//! Splits a typed line into words like redis-cli, and formats words the way it prints
//! them.

use hitrate_cache::redis::Notation;

/// Maximum length of a line, in bytes.
pub const LINE_MAX: usize = 4 * 1024;
/// Maximum number of words in a command.
pub const WORDS_MAX: usize = 64;

/// A word: any bytes, because `"\x00"` can be typed.
pub type Word = Vec<u8>;

/// The error of parsing a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A quoted string that is not closed, or is followed by other characters.
    #[error(
        "The quotes don’t match: each opening quote needs a closing one, followed by a space or the end of the line."
    )]
    Unbalanced,
    /// The line is blank.
    #[error("Type a command, such as PING.")]
    Empty,
    /// More than [`LINE_MAX`] bytes or [`WORDS_MAX`] words.
    #[error("A command may have at most {LINE_MAX} bytes and {WORDS_MAX} words.")]
    TooLong,
}

/// Splits at spaces. `"…"` may contain spaces, `\n \r \t \b \a`, `\xHH` and escaped
/// quotes; `'…'` is literal except for `\'`. (The rules of `sdssplitargs` in Redis.)
pub fn split(line: &str) -> Result<Vec<Word>, CommandLineError> {
    if line.len() > LINE_MAX {
        return Err(CommandLineError::TooLong);
    }
    let (mut words, mut rest) = (Vec::new(), line.as_bytes().trim_ascii_start());
    while !rest.is_empty() {
        if words.len() == WORDS_MAX {
            return Err(CommandLineError::TooLong);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    if words.is_empty() { Err(CommandLineError::Empty) } else { Ok(words) }
}

/// Parses the first word. Returns it and the rest.
fn word(mut rest: &[u8]) -> Result<(Word, &[u8]), CommandLineError> {
    let mut word = Vec::new();
    loop {
        rest = match rest {
            [] => return Ok((word, rest)),
            [space, ..] if space.is_ascii_whitespace() => return Ok((word, rest)),
            [b'"', inside @ ..] => return ended(escaped(inside, &mut word)?, word),
            [b'\'', inside @ ..] => return ended(literal(inside, &mut word)?, word),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        };
    }
}

/// Checks that a closing quote ends its word.
fn ended(rest: &[u8], word: Word) -> Result<(Word, &[u8]), CommandLineError> {
    match rest.first().is_none_or(u8::is_ascii_whitespace) {
        true => Ok((word, rest)),
        false => Err(CommandLineError::Unbalanced),
    }
}

/// Parses the inside of `"…"`. Returns the rest.
fn escaped<'a>(mut rest: &'a [u8], word: &mut Word) -> Result<&'a [u8], CommandLineError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(CommandLineError::Unbalanced),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if is_hex(*high) && is_hex(*low) => {
                (digit(*high) * 16 + digit(*low), after)
            }
            [b'\\', escape, after @ ..] => (unescaped(*escape), after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

/// Parses the inside of `'…'`. Returns the rest.
fn literal<'a>(mut rest: &'a [u8], word: &mut Word) -> Result<&'a [u8], CommandLineError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(CommandLineError::Unbalanced),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn digit(hex: u8) -> u8 {
    (hex as char).to_digit(16).map_or(0, |digit| digit as u8)
}

fn unescaped(escape: u8) -> u8 {
    match escape {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// Formats words as typed, so that `split` returns the same words.
pub fn typed(words: &[Word]) -> String {
    Notation::CONSOLE.command(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line).unwrap();
        words.iter().map(|word| String::from_utf8(word.clone()).unwrap()).collect()
    }

    #[test]
    fn a_line_is_split_as_redis_cli_does() {
        assert_eq!(words("PING"), ["PING"]);
        assert_eq!(
            words("  SET  greeting \"Hello from Redis\" "),
            ["SET", "greeting", "Hello from Redis"]
        );
        assert_eq!(words(r#"a 'it\'s "x"' """#), ["a", "it's \"x\"", ""]);
        assert_eq!(split(r#""\x00\xff\n\q\"""#).unwrap(), [b"\x00\xff\nq\"".to_vec()]);
        assert_eq!(words(r#"ab"c d""#), ["abc d"], "a mark may open inside a word");
        assert_eq!(words(r#""\xZZ""#), ["xZZ"]);
    }

    #[test]
    fn unbalanced_or_long_lines_are_rejected() {
        for bad in [r#"SET a "b"#, "SET a 'b", r#"SET a "b"c"#, "SET a 'b'c", r#"SET a "b\""#] {
            assert_eq!(split(bad), Err(CommandLineError::Unbalanced), "{bad}");
        }
        assert_eq!(split(" \t "), Err(CommandLineError::Empty));
        assert_eq!(split(&"x".repeat(LINE_MAX + 1)), Err(CommandLineError::TooLong));
        assert_eq!(split(&"x ".repeat(WORDS_MAX + 1)), Err(CommandLineError::TooLong));
        assert!(split(&"x ".repeat(WORDS_MAX)).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_typed_panics(line in any::<String>()) {
            let _ = split(&line);
        }

        #[test]
        fn words_are_read_back_as_they_are_shown(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..8)
        ) {
            prop_assert_eq!(split(&typed(&words)), Ok(words));
        }
    }
}
