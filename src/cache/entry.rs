//! How a value lies in Redis: JSON of the value and its version, and the
//! scripts that keep an older one from replacing a newer.
//!
//! A reader that was slow may bring an old row after an edit was made. So a
//! fill stores only where nothing newer is held, and forgetting leaves a mark
//! of the version behind, for as long as such a reader may still come.

use serde::{Deserialize, Serialize};

use crate::{
    keys::{Cached, Key},
    model::Versioned,
};

/// A larger entry was not written by hitrate and is not parsed.
const LARGEST: usize = 64 * 1024;

/// `KEYS[1]`, version, entry, TTL in milliseconds. Replies 1 when it stored.
/// O(1). The version is the first thing in an entry; anything else there is
/// no entry and is overwritten.
pub const FILL: &str = r#"-- store, unless something newer is held
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local version = tonumber(string.match(held, '^{"version":(%d+)'))
  if version and version > tonumber(ARGV[1]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1"#;

/// `KEYS[1]`, version that is good, TTL of the mark in milliseconds. Replies 1
/// when it dropped a copy. O(1). Without a version (-1) whatever is held is dropped.
pub const FORGET: &str = r#"-- drop what is older, leave a mark of the version
local good = tonumber(ARGV[1])
local held = redis.pcall('GET', KEYS[1])
local version = nil
if type(held) == 'string' then
  version = tonumber(string.match(held, '^{"version":(%d+)'))
end
if not version then
  local dropped = redis.call('DEL', KEYS[1])
  if good < 0 then return dropped end
  redis.call('SET', KEYS[1], '{"version":' .. ARGV[1] .. ',"gone":true}', 'PX', ARGV[2])
  return dropped
end
local is_copy = not string.find(held, '"gone":true}', 1, true)
if good >= 0 and is_copy and version >= good then return 0 end
local mark = string.format('%.0f', math.max(version, good))
redis.call('SET', KEYS[1], '{"version":' .. mark .. ',"gone":true}', 'PX', ARGV[2])
return is_copy and 1 or 0"#;

#[derive(Serialize)]
struct Written<'a, T> {
    version: u64,
    value: Option<&'a T>,
}

#[derive(Deserialize)]
struct Read<T> {
    version: u64,
    value: Option<T>,
    #[serde(default)]
    gone: bool,
}

/// What an entry says.
#[derive(Debug, PartialEq)]
pub enum Content<T> {
    /// A value.
    Value(Versioned<T>),
    /// The origin has none.
    Absent,
    /// There was one, and it was forgotten.
    Gone,
}

/// What to put under the key of this value; `None` says that there is none.
pub fn encode<T: Cached>(value: Option<&Versioned<T>>) -> Vec<u8> {
    let version = value.map_or(0, |it| it.version);
    let written = Written { version, value: value.map(|it| &it.value) };
    serde_json::to_vec(&written).expect("plain data with text keys is JSON")
}

/// What `bytes` say, if that belongs under `key`; else what is wrong with them.
pub fn decode<T: Cached>(bytes: &[u8], key: &Key<T>) -> Result<Content<T>, &'static str> {
    if bytes.len() > LARGEST {
        return Err("too large a value");
    }
    let read: Read<T> =
        serde_json::from_slice(bytes).map_err(|_| "a value that can't be decoded")?;
    match read.value {
        _ if read.gone => Ok(Content::Gone),
        None if read.version == 0 => Ok(Content::Absent),
        None => Err("a version without a value"),
        Some(value) if value.key() == *key => {
            Ok(Content::Value(Versioned { value, version: read.version }))
        }
        Some(_) => Err("the value of another key"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{keys, model::Profile};

    fn anna() -> Versioned<Profile> {
        let value = Profile {
            user_id: "1".into(),
            name: "Anna \"gone\":true}".into(),
            email: "anna@example.com".into(),
            age: 30,
        };
        Versioned { value, version: 7 }
    }

    #[test]
    fn a_value_comes_back_as_it_went() {
        let key = anna().value.key();
        let bytes = encode(Some(&anna()));
        assert_eq!(decode(&bytes, &key), Ok(Content::Value(anna())));
        assert_eq!(decode(&encode::<Profile>(None), &key), Ok(Content::Absent));
        assert_eq!(decode(br#"{"version":7,"gone":true}"#, &key), Ok(Content::Gone));
    }

    #[test]
    fn the_version_comes_first_where_the_scripts_look_for_it() {
        assert!(encode(Some(&anna())).starts_with(br#"{"version":7,"value":{"#));
    }

    #[test]
    fn a_copy_under_another_key_is_refused() {
        let other = keys::profile(&"2".parse().unwrap());
        assert!(decode(&encode(Some(&anna())), &other).is_err());
    }

    #[test]
    fn deep_and_large_garbage_is_refused() {
        let key = anna().value.key();
        for bad in [vec![b'['; 60_000], vec![b' '; LARGEST + 1], b"null".to_vec(), b"".to_vec()] {
            assert!(decode(&bad, &key).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode(&bytes, &anna().value.key());
        }
    }
}
