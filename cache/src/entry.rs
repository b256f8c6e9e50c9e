//! The format of an entry in Redis: JSON with the version, the metadata and the
//! value. The scripts rely on the first two fields and their order.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Cached, Key, Versioned,
    time::{micros, millis},
};

/// Versions are below this, as the scripts compute with doubles, which are exact up
/// to 2⁵³.
const MAX_VERSION: u64 = 1 << 53;

/// Metadata of an entry; all times are by Redis's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntryMeta {
    /// When it was loaded, in milliseconds since 1970.
    pub created_at: u64,
    /// How long it is fresh after that.
    pub ttl: Duration,
    /// How long the load took; XFetch needs it.
    pub load_duration: Duration,
    /// The generation of its tag.
    pub tag: u64,
}

#[derive(Serialize)]
struct SerializedEntry<'a, T> {
    version: u64,
    #[serde(rename = "born")]
    created_at: u64,
    ttl: u64,
    #[serde(rename = "delta")]
    load_duration: u64,
    tag: u64,
    value: Option<&'a T>,
}

#[derive(Deserialize)]
struct DeserializedEntry<T> {
    version: u64,
    value: Option<T>,
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    at: u64,
    #[serde(default)]
    pending: Option<u64>,
    #[serde(default, rename = "born")]
    created_at: u64,
    #[serde(default)]
    ttl: u64,
    #[serde(default, rename = "delta")]
    load_duration: u64,
    #[serde(default)]
    tag: u64,
}

/// The content of an entry.
#[derive(Debug, PartialEq)]
pub enum Content<T> {
    /// A value.
    Value(Versioned<Arc<T>>, EntryMeta),
    /// A write-behind value that the origin does not have yet.
    Pending(Versioned<Arc<T>>),
    /// A negative entry: the origin has no such value.
    Absent(EntryMeta),
    /// A tombstone: copies up to this version were invalidated. `invalidated_at` is
    /// when an explicit invalidation ran, in microseconds by Redis's clock; 0 after
    /// an edit.
    Tombstone { version: u64, invalidated_at: u64 },
}

/// Encodes an entry. `None` encodes the absence of a value.
pub fn encode<T: Cached>(version: u64, value: Option<&T>, meta: EntryMeta) -> Vec<u8> {
    let EntryMeta { created_at, ttl, load_duration, tag } = meta;
    let entry = SerializedEntry {
        version,
        created_at,
        ttl: millis(ttl),
        load_duration: micros(load_duration),
        tag,
        value,
    };
    serde_json::to_vec(&entry).expect("plain data with text keys is JSON")
}

/// Encodes an entry without its first field, the version, which a script adds.
pub fn encode_tail<T: Cached>(value: &T, meta: EntryMeta) -> Vec<u8> {
    let entry = encode(0, Some(value), meta);
    entry[r#"{"version":0,"#.len()..].to_vec()
}

/// Decodes an entry, and checks that it belongs under `key`. The error describes
/// the entry, for the log.
pub fn decode<T: Cached>(bytes: &[u8], key: &Key<T>) -> Result<Content<T>, &'static str> {
    let read: DeserializedEntry<T> =
        serde_json::from_slice(bytes).map_err(|_| "an entry that can't be decoded")?;
    let (version, pending) = (read.version, read.pending.is_some());
    let meta = EntryMeta {
        created_at: read.created_at,
        ttl: Duration::from_millis(read.ttl),
        load_duration: Duration::from_micros(read.load_duration),
        tag: read.tag,
    };
    match read.value {
        _ if version >= MAX_VERSION => Err("a version out of range"),
        _ if read.gone => Ok(Content::Tombstone { version, invalidated_at: read.at }),
        None if version == 0 => Ok(Content::Absent(meta)),
        None => Err("a version without a value"),
        Some(value) if !value.belongs_under(key) => Err("the value of another key"),
        Some(value) if pending => {
            Ok(Content::Pending(Versioned { value: Arc::new(value), version }))
        }
        Some(value) => Ok(Content::Value(Versioned { value: Arc::new(value), version }, meta)),
    }
}

/// Decodes the value of an entry, fresh or not; `None` for a tombstone or a
/// negative entry. For tools that inspect entries, and for the fuzzer.
///
/// # Errors
/// Returns a description of the entry if it can't be decoded or belongs under
/// another key.
pub fn decode_entry<T: Cached>(
    bytes: &[u8],
    key: &Key<T>,
) -> Result<Option<Versioned<Arc<T>>>, &'static str> {
    decode(bytes, key).map(|content| match content {
        Content::Value(value, _) | Content::Pending(value) => Some(value),
        Content::Absent(_) | Content::Tombstone { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{self, Profile};

    fn anna() -> Versioned<Profile> {
        let value = Profile {
            user_id: "1".into(),
            name: "Anna \"gone\":true}".into(),
            email: "anna@example.com".into(),
            age: 30,
        };
        Versioned { value, version: 7 }
    }

    fn shared(it: Versioned<Profile>) -> Versioned<Arc<Profile>> {
        Versioned { value: Arc::new(it.value), version: it.version }
    }

    fn encoded(it: &Versioned<Profile>, meta: EntryMeta) -> Vec<u8> {
        encode(it.version, Some(&it.value), meta)
    }

    fn meta() -> EntryMeta {
        let (ttl, load_duration) = (Duration::from_secs(300), Duration::from_micros(1234));
        EntryMeta { created_at: 1_700_000_000_000, ttl, load_duration, tag: 5 }
    }

    #[test]
    fn a_value_survives_a_round_trip() {
        let key = anna().value.key();
        let bytes = encoded(&anna(), meta());
        assert_eq!(decode(&bytes, &key), Ok(Content::Value(shared(anna()), meta())));
        assert_eq!(decode(&encode::<Profile>(0, None, meta()), &key), Ok(Content::Absent(meta())));
        assert_eq!(
            decode(br#"{"version":7,"gone":true}"#, &key),
            Ok(Content::Tombstone { version: 7, invalidated_at: 0 })
        );
        let explicit = br#"{"version":7,"at":9,"gone":true}"#;
        assert_eq!(
            decode(explicit, &key),
            Ok(Content::Tombstone { version: 7, invalidated_at: 9 })
        );
    }

    #[test]
    fn the_version_comes_first_where_the_scripts_expect_it() {
        assert!(encoded(&anna(), meta()).starts_with(br#"{"version":7,"born":"#));
    }

    #[test]
    fn a_script_can_put_version_and_stamp_before_the_tail() {
        let tail = String::from_utf8(encode_tail(&anna().value, meta())).unwrap();
        let entry = format!(r#"{{"version":7,"pending":9,{tail}"#);
        let pending = Ok(Content::Pending(shared(anna())));
        assert_eq!(decode(entry.as_bytes(), &anna().value.key()), pending);
    }

    #[test]
    fn an_entry_without_metadata_is_past_its_ttl() {
        let old = br#"{"version":0,"value":null}"#;
        assert_eq!(decode(old, &anna().value.key()), Ok(Content::Absent(EntryMeta::default())));
    }

    #[test]
    fn a_copy_under_another_key_is_rejected() {
        let other = sample::profile("2");
        assert!(decode(&encoded(&anna(), meta()), &other).is_err());
    }

    #[test]
    fn deep_and_large_garbage_is_rejected() {
        let key = anna().value.key();
        for garbage in [vec![b'['; 60_000], vec![b' '; 1_000_000], b"null".to_vec(), b"".to_vec()] {
            assert!(decode(&garbage, &key).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode(&bytes, &anna().value.key());
        }

        /// Bytes that look like an entry get further into the decoder.
        #[test]
        fn damaged_entries_never_panic_and_are_never_another_value(
            at in 0..200_usize,
            byte in any::<u8>(),
            cut in 0..200_usize,
        ) {
            let mut bytes = encoded(&anna(), meta());
            let end = bytes.len();
            bytes[at % end] = byte;
            bytes.truncate(end - cut % end);
            if let Ok(Content::Value(found, _)) = decode(&bytes, &anna().value.key()) {
                prop_assert_eq!(&found.value.user_id, &anna().value.user_id);
            }
        }

        #[test]
        fn any_metadata_survives_a_round_trip(created_at: u64, ttl_ms in 0..u64::from(u32::MAX), delta_us in 0..u64::from(u32::MAX), tag: u64, version in 1..MAX_VERSION) {
            let (ttl, load_duration) = (Duration::from_millis(ttl_ms), Duration::from_micros(delta_us));
            let (meta, value) = (EntryMeta { created_at, ttl, load_duration, tag }, Versioned { version, ..anna() });
            let bytes = encoded(&value, meta);
            prop_assert_eq!(decode(&bytes, &value.value.key()), Ok(Content::Value(shared(value.clone()), meta)));
        }
    }
}
