//! Dropping copies from the cache on purpose: by key, by tag, by pattern.

use std::str::FromStr;

use hitrate_cache::{
    Cache, CachePolicy, Invalidated, Namespace, Pattern, ScanProgress,
    redis::RedisError,
    trace::{Span, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    demo::{
        keys,
        model::{PRODUCT_MAX, UserId},
    },
    schemas,
};

/// What shall be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidationTarget {
    /// One copy.
    Copy(Copied),
    /// All of a namespace.
    Tag(Namespace),
    /// All whose keys match.
    Matching(Pattern),
}

/// Whose copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// `profile:{id}`.
    Profile(UserId),
    /// `product:{id}`.
    Product(u32),
}

/// Why a text says nothing that could be dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// No such key.
    #[error("A key is profile: and an id, or product: and a number from 1 to {PRODUCT_MAX}.")]
    NotAKey,
    /// No such tag.
    #[error("A tag is profile or product.")]
    NotATag,
    /// No such pattern.
    #[error(
        "A pattern begins with profile: or product: and has at most 100 letters, digits, - _ * or ?."
    )]
    NotAPattern,
}

/// What dropping did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidationResult {
    /// Of one key.
    Copy(Invalidated),
    /// Of a tag: nobody knows how many copies there were.
    Tag,
    /// Of a pattern.
    Swept(ScanProgress),
    /// Of a pattern, had it been meant.
    Counted(ScanProgress),
}

impl FromStr for Copied {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        match text.split_once(':') {
            Some(("profile", id)) => {
                id.parse().map(Self::Profile).map_err(|_| InvalidTarget::NotAKey)
            }
            Some(("product", number)) => product(number).ok_or(InvalidTarget::NotAKey),
            _ => Err(InvalidTarget::NotAKey),
        }
    }
}

fn product(text: &str) -> Option<Copied> {
    let number: u32 = text.parse().ok()?;
    let fits = (1..=PRODUCT_MAX).contains(&number) && number.to_string() == text;
    fits.then_some(Copied::Product(number))
}

impl InvalidationTarget {
    /// The copy under a key such as `profile:123`.
    pub fn key(text: &str) -> Result<Self, InvalidTarget> {
        text.parse().map(Self::Copy)
    }

    /// Everything with a tag such as `profile`.
    pub fn tag(text: &str) -> Result<Self, InvalidTarget> {
        keys::cached(text).map(Self::Tag).ok_or(InvalidTarget::NotATag)
    }

    /// Everything that matches a pattern such as `profile:user-*`.
    pub fn pattern(text: &str) -> Result<Self, InvalidTarget> {
        let pattern = Pattern::parse(text, &keys::CACHED);
        pattern.map(Self::Matching).ok_or(InvalidTarget::NotAPattern)
    }
}

/// What an invalidation did.
#[derive(Serialize, ToSchema)]
pub struct Dropped {
    /// `key`, `tag` or `pattern`.
    pub by: &'static str,
    /// Which one.
    pub what: String,
    /// Whether copies were only counted.
    pub dry_run: bool,
    /// Copies that were found; null by tag, where nobody counts.
    pub found: Option<u64>,
    /// Copies that were dropped.
    pub dropped: Option<u64>,
    /// In a sentence.
    pub message: String,
    /// What was said to Redis, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    pub trace: Vec<Span>,
}

/// Drops it, or, of a pattern in a dry run, only counts. `progress` hears of
/// each batch of a pattern.
pub async fn run(
    cache: &Cache,
    what: &InvalidationTarget,
    dry_run: bool,
    policy: &CachePolicy,
    trace: &Trace,
    progress: impl FnMut(ScanProgress),
) -> Result<InvalidationResult, RedisError> {
    match what {
        InvalidationTarget::Copy(Copied::Profile(id)) => {
            cache.invalidate(&keys::profile(id), policy, trace).await.map(InvalidationResult::Copy)
        }
        InvalidationTarget::Copy(Copied::Product(number)) => cache
            .invalidate(&keys::product(*number), policy, trace)
            .await
            .map(InvalidationResult::Copy),
        InvalidationTarget::Tag(namespace) => {
            cache.invalidate_tag(*namespace, trace).await.map(|()| InvalidationResult::Tag)
        }
        InvalidationTarget::Matching(pattern) => {
            let swept =
                cache.invalidate_matching(pattern, dry_run, policy, trace, progress).await?;
            Ok(if dry_run {
                InvalidationResult::Counted(swept)
            } else {
                InvalidationResult::Swept(swept)
            })
        }
    }
}

impl InvalidationResult {
    /// In a sentence.
    pub fn message(&self) -> String {
        let told = self.told();
        match self {
            Self::Swept(sweep) | Self::Counted(sweep) if !sweep.is_complete => {
                format!("{told} Not all keys were looked at in time: do it again.")
            }
            _ => told,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Copy(Invalidated::Dropped) => "The copy was dropped.".to_owned(),
            Self::Copy(Invalidated::Nothing) => "There was no copy.".to_owned(),
            Self::Copy(Invalidated::Kept) => {
                "The copy stays: the database does not have that value yet.".to_owned()
            }
            Self::Tag => "Every copy with this tag is of the past now.".to_owned(),
            Self::Swept(sweep) if sweep.found > sweep.dropped => format!(
                "{} of {} copies were dropped; the others wait for the database.",
                sweep.dropped, sweep.found
            ),
            Self::Swept(sweep) => format!("{} dropped.", copies(sweep.dropped)),
            Self::Counted(sweep) => format!("{} would be dropped.", copies(sweep.found)),
        }
    }

    /// How many copies were found, and how many of them dropped, where that is known.
    pub fn counts(&self) -> Option<(u64, u64)> {
        match self {
            Self::Copy(forgot) => {
                let found = u64::from(*forgot != Invalidated::Nothing);
                Some((found, u64::from(*forgot == Invalidated::Dropped)))
            }
            Self::Tag => None,
            Self::Swept(sweep) | Self::Counted(sweep) => Some((sweep.found, sweep.dropped)),
        }
    }
}

impl Dropped {
    /// The result of dropping `what`, which was named `by` key, tag or pattern.
    pub fn of(
        by: &'static str,
        what: String,
        dry_run: bool,
        outcome: &InvalidationResult,
        trace: &Trace,
    ) -> Self {
        let counts = outcome.counts();
        Self {
            by,
            what,
            dry_run: dry_run && by == "pattern",
            found: counts.map(|it| it.0),
            dropped: counts.map(|it| it.1),
            message: outcome.message(),
            trace: trace.spans(),
        }
    }
}

fn copies(count: u64) -> String {
    crate::format::counted(&count, "copy", "copies")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copies_can_be_named() {
        assert!(
            InvalidationTarget::key("profile:123").is_ok()
                && InvalidationTarget::key("product:1000").is_ok()
        );
        for bad in ["page_hits", "profile:", "profile:a:b", "product:0", "product:01", "tag:x", ""]
        {
            assert_eq!(InvalidationTarget::key(bad), Err(InvalidTarget::NotAKey), "{bad}");
        }
        assert_eq!(InvalidationTarget::tag("session"), Err(InvalidTarget::NotATag));
    }
}
