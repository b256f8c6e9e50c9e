//! A memo of decoded entries: while Redis returns the same bytes for a key, they
//! are not decoded again, and all lookups share one value.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Codec,
    entry::{self, Content},
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
    bytes: Vec<u8>,
    content: Arc<dyn Any + Send + Sync>,
}

impl Default for DecodedEntries {
    fn default() -> Self {
        Self(Mutex::new((0..SLOTS).map(|_| None).collect()))
    }
}

impl DecodedEntries {
    /// Decodes an entry, or returns the memoised one. The flag says whether the
    /// bytes were new.
    ///
    /// # Errors
    /// Returns the error of [`entry::decode`].
    pub fn decode<T: Send + Sync + 'static, C: Codec<T>>(
        &self,
        codec: &C,
        bytes: Vec<u8>,
        key: &str,
    ) -> Result<(Arc<Content<T>>, bool), &'static str> {
        let index = slot(key, SLOTS);
        if let Some(content) = self.get(index, &bytes, key) {
            return Ok((content, false));
        }
        let content = Arc::new(entry::decode(codec, &bytes, key)?);
        if bytes.len() <= MAX_DECODED_BYTES {
            let (name, content) = (key.to_owned(), Arc::clone(&content) as _);
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots[index] = Some(Decoded { name, bytes, content });
        }
        Ok((content, true))
    }

    fn get<T: Send + Sync + 'static>(
        &self,
        index: usize,
        bytes: &[u8],
        key: &str,
    ) -> Option<Arc<Content<T>>> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = slots[index].as_ref()?;
        // The name is compared as well, so that a copy under another key is
        // rejected.
        let is_same = decoded.bytes == bytes && decoded.name == key;
        let content = is_same.then(|| Arc::clone(&decoded.content))?;
        content.downcast().ok()
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

    type Decoded<T> = Result<(Arc<Content<T>>, bool), &'static str>;

    fn decode(memo: &DecodedEntries, version: u64, key: &str) -> Decoded<Profile> {
        memo.decode(&Json::default(), bytes(version), key)
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
    fn known_bytes_under_another_key_are_still_rejected() {
        let memo = DecodedEntries::default();
        decode(&memo, 1, KEY).unwrap();
        for n in 0..2_000 {
            assert!(decode(&memo, 1, &format!("profile:other-{n}")).is_err());
        }
    }
}
