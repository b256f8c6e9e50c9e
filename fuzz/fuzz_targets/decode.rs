//! Fuzzes the entry decoder: for any bytes, it neither panics nor returns a value that
//! belongs under another key.

#![no_main]

use hitrate_cache::{Cached, Key, Namespace, decode_entry};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

const PROFILE: Namespace = Namespace::new("profile");

#[derive(Serialize, Deserialize)]
struct Profile {
    user_id: String,
    name: String,
    email: String,
    age: u32,
}

impl Cached for Profile {
    fn key(&self) -> Key<Self> {
        Key::of(PROFILE, &self.user_id)
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(found)) = decode_entry(bytes, &Key::<Profile>::of(PROFILE, "1")) {
        assert_eq!(found.value.user_id, "1");
    }
});
