//! [migration]: docs::migration
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod builder;
mod cache;
mod codec;
#[cfg(any(doc, doctest))]
pub mod docs;
mod entry;
mod error;
mod fetch;
mod health;
mod inspect;
mod invalidate;
mod invalidated;
mod key_part;
mod keys;
mod loaded;
mod loader;
mod local;
mod namespace;
mod observer;
mod operations;
mod policy;
#[cfg(feature = "client")]
pub mod redis;
#[cfg(not(feature = "client"))]
#[allow(dead_code, unused_imports, reason = "the feature `client` makes all of it public")]
mod redis;
#[cfg(test)]
mod sample;
mod scripts;
mod shared;
mod source;
mod tags;
#[cfg(all(unix, feature = "test-util"))]
pub mod test_util;
pub mod trace;
mod warm;
mod write;

#[cfg(feature = "client")]
pub mod condition;
#[cfg(not(feature = "client"))]
mod condition;
#[cfg(feature = "client")]
pub mod time;
#[cfg(not(feature = "client"))]
#[allow(dead_code, reason = "the feature `client` makes all of it public")]
mod time;

#[cfg(feature = "metrics")]
pub use self::observer::MetricsObserver;
#[cfg(feature = "tracing")]
pub use self::observer::TracingObserver;
#[cfg(feature = "write-behind")]
pub use self::write::write_behind;
pub use self::{
    builder::CacheBuilder,
    cache::Cache,
    codec::{Codec, Json},
    error::{BoxError, Error},
    fetch::lookup::{Fill, Forward, Lookup},
    health::Health,
    inspect::{CacheState, Inspection},
    invalidate::{Pattern, ScanProgress},
    invalidated::Invalidated,
    key_part::KeyPart,
    loaded::{IntoLoaded, Loaded, Versioned},
    loader::{Loader, Origin},
    namespace::Namespace,
    observer::{Failpoint, LookedUp, Observer},
    policy::{CachePolicy, OnWrite, Protection, Refresh},
    redis::{BadAddress, BreakerState, RedisError, RedisStatus},
    source::Source,
    write::written::{Effect, Written},
};
