//! Fuzzes the entry decoder: for any bytes, it does not panic.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use hitrate_cache::{Cache, CachePolicy, Namespace};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Profile {
    user_id: String,
    name: String,
    email: String,
    age: u32,
}

static PROFILES: LazyLock<Namespace<Profile>> =
    LazyLock::new(|| Cache::off().namespace("profile", CachePolicy::ttl(Duration::from_secs(1))));

fuzz_target!(|bytes: &[u8]| {
    let _ = PROFILES.decode("1", bytes);
});
