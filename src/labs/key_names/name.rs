//! Parses a name: colons separate parts, and parts consist of words.

use serde::Serialize;
use utoipa::ToSchema;

use super::TYPES;

/// A line of input: a name, optionally with a type.
pub struct KeyName<'a> {
    /// The name.
    pub text: &'a str,
    /// The type, if one follows.
    pub kind: Option<&'a str>,
    /// The parts between colons.
    pub parts: Vec<NamePart>,
}

/// A part between two colons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NamePart {
    /// The text.
    pub text: String,
    /// Its apparent kind.
    pub kind: NamePartKind,
}

/// The apparent kind of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamePartKind {
    /// A word that names a kind of data.
    Word,
    /// An identifier: a number, a date or a digest.
    Id,
}

impl NamePartKind {
    /// The name in JSON and as a CSS class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Id => "id",
        }
    }
}

impl<'a> KeyName<'a> {
    /// Parses a line. A type counts as one only after a space, so that names may contain
    /// any text.
    pub fn parse(line: &'a str) -> Self {
        let typed = line.rsplit_once(char::is_whitespace).filter(|(_, kind)| TYPES.contains(kind));
        let (text, kind) = typed.map_or((line, None), |(text, kind)| (text.trim_end(), Some(kind)));
        let parts = outside_braces(text).into_iter().map(part).collect();
        Self { text, kind, parts }
    }

    /// Its words in lower case. All ids count as the same word.
    pub fn words(&self) -> Vec<String> {
        let words = self.parts.iter().flat_map(|part| match part.kind {
            NamePartKind::Id => vec!["#".to_owned()],
            NamePartKind::Word => words(&part.text),
        });
        words.collect()
    }
}

/// Splits at colons; a hash tag in braces is one part.
fn outside_braces(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        inside = (inside || c == '{') && c != '}';
        c == ':' && !inside
    })
    .collect()
}

fn part(text: &str) -> NamePart {
    NamePart {
        text: text.to_owned(),
        kind: if is_id(text) { NamePartKind::Id } else { NamePartKind::Word },
    }
}

/// Whether a part is a number, a date, a UUID, a digest or a hash tag. A word followed by
/// a number such as `user123` is not.
fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let only = |also: &str| text.bytes().all(|b| b.is_ascii_hexdigit() || also.contains(b as char));
    let is_hex = only("-") && digits > 0 && text.len() >= 4;
    let is_numeric = digits > 0 && text.bytes().all(|b| b.is_ascii_digit() || b"-.T".contains(&b));
    text.starts_with('{') || is_numeric || is_hex
}

/// Splits a part into words: `userProfile_v2` has three.
pub fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            let last = words.last_mut().expect("there is one from the start");
            last.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Splits a word from a number that follows directly or after one `-` or `_`: `u123` is
/// `u` and `123`. A version such as `v2` is one word.
pub fn numbered(text: &str) -> Option<(&str, &str)> {
    let letters = text.find(|c: char| c.is_ascii_digit())?;
    let (word, number) = text.split_at(letters);
    let word = word.strip_suffix(['-', '_']).unwrap_or(word);
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphabetic() || "_-".contains(c));
    let is_number = number.bytes().all(|b| b.is_ascii_digit());
    (is_word && is_number && !word.eq_ignore_ascii_case("v")).then_some((word, number))
}
