//! How a value lies in Redis: its JSON, or one word for "there is none".

use crate::keys::{Cached, Key};

/// Says that the origin has no such value. No JSON, so no value looks like it.
const ABSENT: &[u8] = b"absent";
/// A larger entry was not written by hitrate and is not parsed.
const LARGEST: usize = 64 * 1024;

/// What to put under the key of `value`.
pub fn encode<T: Cached>(value: Option<&T>) -> Vec<u8> {
    match value {
        Some(value) => serde_json::to_vec(value).expect("plain data with text keys is JSON"),
        None => ABSENT.to_vec(),
    }
}

/// The value in `bytes`, if they hold one that belongs under `key`; else what is wrong.
pub fn decode<T: Cached>(bytes: &[u8], key: &Key<T>) -> Result<Option<T>, &'static str> {
    if bytes == ABSENT {
        return Ok(None);
    }
    if bytes.len() > LARGEST {
        return Err("too large a value");
    }
    let value: T = serde_json::from_slice(bytes).map_err(|_| "a value that can't be decoded")?;
    match value.key() == *key {
        true => Ok(Some(value)),
        false => Err("the value of another key"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{keys, model::Profile};

    fn anna() -> Profile {
        Profile {
            user_id: "1".into(),
            name: "Anna".into(),
            email: "anna@example.com".into(),
            age: 30,
        }
    }

    #[test]
    fn a_value_comes_back_as_it_went() {
        let bytes = encode(Some(&anna()));
        assert_eq!(decode(&bytes, &anna().key()), Ok(Some(anna())));
        let nobody = encode::<Profile>(None);
        assert_eq!(decode(&nobody, &anna().key()), Ok(None));
    }

    #[test]
    fn a_copy_under_another_key_is_refused() {
        let other = keys::profile(&"2".parse().unwrap());
        assert!(decode(&encode(Some(&anna())), &other).is_err());
    }

    #[test]
    fn deep_and_large_garbage_is_refused() {
        let deep = vec![b'['; 60_000];
        assert!(decode(&deep, &anna().key()).is_err());
        let large = vec![b' '; LARGEST + 1];
        assert!(decode(&large, &anna().key()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode(&bytes, &anna().key());
        }
    }
}
