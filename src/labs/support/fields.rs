//! What a visitor may put into an act: fields with a type and bounds,
//! described once for the form, the check and a program.

use serde::Serialize;
use utoipa::ToSchema;

/// The most values in a field that takes several.
pub const SEVERAL_MAX: usize = 20;

/// One field of an act.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// What it is called in a form, and in the act's command.
    pub name: &'static str,
    /// What a person calls it.
    pub label: &'static str,
    /// What may be in it.
    pub kind: Kind,
    /// What the form offers, and what is taken when it is not sent.
    pub usual: &'static str,
}

/// What may be in a field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One line of 1 to so many characters.
    Text(usize),
    /// Several of them, with commas between.
    Several(usize),
    /// A whole number.
    Integer(i64, i64),
    /// A finite number.
    Number(f64, f64),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// An id of a stream's entry, or one of these signs in place of one.
    EntryId(&'static [&'static str]),
}

/// Why what is in a field is not taken, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It can't be understood.
    #[error("{0}")]
    Malformed(String),
    /// It is understood, and out of range.
    #[error("{0}")]
    OutOfRange(String),
}

/// A field, for a program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Described {
    /// What it is called.
    name: &'static str,
    /// What may be in it, in words.
    takes: String,
    /// What is taken when it is not sent.
    usual: &'static str,
}

/// One line of text.
pub const fn text(
    name: &'static str,
    label: &'static str,
    max: usize,
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Text(max), usual }
}

/// Several texts, with commas between.
pub const fn several(
    name: &'static str,
    label: &'static str,
    max: usize,
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Several(max), usual }
}

/// A whole number.
pub const fn integer(
    name: &'static str,
    label: &'static str,
    (min, max): (i64, i64),
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Integer(min, max), usual }
}

/// A finite number.
pub const fn number(
    name: &'static str,
    label: &'static str,
    (min, max): (f64, f64),
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Number(min, max), usual }
}

/// One of a few words.
pub const fn choice(
    name: &'static str,
    label: &'static str,
    words: &'static [&'static str],
    usual: &'static str,
) -> Field {
    Field { name, label, kind: Kind::Choice(words), usual }
}

impl Field {
    /// The values in it: one, or with [`Kind::Several`] at least one.
    pub fn read(&self, text: &str) -> Result<Vec<String>, Wrong> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
            let what = format!("The field {} must be one line of plain text.", self.name);
            return Err(Wrong::Malformed(what));
        }
        let values = self.kind.values(text);
        values.ok_or_else(|| {
            Wrong::OutOfRange(format!("The field {} takes {}.", self.name, self.kind.takes()))
        })
    }

    /// For a program.
    pub fn described(&self) -> Described {
        Described { name: self.name, takes: self.kind.takes(), usual: self.usual }
    }
}

impl Kind {
    fn values(self, text: &str) -> Option<Vec<String>> {
        let fits = match self {
            Self::Several(max) => return several_of(text, max),
            Self::Text(max) => (1..=max).contains(&text.chars().count()),
            Self::Integer(min, max) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                plain && text.parse().is_ok_and(|n: i64| (min..=max).contains(&n))
            }
            Self::Number(min, max) => {
                let short = text.len() <= 32;
                short && text.parse().is_ok_and(|n: f64| n.is_finite() && min <= n && n <= max)
            }
            Self::Choice(words) => words.contains(&text),
            Self::EntryId(signs) => signs.contains(&text) || is_entry_id(text),
        };
        fits.then(|| vec![text.to_owned()])
    }

    /// What may be in it, in words.
    pub fn takes(self) -> String {
        match self {
            Self::Text(max) => format!("1 to {max} characters"),
            Self::Several(max) => {
                format!(
                    "1 to {SEVERAL_MAX} values with commas between, each of 1 to {max} characters"
                )
            }
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Choice(words) => words.join(" or "),
            Self::EntryId(signs) => {
                format!("an id as 1526919030474-0, or {}", signs.join(" or "))
            }
        }
    }

    /// The words to choose from, if it is a choice.
    pub fn choices(self) -> &'static [&'static str] {
        match self {
            Self::Choice(words) => words,
            _ => &[],
        }
    }

    /// The most characters a form takes for it.
    pub fn longest(self) -> usize {
        match self {
            Self::Text(max) => max,
            Self::Several(max) => SEVERAL_MAX * (max + 2),
            Self::EntryId(_) => 41,
            _ => 32,
        }
    }

    /// Least, most and step of a number.
    pub fn bounds(self) -> Option<(String, String, &'static str)> {
        match self {
            Self::Integer(min, max) => Some((min.to_string(), max.to_string(), "1")),
            Self::Number(min, max) => Some((min.to_string(), max.to_string(), "any")),
            _ => None,
        }
    }

    /// Which keys a phone shows for it.
    pub fn input_mode(self) -> &'static str {
        match self {
            Self::Integer(0.., _) => "numeric",
            _ => "text",
        }
    }
}

fn several_of(text: &str, max: usize) -> Option<Vec<String>> {
    let values: Vec<_> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let fit = (1..=SEVERAL_MAX).contains(&values.len())
        && values.iter().all(|value| value.chars().count() <= max);
    fit.then(|| values.into_iter().map(str::to_owned).collect())
}

/// `1526919030474` or `1526919030474-0`: two numbers of 64 bits (redis.io/docs,
/// "Streams", entry IDs).
fn is_entry_id(text: &str) -> bool {
    let number =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u64>().is_ok();
    match text.split_once('-') {
        Some((time, sequence)) => number(time) && number(sequence),
        None => number(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(kind: Kind) -> Field {
        Field { name: "it", label: "It", kind, usual: "" }
    }

    #[test]
    fn a_value_keeps_to_its_kind() {
        for (kind, good, bad) in [
            (Kind::Text(3), &["a", " äöü "][..], &["", " ", "abcd"][..]),
            (Kind::Several(3), &["a", "a, b", "a,,b", "a b"], &["", ",", "abcd", "a,abcd"]),
            (Kind::Integer(-5, 5), &["-5", "0", "05"], &["", "-", "6", "1.5", "1e1", "+1", "0x1"]),
            (
                Kind::Number(-180.0, 180.0),
                &["-180", "1e2", ".5"],
                &["", "181", "nan", "inf", "0x1"],
            ),
            (Kind::Choice(&["m", "km"]), &["m", "km"], &["", "M", "mi"]),
            (
                Kind::EntryId(&["*", "-"]),
                &["*", "-", "1", "1-0"],
                &["", "+", "1-", "-1", "1-2-3", "x"],
            ),
        ] {
            for text in good {
                assert!(field(kind).read(text).is_ok(), "{kind:?} {text:?}");
            }
            for text in bad {
                assert!(
                    matches!(field(kind).read(text), Err(Wrong::OutOfRange(_))),
                    "{kind:?} {text:?}"
                );
            }
            for text in ["a\nb", "\0", "\u{fffd}"] {
                assert!(
                    matches!(field(kind).read(text), Err(Wrong::Malformed(_))),
                    "{kind:?} {text:?}"
                );
            }
        }
    }

    #[test]
    fn too_many_values_are_refused() {
        let many = vec!["a"; SEVERAL_MAX + 1].join(",");
        assert!(field(Kind::Several(9)).read(&many).is_err());
        assert_eq!(field(Kind::Several(9)).read("a, b").unwrap(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "\\PC{0,80}|[0-9.,eE+*-]{0,40}") {
            let kinds = [
                Kind::Text(9), Kind::Several(9), Kind::Integer(0, 9), Kind::Number(0.0, 9.0),
                Kind::Choice(&["a"]), Kind::EntryId(&["$"]),
            ];
            for kind in kinds {
                if let Ok(values) = field(kind).read(&text) {
                    prop_assert!(values.iter().all(|value| !value.is_empty()));
                }
            }
        }
    }
}
