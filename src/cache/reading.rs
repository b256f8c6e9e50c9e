//! How a read goes, by whom it asks first.

use std::time::{Duration, Instant};

use super::{
    Ask, Cache, early,
    failure::Failure,
    load::Loaded,
    look::{Held, Look, Miss, Past, Seen},
    lookup::{Fill, Forward, Lookup},
    origin::Origin,
};
use crate::{keys::Cached, model::Source, wire::Target};

/// The last part of a TTL, as a share of it: refresh-ahead reloads what is read then.
const AHEAD: f64 = 0.2;

impl Cache {
    /// The origin alone; the cache is neither read nor filled.
    pub(super) async fn read_around<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> Result<Lookup<T>, Failure> {
        let seen = Seen::miss(Miss::Unasked);
        let loaded = Box::pin(self.load_here(ask, &seen, origin)).await?;
        Ok(self.loaded(ask, loaded, Forward::Bypass, false))
    }

    /// The cache, then the caller's own load.
    pub(super) async fn read_aside<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> Result<Lookup<T>, Failure> {
        let seen = self.look(ask).await;
        if let Look::Fresh(held) = seen.look {
            return Ok(self.held(ask, held));
        }
        let loaded = Box::pin(self.load_here(ask, &seen, origin)).await?;
        Ok(self.loaded(ask, loaded, Forward::Miss, false))
    }

    /// The cache, which loads what it does not have.
    pub(super) async fn read_through<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> Result<Lookup<T>, Failure> {
        self.read_with(ask, origin, |held| {
            let (Some(beta), Some(left)) = (ask.recipe.early, held.left) else { return false };
            early::may_be_due(left, held.delta, beta)
                && early::is_due(left, held.delta, beta, rand::random())
        })
        .await
    }

    /// The same, and what has little time left is reloaded before it ends.
    pub(super) async fn read_ahead<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> Result<Lookup<T>, Failure> {
        let last = ask.recipe.ttl.mul_f64(AHEAD);
        self.read_with(ask, origin, |held| held.left.is_some_and(|left| left < last)).await
    }

    async fn read_with<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
        is_due: impl Fn(&Held<T>) -> bool,
    ) -> Result<Lookup<T>, Failure> {
        let mut seen = self.look(ask).await;
        let look = std::mem::replace(&mut seen.look, Look::Miss(Miss::Empty));
        let miss = match look {
            Look::Fresh(held) => {
                if held.source == Source::Cache && held.value.is_some() && is_due(&held) {
                    self.refresh(ask, &seen, &held, origin);
                }
                return Ok(self.held(ask, held));
            }
            Look::Miss(miss) => miss,
        };
        seen.look = Look::Miss(miss);
        if let Some(past) = self.look_for_past(ask, &seen).await {
            return Box::pin(self.read_with_grace(ask, &seen, past, origin)).await;
        }
        // Boxed, as are the others of a miss: a hit shall not carry their weight.
        let (loaded, collapsed) = Box::pin(self.load_shared(ask, &seen, origin)).await?;
        Ok(self.loaded(ask, loaded, Forward::Miss, collapsed))
    }

    /// Waits a little for the origin, then serves what is past its TTL; the
    /// load goes on. When Redis could not say that nothing is newer, it waits
    /// until the origin fails.
    async fn read_with_grace<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: &Seen<T>,
        past: Past<T>,
        origin: O,
    ) -> Result<Lookup<T>, Failure> {
        let soft = ask.recipe.soft_timeout.filter(|_| past.trouble.is_none());
        let (since, patience) = (Instant::now(), soft.unwrap_or(Duration::MAX));
        let loading = self.load_shared(ask, seen, origin);
        let why = match tokio::time::timeout(patience, loading).await {
            Ok(Ok((loaded, collapsed))) => {
                let is_sure = past.trouble.is_none();
                let forward = if is_sure { Forward::Stale } else { Forward::Miss };
                return Ok(self.loaded(ask, loaded, forward, collapsed));
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "the load goes on in the background".to_owned(),
        };
        ask.wire.tell(Target::Hitrate, since, "serve what is past its TTL", || why);
        let fill = past.trouble.map_or(Fill::Unneeded, Fill::Failed);
        Ok(Lookup { fill, ..self.held(ask, Held { source: Source::Stale, ..past.held }) })
    }

    fn held<T>(&self, ask: Ask<'_, T>, held: Held<T>) -> Lookup<T> {
        Lookup {
            version: held.value.as_ref().map(|_| held.version),
            value: held.value,
            source: held.source,
            key: self.store.name(ask.key),
            ttl: held.left,
            past: held.past,
            age: held.age,
            fill: Fill::Unneeded,
            forward: Forward::No,
            collapsed: false,
            recipe: ask.recipe.name,
            elapsed_us: 0,
        }
    }

    fn loaded<T>(
        &self,
        ask: Ask<'_, T>,
        loaded: Loaded<T>,
        forward: Forward,
        collapsed: bool,
    ) -> Lookup<T> {
        Lookup {
            version: loaded.value.as_ref().map(|_| loaded.version),
            value: loaded.value,
            source: loaded.source,
            key: self.store.name(ask.key),
            ttl: loaded.ttl,
            past: Duration::ZERO,
            age: loaded.age,
            fill: loaded.fill,
            forward,
            collapsed,
            recipe: ask.recipe.name,
            elapsed_us: 0,
        }
    }
}
