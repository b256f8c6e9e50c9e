//! Guides. They exist in the documentation only.

#[doc = include_str!("../docs/migration.md")]
pub mod migration {}

#[doc = include_str!("../CHANGELOG.md")]
pub mod changelog {}
