//! A cache layer over Redis, in front of a slow origin.
//!
//! Three verbs are the whole of it: [`Cache::fetch`] reads, [`Cache::write`]
//! writes, [`Cache::forget`] (and its siblings by tag and by pattern) drops.
//! How is a value, the [`CachePolicy`]: a strategy and its protections. What
//! happened comes back as plain data, the [`Lookup`] or [`Written`].
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
//! let found = cache.fetch(&key, &CachePolicy::DEFAULT, &Trace::disabled(), || load_user("123")).await?;
//! println!("{:?} from {:?}, {} µs", found.value.is_some(), found.source, found.elapsed_us);
//! # Ok(()) }
//! ```
//!
//! What always holds, whatever the policy (`cache-aside` excepted, which is there to
//! see what happens without):
//!
//! - A cache that fails is a miss. The only error is the origin's ([`FetchError`]).
//! - An older value never replaces a newer one: entries carry versions, and a
//!   fill compares them inside a script ([`scripts`]).
//! - After a write was acknowledged, nobody in this process reads the older
//!   value; nobody in any process once Redis was told, which is before the
//!   acknowledgement unless Redis can't be reached. A near cache learns of
//!   another process's write by a push, a moment later.
//! - Every wait has a deadline, every queue a bound.
//!
//! Where an older value may be read after a newer one was acknowledged, and for
//! how long:
//!
//! | when | by whom | how long |
//! |---|---|---|
//! | policy `cache-aside` | everyone | until the TTL ends, if a slow reader stored it |
//! | an edit while Redis can't be told | other processes | until it is told: within 2 s of its return |
//! | policy `near-cache`, an edit in another process | this process | until Redis's push arrives; a second if the connection for pushes is frozen |
//! | policy `near-cache`, Redis away | other processes | 5 s, marked `stale` |
//! | policy `write-behind` | readers of the database itself, or without Redis | until it is flushed: the interval plus what hinders it |
//! | Redis away and the origin failing | other processes | the grace, marked `stale` |
//!
//! Known limits:
//!
//! - An acknowledged write-behind is lost if Redis then loses its memory: at most
//!   the last second with `appendfsync everysec`, nothing with `always`, everything
//!   that was not flushed without an append-only file.
//! - Stamps take Redis's clock from its last answer, right to half a round trip.
//! - An invalidation by pattern sees only what is there: a load of a cold key that
//!   is under way in another process stores its value all the same.
//! - Copies past their TTL are kept in the process, not in Redis, where a key ends
//!   with its TTL. What is known of an edit is kept under `edited:{key}` for as
//!   long as any process may hold such a copy.
//!
//! Where to find what: [`fetch`] is a lookup, step by step; [`mod@write`] a write, with
//! [`write_behind`] for those that wait; `strategy/` has a file for each strategy:
//! which of those steps it takes. [`local`] is what this process holds, [`entry`]
//! how a value lies in Redis, [`invalidate`] dropping copies on purpose, [`inspect`]
//! what is held at the moment, for the eye only, and [`redis`] the door to Redis.

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
