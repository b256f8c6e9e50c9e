//! What an act or a trial needs to know: fields, and what a visitor put in them.

use std::collections::BTreeMap;

pub use crate::labs::support::fields::{Field, choice, text};
use crate::labs::support::{action::Values, fields::integer};

/// The values of all fields of one act, each within its bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args(BTreeMap<&'static str, String>);

impl Args {
    /// These values.
    pub fn of(values: Values) -> Self {
        Self(values.into_iter().map(|(name, values)| (name, values.join(","))).collect())
    }

    /// With what was typed, whether the field takes it or not: to be shown again.
    pub fn typed(mut self, field: &Field, text: &str) -> Self {
        self.0.insert(field.name, text.to_owned());
        self
    }

    /// With what the field usually has.
    pub fn usual(mut self, field: &Field) -> Self {
        self.0.insert(field.name, field.usual.to_owned());
        self
    }

    /// Whether there is a value of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text or a chosen word; empty where the act has no such field.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A number; 0 where the act has no such field.
    pub fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or_default()
    }

    /// A value as a form shows it.
    pub fn shown(&self, field: &Field) -> String {
        self.0.get(field.name).map_or(field.usual, String::as_str).to_owned()
    }
}

/// A whole number from none up.
pub const fn number(
    name: &'static str,
    label: &'static str,
    (min, max): (u32, u32),
    usual: &'static str,
) -> Field {
    integer(name, label, (min as i64, max as i64), usual)
}

/// Who takes part in a trial: up to 200, all at once.
pub const fn actors(usual: &'static str) -> Field {
    number("actors", "Actors at once", (1, 200), usual)
}

/// Whose key it is.
pub const fn user(usual: &'static str) -> Field {
    number("user_id", "User", (1, 9_999), usual)
}

/// What one script does at most: Redis serves nobody else meanwhile.
const BATCH: u32 = 1_000;

/// A range in pieces, each as its first and how many.
pub fn batches(from: u32, count: u32) -> impl Iterator<Item = (u32, u32)> {
    let starts = (0..count).step_by(BATCH as usize);
    starts.map(move |done| (from + done, BATCH.min(count - done)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_pieces() {
        assert_eq!(
            batches(5, 2_500).collect::<Vec<_>>(),
            [(5, 1_000), (1_005, 1_000), (2_005, 500)]
        );
        assert_eq!(batches(1, 1_000).collect::<Vec<_>>(), [(1, 1_000)]);
        assert_eq!(batches(1, 0).count(), 0);
    }
}
