//! A memo of decoded entries: while Redis returns the same bytes for a key, they
//! are not decoded again, and all lookups share one value.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Cached, Key,
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
    pub fn decode<T: Cached>(
        &self,
        bytes: Vec<u8>,
        key: &Key<T>,
    ) -> Result<(Arc<Content<T>>, bool), &'static str> {
        let index = slot(key.as_str(), SLOTS);
        if let Some(content) = self.get(index, &bytes, key) {
            return Ok((content, false));
        }
        let content = Arc::new(entry::decode(&bytes, key)?);
        if bytes.len() <= MAX_DECODED_BYTES {
            let (name, content) = (key.as_str().to_owned(), Arc::clone(&content) as _);
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots[index] = Some(Decoded { name, bytes, content });
        }
        Ok((content, true))
    }

    fn get<T: Cached>(&self, index: usize, bytes: &[u8], key: &Key<T>) -> Option<Arc<Content<T>>> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = slots[index].as_ref()?;
        // The name is compared as well, so that a copy under another key is
        // rejected.
        let is_same = decoded.bytes == bytes && decoded.name == key.as_str();
        let content = is_same.then(|| Arc::clone(&decoded.content))?;
        content.downcast().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entry::EntryMeta,
        sample::{self, Product, Profile},
    };

    fn anna() -> Profile {
        let (name, email) = ("Anna".to_owned(), "anna@example.com".to_owned());
        Profile { user_id: "1".to_owned(), name, email, age: 30 }
    }

    #[test]
    fn the_same_bytes_are_decoded_once() {
        let (memo, key) = (DecodedEntries::default(), anna().key());
        let bytes = |version| entry::encode(version, Some(&anna()), EntryMeta::default());
        let (first, is_new) = memo.decode(bytes(1), &key).unwrap();
        let (again, is_new_again) = memo.decode(bytes(1), &key).unwrap();
        assert!(Arc::ptr_eq(&first, &again) && is_new && !is_new_again);
        let (second, _) = memo.decode(bytes(2), &key).unwrap();
        assert!(matches!(&*second, Content::Value(value, _) if value.version == 2));
    }

    #[test]
    fn known_bytes_under_another_key_are_still_rejected() {
        let memo = DecodedEntries::default();
        let bytes = entry::encode(1, Some(&anna()), EntryMeta::default());
        memo.decode(bytes.clone(), &anna().key()).unwrap();
        for n in 0..2_000 {
            let other = sample::profile(&format!("other-{n}"));
            assert!(memo.decode(bytes.clone(), &other).is_err());
        }
        let product: Key<Product> = Product { id: 1 }.key();
        assert!(memo.decode(bytes, &product).is_err());
    }
}
