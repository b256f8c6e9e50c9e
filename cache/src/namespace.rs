//! A namespace: the values of one kind.

use std::{fmt, sync::Arc};

use smol_str::SmolStrBuilder;

use crate::{
    Cache, CachePolicy, Codec, Json, KeyPart,
    redis::{Client, Key},
    shared::{NamespaceState, Shared},
    trace::Trace,
};

/// The values of one kind, under keys that begin with the namespace's name. Cloning is
/// cheap.
pub struct Namespace<T, C = Json> {
    handle: Arc<Handle>,
    pub(crate) policy: CachePolicy,
    pub(crate) trace: Trace,
    pub(crate) codec: C,
    value: std::marker::PhantomData<fn() -> T>,
}

/// What clones of one handle share.
struct Handle {
    cache: Cache,
    state: Arc<NamespaceState>,
}

impl<T, C: Clone> Clone for Namespace<T, C> {
    fn clone(&self) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
            trace: self.trace.clone(),
            codec: self.codec.clone(),
            ..*self
        }
    }
}

impl Cache {
    /// The namespace of this name, for values of type `T`. A namespace may have several
    /// handles; their type and codec must be the same.
    ///
    /// # Panics
    /// If the name is not made of letters, digits, `-` and `_`, or is one of the names that
    /// the cache uses itself: `lease`, `tag`, `tags`, `edited`, `clock`, `write-behind`.
    pub fn namespace<T: Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: CachePolicy,
    ) -> Namespace<T> {
        Namespace::new(self.clone(), self.shared().namespace(name), policy, Json::default())
    }
}

impl<T, C> Namespace<T, C> {
    pub(crate) fn new(
        cache: Cache,
        state: Arc<NamespaceState>,
        policy: CachePolicy,
        codec: C,
    ) -> Self {
        let (handle, trace) = (Arc::new(Handle { cache, state }), Trace::disabled());
        let policy = policy.bounded();
        let namespace = Self { handle, policy, trace, codec, value: std::marker::PhantomData };
        namespace.register_policy();
        namespace
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.handle.state.name
    }

    /// The policy.
    pub fn policy(&self) -> &CachePolicy {
        &self.policy
    }

    /// Replaces the codec. All handles of the namespace need the same one.
    #[must_use]
    pub fn codec<D: Codec<T>>(self, codec: D) -> Namespace<T, D> {
        let Self { handle, policy, trace, value, .. } = self;
        Namespace { handle, policy, trace, codec, value }
    }

    /// The namespace under another policy.
    ///
    /// Tombstones live as long as the longest policy of this process needs, so all
    /// processes should use the same policies.
    #[must_use]
    pub fn with(&self, policy: CachePolicy) -> Self
    where
        C: Clone,
    {
        let namespace = Self { policy: policy.bounded(), ..self.clone() };
        namespace.register_policy();
        namespace
    }

    /// Records the steps of the operations on this handle.
    #[must_use]
    pub fn traced(self, trace: &Trace) -> Self {
        Self { trace: trace.clone(), ..self }
    }

    /// The cache it belongs to.
    pub fn cache(&self) -> &Cache {
        &self.handle.cache
    }

    /// The full key of a value in Redis.
    pub fn full_key(&self, id: impl KeyPart) -> String {
        self.client().full_key(&self.key(&id))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.handle.cache.connection.client
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.cache.connection.shared
    }

    pub(crate) fn state(&self) -> &NamespaceState {
        &self.handle.state
    }

    pub(crate) fn key(&self, id: &(impl KeyPart + ?Sized)) -> Key<T> {
        let mut key = SmolStrBuilder::new();
        key.push_str(self.name());
        key.push(':');
        id.write_key(&mut KeyWriter(&mut key)).expect("writing to memory does not fail");
        Key::new(key.finish())
    }

    fn register_policy(&self) {
        self.state().include(&self.policy);
        if self.policy.near.is_some() {
            self.shared().track(self.state());
        }
    }
}

struct KeyWriter<'a>(&'a mut SmolStrBuilder);

impl fmt::Write for KeyWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        Ok(())
    }
}

/// A text with the separators of keys escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    text.write_key(&mut escaped).expect("writing to memory does not fail");
    escaped
}

impl<T, C> fmt::Debug for Namespace<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Namespace");
        debug.field("name", &self.name()).field("policy", &self.policy).finish_non_exhaustive()
    }
}
