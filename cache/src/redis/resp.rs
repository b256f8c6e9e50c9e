//! Reads replies out of bytes as they come in (redis.io/docs: "Redis
//! serialization protocol specification", RESP2). They may come in any pieces;
//! the parts of an array that were read are not read again.

use std::io;

use redis::{RedisError, Value};

/// The longest line: all of a status or an error.
const LINE_MAX: usize = 64 * 1024;
/// The longest text that Redis gives (`proto-max-bulk-len`).
const TEXT_MAX: usize = 512 * 1024 * 1024;
/// Arrays within arrays; Redis's own replies have a handful.
const DEPTH_MAX: usize = 64;
/// What ends a line, and a text.
const END: &[u8] = b"\r\n";
/// Parts that an array has room for before the first of them is there.
const ROOM: usize = 1_024;

/// What came is no reply, and nobody knows where the next one begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Garbage;

impl From<RedisError> for Garbage {
    fn from(_: RedisError) -> Self {
        Self
    }
}

impl From<Garbage> for io::Error {
    fn from(_: Garbage) -> Self {
        Self::new(io::ErrorKind::InvalidData, "what came is no reply")
    }
}

/// What was read of a reply whose end is still to come.
#[derive(Default)]
pub struct Reader {
    /// Arrays that have parts missing, the outermost first.
    open: Vec<Open>,
}

struct Open {
    parts: Vec<Value>,
    missing: usize,
}

enum Piece {
    Whole(Value),
    /// An array of so many pieces begins, at least one.
    Array(usize),
}

impl Reader {
    /// Cuts the next reply off the front of `input`. `None` when its end is not
    /// there yet: call again with what is left of `input`, and more behind it.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Value>, Garbage> {
        while let Some(piece) = piece(input)? {
            match piece {
                Piece::Array(missing) => self.begin(missing)?,
                Piece::Whole(value) => {
                    if let Some(reply) = self.add(value) {
                        return Ok(Some(reply));
                    }
                }
            }
        }
        Ok(None)
    }

    fn begin(&mut self, missing: usize) -> Result<(), Garbage> {
        if self.open.len() == DEPTH_MAX {
            return Err(Garbage);
        }
        self.open.push(Open { parts: Vec::with_capacity(missing.min(ROOM)), missing });
        Ok(())
    }

    /// The reply, if this was the last of it.
    fn add(&mut self, mut value: Value) -> Option<Value> {
        while let Some(inner) = self.open.last_mut() {
            inner.parts.push(value);
            inner.missing -= 1;
            if inner.missing > 0 {
                return None;
            }
            value = Value::Array(self.open.pop()?.parts);
        }
        Some(value)
    }
}

fn piece(input: &mut &[u8]) -> Result<Option<Piece>, Garbage> {
    let Some(line) = line(input)? else { return Ok(None) };
    let (whole, rest) = input.split_at(line.len() + END.len());
    let said = &line[1..];
    let (piece, rest) = match line[0] {
        b'$' => match text(length(said)?, rest)? {
            Some((text, rest)) => (Piece::Whole(text), rest),
            None => return Ok(None),
        },
        b'*' => (array(length(said)?), rest),
        b':' => (Piece::Whole(Value::Int(number(said)?)), rest),
        b'+' => (Piece::Whole(status(said)), rest),
        _ => (Piece::Whole(refusal(whole)?), rest),
    };
    *input = rest;
    Ok(Some(piece))
}

fn array(length: Option<usize>) -> Piece {
    match length {
        None => Piece::Whole(Value::Nil),
        Some(0) => Piece::Whole(Value::Array(Vec::new())),
        Some(parts) => Piece::Array(parts),
    }
}

fn status(said: &[u8]) -> Value {
    match said {
        b"OK" => Value::Okay,
        other => Value::SimpleString(String::from_utf8_lossy(other).into_owned()),
    }
}

/// An error is rare, so the library may take its time. What it repeats of a
/// command may be cut within a character.
fn refusal(line: &[u8]) -> Result<Value, Garbage> {
    Ok(redis::parse_redis_value(String::from_utf8_lossy(line).as_bytes())?)
}

/// So many bytes, and what comes after them; `None` when they are not all there yet.
fn text(length: Option<usize>, rest: &[u8]) -> Result<Option<(Value, &[u8])>, Garbage> {
    let Some(length) = length else { return Ok(Some((Value::Nil, rest))) };
    if length > TEXT_MAX {
        return Err(Garbage);
    }
    match rest.get(length..length + END.len()) {
        None => Ok(None),
        Some(END) => {
            Ok(Some((Value::BulkString(rest[..length].to_vec()), &rest[length + END.len()..])))
        }
        Some(_) => Err(Garbage),
    }
}

/// Of a text or an array; -1 stands for none at all.
fn length(said: &[u8]) -> Result<Option<usize>, Garbage> {
    match number(said)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| Garbage),
    }
}

fn number(said: &[u8]) -> Result<i64, Garbage> {
    str::from_utf8(said).ok().and_then(|said| said.parse().ok()).ok_or(Garbage)
}

/// The first line, which is not empty and begins as a reply does; `None` when
/// its end is not there yet.
fn line(input: &[u8]) -> Result<Option<&[u8]>, Garbage> {
    if input.first().is_some_and(|kind| !b"+-:$*".contains(kind)) {
        return Err(Garbage);
    }
    let seen = &input[..input.len().min(LINE_MAX)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\r') else {
        return if seen.len() < LINE_MAX { Ok(None) } else { Err(Garbage) };
    };
    match input.get(end + 1) {
        Some(b'\n') => Ok(Some(&input[..end])),
        Some(_) => Err(Garbage),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Value>, Garbage> {
        Reader::default().next(&mut { bytes })
    }

    /// All replies in these pieces, one piece after the other.
    fn read_in(pieces: &[&[u8]]) -> Result<Vec<Value>, Garbage> {
        let (mut reader, mut held, mut replies) = (Reader::default(), Vec::new(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            let mut input = &held[..];
            while let Some(reply) = reader.next(&mut input)? {
                replies.push(reply);
            }
            held = input.to_vec();
        }
        Ok(replies)
    }

    /// A reply as Redis sends it.
    fn written() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            any::<i64>().prop_map(|number| format!(":{number}\r\n")),
            "[ -~]{0,20}".prop_map(|said| format!("+{said}\r\n")),
            "[A-Z]{1,9} [ -~]{0,20}".prop_map(|said| format!("-{said}\r\n")),
            Just("$-1\r\n".to_owned()),
            Just("*-1\r\n".to_owned()),
            Just("*0\r\n".to_owned()),
            Just("+OK\r\n".to_owned()),
        ];
        let text = vec(any::<u8>(), 0..40)
            .prop_map(|text| [format!("${}\r\n", text.len()).as_bytes(), &text, END].concat());
        let leaf = prop_oneof![line.prop_map(String::into_bytes), text];
        leaf.prop_recursive(4, 24, 5, |inner| {
            vec(inner, 1..5).prop_map(|parts| {
                [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat()
            })
        })
    }

    #[test]
    fn a_refusal_is_a_reply() {
        let Ok(Some(Value::ServerError(error))) = read(b"-WRONGTYPE Operation against\r\n") else {
            panic!("an error is a value");
        };
        assert_eq!((error.code(), error.details()), ("WRONGTYPE", Some("Operation against")));
    }

    #[test]
    fn a_refusal_may_repeat_half_a_character() {
        assert!(matches!(read(b"-ERR no \xc3\r\n"), Ok(Some(Value::ServerError(_)))));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        let long = [b"+".as_slice(), &vec![b'x'; LINE_MAX]].concat();
        for bad in [
            b"HTTP/1.1 400 Bad Request\r\n".as_slice(),
            b"\r\n",
            b":x\r\n",
            b":1\rx",
            b"$-2\r\n",
            b"$536870913\r\n",
            b"$1\r\nab\r\n",
            b"*-2\r\n",
            b"*1\r\n?",
            &deep,
            &long,
        ] {
            assert_eq!(read(bad), Err(Garbage), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn a_promise_of_many_parts_takes_no_memory() {
        assert_eq!(read(b"*9223372036854775807\r\n:1\r\n"), Ok(None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// The library's own parser is the judge.
        #[test]
        fn replies_in_any_pieces_are_what_the_library_reads(
            replies in vec(written(), 1..4),
            cuts in vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = replies.concat();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            ends.extend([0, bytes.len()]);
            ends.sort_unstable();
            let pieces: Vec<_> = ends.windows(2).map(|it| &bytes[it[0]..it[1]]).collect();
            let expected: Vec<_> =
                replies.iter().map(|it| redis::parse_redis_value(it).unwrap()).collect();
            prop_assert_eq!(read_in(&pieces), Ok(expected));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'1')], 0..200)) {
            let _ = read(&bytes);
        }
    }
}
