//! Explicit invalidation of cached copies: by key, by tag or by pattern.

use std::str::FromStr;

use hitrate_cache::{
    Invalidated, Pattern, ScanProgress,
    redis::RedisError,
    trace::{Span, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    demo::{
        keys,
        model::{PRODUCT_MAX, UserId},
        policy::Policy,
        products::Products,
        profiles::Profiles,
    },
    schemas,
};

/// Maximum length of a pattern, in characters.
const PATTERN_MAX: usize = 100;

/// The copies to invalidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidationTarget {
    /// The copy under one key.
    Key(CopyKey),
    /// All copies of a namespace.
    Tag(CachedKind),
    /// All copies of a namespace whose id matches.
    Pattern(CachedKind, Pattern),
}

/// A kind of cached copies: a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedKind {
    /// `profile:…`
    Profile,
    /// `product:…`
    Product,
}

/// Key of one cached copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyKey {
    /// `profile:{id}`.
    Profile(UserId),
    /// `product:{id}`.
    Product(u32),
}

/// Error of a text that names no copies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not the key of a cached copy.
    #[error(
        "A key is profile: followed by an id, or product: followed by a number from 1 to {PRODUCT_MAX}."
    )]
    NotAKey,
    /// Not a tag.
    #[error("A tag is profile or product.")]
    NotATag,
    /// Not a pattern.
    #[error(
        "A pattern starts with profile: or product: and has at most 100 characters: letters, digits, -, _, * or ?."
    )]
    NotAPattern,
}

/// Result of an invalidation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidationResult {
    /// By key.
    Key(Invalidated),
    /// By tag, which does not count the copies.
    Tag(CachedKind),
    /// By pattern.
    Pattern(ScanProgress),
    /// By pattern, as a dry run.
    DryRun(ScanProgress),
}

impl CachedKind {
    fn named(name: &str) -> Option<Self> {
        match name {
            keys::PROFILE => Some(Self::Profile),
            keys::PRODUCT => Some(Self::Product),
            _ => None,
        }
    }

    /// The first word of the keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Profile => keys::PROFILE,
            Self::Product => keys::PRODUCT,
        }
    }
}

impl FromStr for CopyKey {
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

fn product(text: &str) -> Option<CopyKey> {
    let number: u32 = text.parse().ok()?;
    let fits = (1..=PRODUCT_MAX).contains(&number) && number.to_string() == text;
    fits.then_some(CopyKey::Product(number))
}

impl InvalidationTarget {
    /// Parses a key such as `profile:123`.
    pub fn key(text: &str) -> Result<Self, InvalidTarget> {
        text.parse().map(Self::Key)
    }

    /// Parses a tag such as `profile`.
    pub fn tag(text: &str) -> Result<Self, InvalidTarget> {
        CachedKind::named(text).map(Self::Tag).ok_or(InvalidTarget::NotATag)
    }

    /// Parses a pattern such as `profile:user-*`.
    pub fn pattern(text: &str) -> Result<Self, InvalidTarget> {
        let (kind, ids) = text.split_once(':').ok_or(InvalidTarget::NotAPattern)?;
        let (kind, pattern) = (CachedKind::named(kind), Pattern::parse(ids));
        let target = kind.zip(pattern).filter(|_| text.len() <= PATTERN_MAX);
        target.map(|(kind, ids)| Self::Pattern(kind, ids)).ok_or(InvalidTarget::NotAPattern)
    }
}

/// Result of an invalidation, as a page shows it.
#[derive(Serialize, ToSchema)]
pub struct Dropped {
    /// `key`, `tag` or `pattern`.
    pub by: &'static str,
    /// The key, tag or pattern.
    pub what: String,
    /// Whether copies were only counted.
    pub dry_run: bool,
    /// Copies that were found; null for a tag, whose copies are not counted.
    pub found: Option<u64>,
    /// Copies that were dropped.
    pub dropped: Option<u64>,
    /// Summary in a sentence.
    pub message: String,
    /// The commands sent to Redis, in order.
    #[schema(value_type = Vec<schemas::Span>)]
    pub trace: Vec<Span>,
}

/// Invalidates `target`. `dry_run` applies to patterns only: matching copies are
/// counted and stay. `progress` is called after each batch of a pattern.
///
/// # Errors
/// A failure of Redis. An invalidation by key or tag is then deferred by this process.
pub async fn run(
    (profiles, products): (&Profiles, &Products),
    target: &InvalidationTarget,
    dry_run: bool,
    policy: &Policy,
    trace: &Trace,
    progress: impl FnMut(ScanProgress),
) -> Result<InvalidationResult, RedisError> {
    let (profiles, products) =
        (profiles.namespace(policy, trace), products.namespace(policy, trace));
    match target {
        InvalidationTarget::Key(key) => {
            let outcome = match key {
                CopyKey::Profile(id) => profiles.invalidate(id).await,
                CopyKey::Product(number) => products.invalidate(*number).await,
            };
            completed(outcome).map(InvalidationResult::Key)
        }
        InvalidationTarget::Tag(kind) => {
            let outcome = match kind {
                CachedKind::Profile => profiles.invalidate_all().await,
                CachedKind::Product => products.invalidate_all().await,
            };
            completed(outcome).map(|_| InvalidationResult::Tag(*kind))
        }
        InvalidationTarget::Pattern(kind, ids) => {
            let scan = match kind {
                CachedKind::Profile => profiles.invalidate_matching(ids, dry_run, progress).await?,
                CachedKind::Product => products.invalidate_matching(ids, dry_run, progress).await?,
            };
            Ok(match dry_run {
                true => InvalidationResult::DryRun(scan),
                false => InvalidationResult::Pattern(scan),
            })
        }
    }
}

fn completed(outcome: Invalidated) -> Result<Invalidated, RedisError> {
    match outcome {
        Invalidated::Deferred(error) => Err(error),
        outcome => Ok(outcome),
    }
}

impl InvalidationResult {
    /// The result as a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::Pattern(scan) | Self::DryRun(scan) if !scan.is_complete => {
                format!("{} The scan ran out of time: run it again.", self.summary())
            }
            _ => self.summary(),
        }
    }

    fn summary(&self) -> String {
        match self {
            Self::Key(Invalidated::Dropped) => "The copy was dropped.".to_owned(),
            Self::Key(Invalidated::Nothing) => "There was no copy.".to_owned(),
            Self::Key(_) => "The copy was kept: its value is not in the database yet.".to_owned(),
            Self::Tag(tag) => format!("All copies tagged \"{}\" are now invalid.", tag.name()),
            Self::Pattern(scan) if scan.found > scan.dropped => format!(
                "{} of {} copies dropped; the values of the others are not in the database yet.",
                scan.dropped, scan.found
            ),
            Self::Pattern(scan) => format!("{} dropped.", copies(scan.dropped)),
            Self::DryRun(scan) => format!("{} would be dropped.", copies(scan.found)),
        }
    }

    /// Numbers of copies found and dropped; `None` for a tag.
    pub fn counts(&self) -> Option<(u64, u64)> {
        match self {
            Self::Key(result) => {
                let found = u64::from(*result != Invalidated::Nothing);
                Some((found, u64::from(*result == Invalidated::Dropped)))
            }
            Self::Tag(_) => None,
            Self::Pattern(scan) | Self::DryRun(scan) => Some((scan.found, scan.dropped)),
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
    fn only_cached_copies_can_be_invalidated() {
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
