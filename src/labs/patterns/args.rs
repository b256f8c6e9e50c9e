//! Arguments of actions and trials: their fields, and the values that a visitor entered.

use std::collections::BTreeMap;

pub use crate::labs::support::fields::{Field, choice, text};
use crate::labs::support::{action::Values, fields::integer};

/// The values of an action's fields, each within its bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args(BTreeMap<&'static str, String>);

impl Args {
    /// Arguments with these values.
    pub fn of(values: Values) -> Self {
        Self(values.into_iter().map(|(name, values)| (name, values.join(","))).collect())
    }

    /// Adds the field's default.
    pub fn with_default(mut self, field: &Field) -> Self {
        self.0.insert(field.name, field.default.to_owned());
        self
    }

    /// Whether there is a value of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of a text or choice field; empty if the action has no such field.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The value of a number field; 0 if the action has no such field.
    pub fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or_default()
    }

    /// The value that the form shows.
    pub fn shown(&self, field: &Field) -> String {
        self.0.get(field.name).map_or(field.default, String::as_str).to_owned()
    }
}

/// A field for a non-negative integer.
pub const fn number(
    name: &'static str,
    label: &'static str,
    (min, max): (u32, u32),
    default: &'static str,
) -> Field {
    integer(name, label, (min as i64, max as i64), default)
}

/// The number of concurrent actors in a trial, up to 200.
pub const fn actors(default: &'static str) -> Field {
    number("actors", "Concurrent actors", (1, 200), default)
}

/// The user id.
pub const fn user(default: &'static str) -> Field {
    number("user_id", "User", (1, 9_999), default)
}

/// Maximum number of elements per script call: Redis runs nothing else meanwhile.
const BATCH: u32 = 1_000;

/// Splits a range into batches, each as its first number and its length.
pub fn batches(from: u32, count: u32) -> impl Iterator<Item = (u32, u32)> {
    let starts = (0..count).step_by(BATCH as usize);
    starts.map(move |done| (from + done, BATCH.min(count - done)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_split_into_batches() {
        assert_eq!(
            batches(5, 2_500).collect::<Vec<_>>(),
            [(5, 1_000), (1_005, 1_000), (2_005, 500)]
        );
        assert_eq!(batches(1, 1_000).collect::<Vec<_>>(), [(1, 1_000)]);
        assert_eq!(batches(1, 0).count(), 0);
    }
}
