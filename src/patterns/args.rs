//! What an act or a trial needs to know: described here, typed and bounded, and
//! read at the edge.

use std::collections::BTreeMap;

/// One thing to know.
pub struct Field {
    /// The word that is sent.
    pub name: &'static str,
    /// What a form calls it.
    pub label: &'static str,
    /// What it may be.
    pub kind: Kind,
}

/// What a field may be, and what it is when nobody says.
#[derive(Clone, Copy)]
pub enum Kind {
    /// One line of 1 to `most` characters.
    Text {
        /// The longest.
        most: usize,
        /// The documents' value.
        default: &'static str,
    },
    /// A whole number.
    Number {
        /// The least.
        least: u32,
        /// The most.
        most: u32,
        /// The documents' value.
        default: u32,
    },
    /// One of a few words; the first when nobody says.
    Choice(&'static [&'static str]),
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// Of a text or a choice.
    Text(String),
    /// Of a number.
    Number(u32),
}

/// The values of all fields of one act, each within its bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args(BTreeMap<&'static str, Arg>);

impl Field {
    /// Its value when nobody says.
    pub fn default(&self) -> Arg {
        match self.kind {
            Kind::Text { default, .. } => Arg::Text(default.to_owned()),
            Kind::Number { default, .. } => Arg::Number(default),
            Kind::Choice(words) => Arg::Text(words.first().copied().unwrap_or_default().to_owned()),
        }
    }

    /// Its words, where it is a choice.
    pub fn words(&self) -> &'static [&'static str] {
        if let Kind::Choice(words) = self.kind { words } else { &[] }
    }

    /// Its bounds, where it is a number.
    pub fn bounds(&self) -> Option<(u32, u32)> {
        if let Kind::Number { least, most, .. } = self.kind { Some((least, most)) } else { None }
    }

    /// Its longest text, where it is one.
    pub fn longest(&self) -> Option<usize> {
        if let Kind::Text { most, .. } = self.kind { Some(most) } else { None }
    }
}

impl Args {
    /// With one more value.
    pub fn with(mut self, name: &'static str, value: Arg) -> Self {
        self.0.insert(name, value);
        self
    }

    /// Whether there is a value of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text or a chosen word; empty where the act has no such field.
    pub fn text(&self, name: &str) -> &str {
        if let Some(Arg::Text(text)) = self.0.get(name) { text } else { "" }
    }

    /// A number; 0 where the act has no such field.
    pub fn number(&self, name: &str) -> u32 {
        if let Some(Arg::Number(number)) = self.0.get(name) { *number } else { 0 }
    }

    /// A value as a form shows it.
    pub fn shown(&self, field: &Field) -> String {
        match self.0.get(field.name).cloned().unwrap_or_else(|| field.default()) {
            Arg::Text(text) => text,
            Arg::Number(number) => number.to_string(),
        }
    }
}

/// A text field.
pub const fn text(
    name: &'static str,
    label: &'static str,
    most: usize,
    default: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Text { most, default } }
}

/// A number field.
pub const fn number(
    name: &'static str,
    label: &'static str,
    bounds: (u32, u32),
    default: u32,
) -> Field {
    let (least, most) = bounds;
    Field { name, label, kind: Kind::Number { least, most, default } }
}

/// A field of a few words.
pub const fn choice(
    name: &'static str,
    label: &'static str,
    words: &'static [&'static str],
) -> Field {
    Field { name, label, kind: Kind::Choice(words) }
}

/// Who takes part in a trial: up to 200, all at once.
pub const fn actors(default: u32) -> Field {
    number("actors", "Actors at once", (1, 200), default)
}

/// Whose key it is.
pub const fn user(default: u32) -> Field {
    number("user_id", "User", (1, 9_999), default)
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
