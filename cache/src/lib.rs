//! An async cache on Redis, in front of a slow origin.
//!
//! There are three operations: [`Cache::fetch`] reads, [`Cache::write`] writes and
//! [`Cache::invalidate`] (with its variants by tag and by pattern) drops copies. A
//! [`CachePolicy`] selects the strategy and the protections. Each operation returns
//! plain data that says what happened: a [`Lookup`], [`Written`] or
//! [`Invalidated`].
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use hitrate_cache::{
//!     Cache, Cached, Engine, Key, Namespace, CachePolicy, Versioned,
//!     redis::{Address, Health, Store},
//!     trace::Trace,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! const USER: Namespace = Namespace::new("user");
//!
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     id: String,
//!     name: String,
//! }
//!
//! impl Cached for User {
//!     fn key(&self) -> Key<Self> {
//!         Key::of(USER, &self.id)
//!     }
//! }
//! # #[derive(Debug, thiserror::Error)] #[error("the origin failed")] struct Down;
//! # impl hitrate_cache::OriginError for Down {}
//! # async fn load_user(id: &str) -> Result<Option<Versioned<User>>, Down> { Err(Down) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let address = Address::parse("redis://127.0.0.1:6379")?;
//! let store = Store::open(&address, "app:", &Arc::new(Health::default()));
//! let cache = Cache::new(store, Arc::new(Engine::new("app:", &[USER], Arc::new(()))));
//!
//! let key = Key::of(USER, "123");
//! let lookup = cache.fetch(&key, &CachePolicy::DEFAULT, &Trace::disabled(), || load_user("123")).await?;
//! println!("{:?} from {:?}, {} µs", lookup.value.is_some(), lookup.source, lookup.elapsed_us);
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! These hold for every policy except `cache-aside`, which shows what happens
//! without them:
//!
//! - A cache failure is a miss. The only error is the origin's ([`FetchError`]).
//! - An older value never replaces a newer one. Entries carry versions, and a fill
//!   compares them inside a script ([`scripts`]).
//! - Once a write is acknowledged, no reader in this process gets the older value.
//!   Readers in other processes stop getting it when Redis has been updated, which
//!   happens before the acknowledgement unless Redis is unreachable. A near cache
//!   learns of another process's write from an invalidation push, a moment later.
//! - Every wait has a deadline, and every queue has a bound.
//!
//! An older value may still be read after a newer one was acknowledged in these
//! cases:
//!
//! | when | by | for how long |
//! |---|---|---|
//! | policy `cache-aside` | everyone | until the TTL expires, if a slow reader stored the old value |
//! | an edit while Redis is unreachable | other processes | until the invalidation is replayed: within 2 s of Redis's return |
//! | policy `near-cache`, an edit in another process | this process | until Redis's push arrives; 1 s if the tracking connection is frozen |
//! | policy `near-cache`, Redis unavailable | other processes | 5 s, marked `stale` |
//! | policy `write-behind` | readers that bypass the cache, or when Redis is unavailable | until the write is flushed: the flush interval plus any delay |
//! | Redis unavailable and the origin failing | other processes | the grace period, marked `stale` |
//!
//! # Known limits
//!
//! - An acknowledged write-behind write is lost if Redis then loses its memory: at
//!   most the last second with `appendfsync everysec`, none with `always`, and
//!   everything not yet flushed without an append-only file.
//! - Stamps use Redis's clock as of its last reply, accurate to half a round trip.
//! - An invalidation by pattern covers only existing keys: if another process is
//!   loading a cold key meanwhile, it still stores its value.
//! - Copies past their TTL are kept in the process, because Redis deletes a key
//!   when its TTL expires. The version of the last edit is kept under
//!   `edited:{key}` for as long as any process may hold such a copy.
//!
//! # Modules
//!
//! [`fetch`] implements a lookup and [`mod@write`] a write, with [`write_behind`]
//! for queued writes. `strategy/` has one file per strategy, which combines these
//! steps. [`local`] holds the state of this process, [`entry`] the format of a
//! value in Redis, [`invalidate`] explicit invalidation, [`inspect`] a read-only
//! view of what is cached, and [`redis`] the Redis client.

mod cache;
pub mod condition;
mod engine;
mod entry;
mod error;
mod fetch;
mod inspect;
mod invalidate;
mod keys;
mod local;
mod namespace;
mod observer;
mod origin;
mod policy;
pub mod redis;
#[cfg(test)]
mod sample;
mod scripts;
mod strategy;
#[cfg(all(unix, feature = "test-util"))]
pub mod test_util;
pub mod time;
pub mod trace;
mod value;
mod write;

pub(crate) use self::cache::Request;
pub use self::{
    cache::Cache,
    engine::{Engine, MAX_ENTRY_BYTES},
    entry::decode_entry,
    error::{FetchError, OriginError},
    fetch::lookup::{Fill, Forward, Lookup},
    inspect::{CacheState, Inspection},
    invalidate::{Invalidated, Pattern, ScanProgress},
    namespace::{Cached, Key, Namespace},
    observer::{Failpoint, Observer},
    origin::{Committed, Origin, Writable, WriteOrder},
    policy::{CachePolicy, UnknownPolicy},
    strategy::Strategy,
    value::{Source, Versioned},
    write::{
        write_behind,
        written::{Effect, Written},
    },
};
