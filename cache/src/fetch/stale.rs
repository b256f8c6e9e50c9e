//! Copies that this process keeps past their TTL, for when the origin fails or is slow.

use crate::{
    Codec, Namespace,
    fetch::probe::{Miss, Probe, ProbeResult},
    keys,
    local::{cached_copy::CachedCopy, near::Epoch},
    redis::{Key, RedisError},
};

/// A copy past its TTL.
pub struct StaleCopy<T> {
    /// The copy.
    pub copy: CachedCopy<T>,
    /// The error that kept Redis from confirming that nothing is newer, if any.
    pub error: Option<RedisError>,
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Returns this process's stale copy if it may be served: no newer version and
    /// no invalidation is known. Asks Redis only if there is such a copy. O(1).
    pub(crate) async fn probe_stale(
        &self,
        key: &Key<T>,
        probed: &ProbeResult<T>,
    ) -> Option<StaleCopy<T>> {
        let grace = self.policy.grace;
        let copy = (!grace.is_zero()).then(|| self.shared().stale.get::<T>(key.as_str()))?;
        let copy = copy.filter(|copy| copy.value.is_some() && copy.stale_for < grace)?;
        match &probed.probe {
            Probe::Miss(Miss::Redis(RedisError::Outdated)) => return None,
            Probe::Miss(Miss::Redis(error)) => {
                return Some(StaleCopy { copy, error: Some(error.clone()) });
            }
            _ if probed.is_tombstone
                || copy.version < probed.floor
                || copy.loaded_since < probed.since
                || Some(copy.tag) != probed.tag =>
            {
                return None;
            }
            _ => (),
        }
        let client = self.client();
        let edited = client.on("GET", &keys::edited(client.prefix(), key));
        match client.run::<Option<String>>(edited, &self.trace).await {
            Ok(Some(edited)) if is_older(&copy, &edited) => None,
            Err(error) => Some(StaleCopy { copy, error: Some(error) }),
            Ok(_) => match self.are_current(&copy.tags).await {
                Ok(false) | Err(RedisError::Outdated) => None,
                outcome => Some(StaleCopy { copy, error: outcome.err() }),
            },
        }
    }

    /// Keeps a copy for its grace period, unless the key was invalidated since
    /// `epoch`.
    pub(crate) fn remember(&self, key: &Key<T>, copy: &CachedCopy<T>, epoch: Epoch) {
        let (name, grace) = (key.as_str(), self.policy.grace);
        let Some(left) = copy.left.filter(|_| !grace.is_zero() && copy.value.is_some()) else {
            return;
        };
        let entries = &self.shared().stale;
        self.shared().near.if_unchanged(name, epoch, || {
            let known = entries.get::<T>(name);
            let is_newer = |known: CachedCopy<T>| {
                (known.version, known.created_at) < (copy.version, copy.created_at)
                    || known.tag != copy.tag
            };
            if known.is_none_or(is_newer) {
                entries.insert(name, copy.clone(), left + grace);
            }
        });
    }
}

/// Whether a copy may not be served past its TTL: a later version was written, or it was
/// invalidated after it was loaded. `edited` is the value of its `edited` key.
fn is_older<T>(copy: &CachedCopy<T>, edited: &str) -> bool {
    let (floor, at) = edited.split_once(':').unwrap_or((edited, ""));
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    copy.version < number(floor) || copy.loaded_since < number(at)
}
