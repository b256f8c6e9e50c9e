//! The values that a field accepts, as data.

use utoipa::openapi::{
    ObjectBuilder,
    schema::{Schema, Type},
};

/// Maximum number of values in a list field.
pub const LIST_MAX: usize = 20;

/// The type and bounds of a field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One line of 1 to this many characters.
    Text(usize),
    /// Up to [`LIST_MAX`] texts, separated by commas.
    List(usize),
    /// A whole number.
    Integer(i64, i64),
    /// A finite number.
    Number(f64, f64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An e-mail address of at most this many characters.
    Email(usize),
    /// The id of a stream entry, or one of these special ids.
    EntryId(&'static [&'static str]),
}

/// The reason for rejecting a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The value can't be parsed; contains the expected format.
    Malformed(String),
    /// The value is out of range; contains the accepted values.
    OutOfRange(String),
}

impl Kind {
    /// Parses a text into its values: exactly one, or one or more for [`Kind::List`].
    pub fn check(self, text: &str) -> Result<Vec<String>, Rejection> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
            return Err(Rejection::Malformed("one line of plain text".to_owned()));
        }
        self.values(text).ok_or_else(|| Rejection::OutOfRange(self.takes()))
    }

    fn values(self, text: &str) -> Option<Vec<String>> {
        let fits = match self {
            Self::List(max) => return list_of(text, max),
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
            Self::Email(max) => text.chars().count() <= max && is_email(text),
            Self::EntryId(signs) => signs.contains(&text) || is_entry_id(text),
        };
        fits.then(|| vec![text.to_owned()])
    }

    /// The accepted values, in words.
    pub fn takes(self) -> String {
        match self {
            Self::Text(max) => format!("1 to {max} characters"),
            Self::List(max) => {
                format!("1 to {LIST_MAX} values separated by commas, each of 1 to {max} characters")
            }
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Choice(words) => words.join(" or "),
            Self::Email(max) => {
                format!("an e-mail address like name@example.com, of at most {max} characters")
            }
            Self::EntryId(signs) => {
                format!("an id such as 1526919030474-0, or {}", signs.join(" or "))
            }
        }
    }

    /// The words of a choice; empty for other kinds.
    pub fn choices(self) -> &'static [&'static str] {
        match self {
            Self::Choice(words) => words,
            _ => &[],
        }
    }

    /// The `maxlength` of the form field, in characters.
    pub fn max_length(self) -> usize {
        match self {
            Self::Text(max) | Self::Email(max) => max,
            Self::List(max) => LIST_MAX * (max + 2),
            Self::EntryId(_) => 41,
            _ => 32,
        }
    }

    /// Minimum, maximum and step of a number.
    pub fn bounds(self) -> Option<(String, String, &'static str)> {
        match self {
            Self::Integer(min, max) => Some((min.to_string(), max.to_string(), "1")),
            Self::Number(min, max) => Some((min.to_string(), max.to_string(), "any")),
            _ => None,
        }
    }

    /// The schema of a value in the OpenAPI document.
    pub fn schema(self) -> Schema {
        let object = ObjectBuilder::new().description(Some(self.takes()));
        let object = match self {
            Self::Integer(min, max) => object
                .schema_type(Type::Integer)
                .minimum(Some(min as f64))
                .maximum(Some(max as f64)),
            Self::Number(min, max) => {
                object.schema_type(Type::Number).minimum(Some(min)).maximum(Some(max))
            }
            Self::Choice(words) => {
                object.schema_type(Type::String).enum_values(Some(words.iter().copied()))
            }
            Self::Text(max) => {
                object.schema_type(Type::String).min_length(Some(1)).max_length(Some(max))
            }
            _ => object.schema_type(Type::String).max_length(Some(self.max_length())),
        };
        object.into()
    }
}

fn list_of(text: &str, max: usize) -> Option<Vec<String>> {
    let values: Vec<_> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let fit = (1..=LIST_MAX).contains(&values.len())
        && values.iter().all(|value| value.chars().count() <= max);
    fit.then(|| values.into_iter().map(str::to_owned).collect())
}

/// Whether a text has the form of an e-mail address. Only a delivery would prove it.
fn is_email(text: &str) -> bool {
    let named = text.split_once('@').is_some_and(|(who, at)| !who.is_empty() && !at.is_empty());
    named && !text.contains(' ')
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

    #[test]
    fn values_are_checked_by_kind() {
        for (kind, good, bad) in [
            (Kind::Text(3), &["a", " äöü "][..], &["", " ", "abcd"][..]),
            (Kind::List(3), &["a", "a, b", "a,,b", "a b"], &["", ",", "abcd", "a,abcd"]),
            (Kind::Integer(-5, 5), &["-5", "0", "05"], &["", "-", "6", "1.5", "1e1", "+1", "0x1"]),
            (
                Kind::Number(-180.0, 180.0),
                &["-180", "1e2", ".5"],
                &["", "181", "nan", "inf", "0x1"],
            ),
            (Kind::Choice(&["m", "km"]), &["m", "km"], &["", "M", "mi"]),
            (Kind::Email(9), &["a@b", "name@x.y"], &["", "@", "a@", "@b", "a b@c", "longer@x.yz"]),
            (
                Kind::EntryId(&["*", "-"]),
                &["*", "-", "1", "1-0"],
                &["", "+", "1-", "-1", "1-2-3", "x"],
            ),
        ] {
            for text in good {
                assert!(kind.check(text).is_ok(), "{kind:?} {text:?}");
            }
            for text in bad {
                assert!(
                    matches!(kind.check(text), Err(Rejection::OutOfRange(_))),
                    "{kind:?} {text:?}"
                );
            }
            for text in ["a\nb", "\0", "\u{fffd}"] {
                assert!(
                    matches!(kind.check(text), Err(Rejection::Malformed(_))),
                    "{kind:?} {text:?}"
                );
            }
        }
    }

    #[test]
    fn too_many_values_are_refused() {
        let many = vec!["a"; LIST_MAX + 1].join(",");
        assert!(Kind::List(9).check(&many).is_err());
        assert_eq!(Kind::List(9).check("a, b").unwrap(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_accepted_or_rejected(text in "\\PC{0,80}|[0-9.,eE+*-]{0,40}") {
            let kinds = [
                Kind::Text(9), Kind::List(9), Kind::Integer(0, 9), Kind::Number(0.0, 9.0),
                Kind::Choice(&["a"]), Kind::EntryId(&["$"]), Kind::Email(9),
            ];
            for kind in kinds {
                if let Ok(values) = kind.check(&text) {
                    prop_assert!(values.iter().all(|value| !value.is_empty()));
                }
            }
        }
    }
}
