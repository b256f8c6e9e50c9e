//! Whatever lies under a profile's key in Redis, the decoder neither panics nor
//! takes it for another's profile.

#![no_main]

use hitrate::{cache, keys};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let key = keys::profile(&"1".parse().expect("an id"));
    if let Ok(Some(found)) = cache::decode_entry(bytes, &key) {
        assert_eq!(found.value.user_id, "1");
    }
});
