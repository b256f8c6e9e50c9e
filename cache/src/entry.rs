//! The format of an entry in Redis: a header, which is one line of JSON, and after a
//! newline the encoded value. The scripts rely on the first fields of the header and
//! their order, and never look further:
//!
//! ```text
//! {"version":7,…                            a value with a version
//! {"version":0,"at":1700000000000000,…      a value without one, or an absence
//! {"version":7,"pending":1700000000000000,… a value that the origin does not have yet
//! {"version":7,"gone":true}                 a tombstone of a write with a version
//! {"version":7,"gone":true,"at":1700…}      one of an invalidation
//! {"version":7,"gone":true,"at":1700…,"written":true}   first one, then the other
//! ```
//!
//! Versions order the values that have one; times order everything else.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    Codec, Versioned,
    error::BoxError,
    time::{micros, millis},
};

/// Versions are below this, as the scripts compute with doubles, which are exact up
/// to 2⁵³.
pub const MAX_VERSION: u64 = 1 << 53;
/// The most bytes that a script puts before the tail of an entry: `{"version":`,
/// `"pending":` and two numbers.
pub const MAX_HEAD_BYTES: usize = 64;

/// The tags of an entry, escaped, with the generation they had when it was stored.
pub type EntryTags = Arc<[(String, u64)]>;

/// Metadata of an entry; all times are by Redis's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryMeta {
    /// When it was loaded, in milliseconds since 1970.
    pub created_at: u64,
    /// When its load began, in microseconds since 1970: what orders a value without a
    /// version, or an absence, among the entries of its key. 0 for a value with a version.
    pub at: u64,
    /// How long it is fresh after that.
    pub ttl: Duration,
    /// How long the load took; XFetch needs it.
    pub load_duration: Duration,
    /// The generation of its namespace's tag.
    pub tag: u64,
    /// Its other tags.
    pub tags: EntryTags,
}

impl EntryMeta {
    /// When its load began, in microseconds since 1970, or earlier.
    pub fn loaded_since(&self) -> u64 {
        match self.at {
            0 => (self.created_at.saturating_mul(1000)).saturating_sub(micros(self.load_duration)),
            at => at,
        }
    }
}

#[derive(Serialize)]
struct SerializedHeader<'a> {
    version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    at: u64,
    ttl: u64,
    created_at: u64,
    load_us: u64,
    tag: u64,
    codec: &'a str,
    schema: u32,
    key: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [(String, u64)],
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Deserialize)]
struct Header<'a> {
    version: u64,
    pending: Option<u64>,
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    at: u64,
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    created_at: u64,
    #[serde(default)]
    load_us: u64,
    #[serde(default)]
    tag: u64,
    #[serde(default, borrow)]
    codec: Cow<'a, str>,
    #[serde(default)]
    schema: u32,
    #[serde(default, borrow)]
    key: Cow<'a, str>,
    #[serde(default)]
    absent: bool,
    #[serde(default)]
    tags: Vec<(String, u64)>,
}

/// The content of an entry.
#[derive(Debug, PartialEq)]
pub enum Content<T> {
    /// A value. Its version is the origin's, or when its load began.
    Value(Versioned<Arc<T>>, EntryMeta),
    /// A write-behind value that the origin does not have yet.
    Pending(Versioned<Arc<T>>),
    /// A negative entry: the origin has no such value.
    Absent(EntryMeta),
    /// A tombstone: copies up to this version were invalidated. `invalidated_at` is
    /// when an invalidation without a version ran, in microseconds by Redis's clock;
    /// otherwise 0.
    Tombstone { version: u64, invalidated_at: u64 },
}

/// Bytes under a key that its namespace can't use.
#[derive(Debug, Clone)]
pub struct UnusableEntry {
    /// What they are.
    pub what: &'static str,
    /// How many there are.
    pub length: usize,
    /// The first of them, which differ from those of other entries.
    pub start: Arc<[u8]>,
}

impl UnusableEntry {
    /// The number of bytes that identify an entry: those of its version and times.
    const START: usize = 128;

    /// Describes these bytes.
    pub fn new(what: &'static str, bytes: &[u8]) -> Self {
        let start = bytes[..bytes.len().min(Self::START)].into();
        Self { what, length: bytes.len(), start }
    }
}

/// Encodes an entry under this key. `None` encodes the absence of a value. The version is 0
/// if `meta.at` orders the entry.
///
/// # Errors
/// Returns the codec's error. A panic of the codec counts as one.
pub fn encode<T, C: Codec<T>>(
    codec: &C,
    key: &str,
    version: u64,
    value: Option<&T>,
    meta: &EntryMeta,
) -> Result<Vec<u8>, BoxError> {
    let header = SerializedHeader {
        version,
        at: meta.at,
        ttl: millis(meta.ttl),
        created_at: meta.created_at,
        load_us: micros(meta.load_duration),
        tag: meta.tag,
        codec: C::ID,
        schema: codec.schema(),
        key,
        absent: value.is_none(),
        tags: &meta.tags,
    };
    let mut entry = serde_json::to_vec(&header).expect("plain data with text keys is JSON");
    entry.push(b'\n');
    if let Some(value) = value {
        catch_unwind(AssertUnwindSafe(|| codec.encode(value, &mut entry)))
            .unwrap_or_else(|_| Err("the codec panicked".into()))?;
    }
    Ok(entry)
}

/// Encodes an entry without its version and time, which a script adds.
///
/// # Errors
/// Returns the codec's error.
pub fn encode_tail<T, C: Codec<T>>(
    codec: &C,
    key: &str,
    value: &T,
    meta: &EntryMeta,
) -> Result<Vec<u8>, BoxError> {
    let meta = EntryMeta { at: 0, ..meta.clone() };
    let mut entry = encode(codec, key, 0, Some(value), &meta)?;
    entry.drain(..r#"{"version":0,"#.len());
    Ok(entry)
}

/// Decodes an entry, and checks that it belongs under `key`. The error describes
/// the entry, for the observer. A value whose codec panics can't be decoded.
pub fn decode<T, C: Codec<T>>(
    codec: &C,
    bytes: &[u8],
    key: &str,
) -> Result<Content<T>, &'static str> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = (&bytes[..end], bytes.get(end + 1..));
    let header: Header<'_> =
        serde_json::from_slice(header).map_err(|_| "an entry that can't be decoded")?;
    let version = header.version;
    let meta = EntryMeta {
        created_at: header.created_at,
        at: header.at,
        ttl: Duration::from_millis(header.ttl),
        load_duration: Duration::from_micros(header.load_us),
        tag: header.tag,
        tags: header.tags.into(),
    };
    match body {
        _ if version.max(header.at) >= MAX_VERSION => Err("a version out of range"),
        _ if header.gone => Ok(Content::Tombstone { version, invalidated_at: header.at }),
        _ if header.key != key => Err("the entry of another key"),
        _ if header.absent => Ok(Content::Absent(meta)),
        _ if header.codec != C::ID => Err("an entry of another codec"),
        _ if header.schema != codec.schema() => Err("an entry of another schema"),
        None => Err("an entry without a value"),
        Some(body) => {
            let decoded = catch_unwind(AssertUnwindSafe(|| codec.decode(body)));
            let Ok(Ok(value)) = decoded else { return Err("a value that can't be decoded") };
            let version = if version == 0 { header.at } else { version };
            let value = Versioned { value: Arc::new(value), version };
            Ok(match header.pending {
                Some(_) => Content::Pending(value),
                None => Content::Value(value, meta),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Json, sample::Profile};

    const KEY: &str = "profile:1";

    fn anna() -> Profile {
        Profile {
            user_id: "1".into(),
            name: "Anna \"gone\":true}\n".into(),
            email: "anna@example.com".into(),
            age: 30,
        }
    }

    fn value(version: u64) -> Versioned<Arc<Profile>> {
        Versioned { value: Arc::new(anna()), version }
    }

    fn encoded(version: u64, meta: &EntryMeta) -> Vec<u8> {
        encode(&Json::default(), KEY, version, Some(&anna()), meta).unwrap()
    }

    fn decoded(bytes: &[u8], key: &str) -> Result<Content<Profile>, &'static str> {
        decode(&Json::default(), bytes, key)
    }

    fn meta() -> EntryMeta {
        EntryMeta {
            created_at: 1_700_000_000_000,
            at: 0,
            ttl: Duration::from_secs(300),
            load_duration: Duration::from_micros(1234),
            tag: 5,
            tags: Arc::from([("team:7".to_owned(), 9)]),
        }
    }

    #[test]
    fn a_value_survives_a_round_trip() {
        let (bytes, plain) = (encoded(7, &meta()), EntryMeta::default());
        assert_eq!(decoded(&bytes, KEY), Ok(Content::Value(value(7), meta())));
        let absent = encode::<Profile, _>(&Json::default(), KEY, 0, None, &plain).unwrap();
        assert_eq!(decoded(&absent, KEY), Ok(Content::Absent(plain)));
        let timed = EntryMeta { at: 9, ..meta() };
        let by_time = Versioned { version: 9, ..value(0) };
        assert_eq!(decoded(&encoded(0, &timed), KEY), Ok(Content::Value(by_time, timed)));
        let tombstone = |invalidated_at| Ok(Content::Tombstone { version: 7, invalidated_at });
        assert_eq!(decoded(br#"{"version":7,"gone":true}"#, KEY), tombstone(0));
        assert_eq!(decoded(br#"{"version":7,"gone":true,"at":9}"#, KEY), tombstone(9));
    }

    #[test]
    fn the_header_begins_as_the_scripts_expect() {
        let text = String::from_utf8(encoded(7, &meta())).unwrap();
        assert!(text.starts_with(r#"{"version":7,"ttl":300000,"#), "{text}");
        let timed = EntryMeta { at: 9, ..meta() };
        let text = String::from_utf8(encoded(0, &timed)).unwrap();
        assert!(text.starts_with(r#"{"version":0,"at":9,"ttl":300000,"#), "{text}");
        assert_eq!(text.lines().count(), 2, "the value is one line of JSON: {text}");
    }

    #[test]
    fn a_script_can_put_version_and_stamp_before_the_tail() {
        let tail = encode_tail(&Json::default(), KEY, &anna(), &meta()).unwrap();
        let entry = [br#"{"version":7,"pending":9,"#.as_slice(), &tail].concat();
        assert_eq!(decoded(&entry, KEY), Ok(Content::Pending(value(7))));
    }

    #[test]
    fn an_entry_of_another_key_codec_or_schema_is_rejected() {
        let bytes = encoded(7, &meta());
        assert!(decoded(&bytes, "profile:2").is_err());
        assert!(decode::<Profile, _>(&Json::schema(1), &bytes, KEY).is_err());
        let other = String::from_utf8(bytes).unwrap().replace("\"json\"", "\"postcard\"");
        assert_eq!(decoded(other.as_bytes(), KEY), Err("an entry of another codec"));
    }

    #[test]
    fn deep_and_large_garbage_is_rejected() {
        for garbage in [vec![b'['; 60_000], vec![b' '; 1_000_000], b"null".to_vec(), b"".to_vec()] {
            assert!(decoded(&garbage, KEY).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decoded(&bytes, KEY);
        }

        /// Bytes that look like an entry get further into the decoder.
        #[test]
        fn damaged_entries_never_panic(
            at in 0..400_usize,
            byte in any::<u8>(),
            cut in 0..400_usize,
        ) {
            let mut bytes = encoded(7, &meta());
            let end = bytes.len();
            bytes[at % end] = byte;
            bytes.truncate(end - cut % end);
            let _ = decoded(&bytes, KEY);
        }

        #[test]
        fn any_metadata_survives_a_round_trip(created_at: u64, ttl_ms in 0..u64::from(u32::MAX), load_us in 0..u64::from(u32::MAX), tag: u64, version in 1..MAX_VERSION) {
            let (ttl, load_duration) = (Duration::from_millis(ttl_ms), Duration::from_micros(load_us));
            let meta = EntryMeta { created_at, at: 0, ttl, load_duration, tag, tags: Arc::default() };
            let bytes = encoded(version, &meta);
            prop_assert_eq!(decoded(&bytes, KEY), Ok(Content::Value(value(version), meta)));
        }
    }
}
