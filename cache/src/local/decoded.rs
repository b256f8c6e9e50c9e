//! A memo of decoded entries: while Redis returns the same bytes for a key, they
//! are not decoded again, and all lookups share one value.

use std::{
    any::Any,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Codec,
    entry::{self, Content, UnusableEntry},
    local::slots::slot,
};

/// The number of slots. Each key maps to one, which other keys may share.
const SLOTS: usize = 512;
/// Larger entries are decoded every time; this bounds the memo to 1 MiB.
const MAX_DECODED_BYTES: usize = 2048;

/// The last decoded entry of each slot.
pub struct DecodedEntries(Mutex<Vec<Option<Decoded>>>);

struct Decoded {
    name: String,
    /// The key's epoch in the near cache when it was last found.
    epoch: u64,
    bytes: Vec<u8>,
    content: Arc<dyn Any + Send + Sync>,
}

impl Default for DecodedEntries {
    fn default() -> Self {
        Self(Mutex::new((0..SLOTS).map(|_| None).collect()))
    }
}

impl DecodedEntries {
    /// Decodes an entry, or returns the memoised one. The flag says whether the bytes were
    /// new, or the key had another epoch when they were last found: then this process may
    /// have dropped its own copy.
    ///
    /// # Errors
    /// Returns a description of bytes that [`entry::decode`] rejects.
    pub fn decode<T: Send + Sync + 'static, C: Codec<T>>(
        &self,
        codec: &C,
        bytes: Vec<u8>,
        key: &str,
        epoch: u64,
    ) -> Result<(Arc<Content<T>>, bool), UnusableEntry> {
        let index = slot(key, SLOTS);
        if let Some(found) = self.get(index, &bytes, key, epoch) {
            return Ok(found);
        }
        let decoded = entry::decode(codec, &bytes, key);
        let content = Arc::new(decoded.map_err(|what| UnusableEntry::new(what, &bytes))?);
        if bytes.len() <= MAX_DECODED_BYTES {
            let (name, content) = (key.to_owned(), Arc::clone(&content) as _);
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots[index] = Some(Decoded { name, epoch, bytes, content });
        }
        Ok((content, true))
    }

    fn get<T: Send + Sync + 'static>(
        &self,
        index: usize,
        bytes: &[u8],
        key: &str,
        epoch: u64,
    ) -> Option<(Arc<Content<T>>, bool)> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = slots[index].as_mut()?;
        // The name is compared as well, so that a copy under another key is
        // rejected.
        let is_same = decoded.bytes == bytes && decoded.name == key;
        let content = is_same.then(|| Arc::clone(&decoded.content))?;
        let content = content.downcast().ok()?;
        let is_new = mem::replace(&mut decoded.epoch, epoch) != epoch;
        Some((content, is_new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Json, entry::EntryMeta, sample::Profile};

    const KEY: &str = "profile:1";

    fn bytes(version: u64) -> Vec<u8> {
        let (name, email) = ("Anna".to_owned(), "anna@example.com".to_owned());
        let anna = Profile { user_id: "1".to_owned(), name, email, age: 30 };
        let meta = EntryMeta::default();
        entry::encode(&Json::default(), KEY, version, Some(&anna), &meta).unwrap()
    }

    type Decoded<T> = Result<(Arc<Content<T>>, bool), UnusableEntry>;

    fn decode(memo: &DecodedEntries, version: u64, key: &str) -> Decoded<Profile> {
        memo.decode(&Json::default(), bytes(version), key, 0)
    }

    #[test]
    fn the_same_bytes_are_decoded_once() {
        let memo = DecodedEntries::default();
        let (first, is_new) = decode(&memo, 1, KEY).unwrap();
        let (again, is_new_again) = decode(&memo, 1, KEY).unwrap();
        assert!(Arc::ptr_eq(&first, &again) && is_new && !is_new_again);
        let (second, _) = decode(&memo, 2, KEY).unwrap();
        assert!(matches!(&*second, Content::Value(value, _) if value.version == 2));
    }

    #[test]
    fn the_same_bytes_count_as_new_after_an_invalidation() {
        let (memo, codec) = (DecodedEntries::default(), Json::default());
        let is_new = |epoch| {
            let found = memo.decode::<Profile, _>(&codec, bytes(1), KEY, epoch);
            found.unwrap().1
        };
        assert_eq!([0, 0, 1, 1].map(is_new), [true, false, true, false]);
    }

    #[test]
    fn known_bytes_under_another_key_are_still_rejected() {
        let memo = DecodedEntries::default();
        decode(&memo, 1, KEY).unwrap();
        for n in 0..2_000 {
            assert!(decode(&memo, 1, &format!("profile:other-{n}")).is_err());
        }
    }
}
