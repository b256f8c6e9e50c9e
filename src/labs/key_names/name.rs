//! A name taken apart: at its colons into parts, and those into words.

use serde::Serialize;
use utoipa::ToSchema;

use super::TYPES;

/// A line: a name, and perhaps the type of its value.
pub struct Name<'a> {
    /// The name.
    pub text: &'a str,
    /// The type, if one follows.
    pub kind: Option<&'a str>,
    /// What is between colons.
    pub parts: Vec<Part>,
}

/// What is between two colons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Its text.
    pub text: String,
    /// What it seems to be.
    pub kind: Kind,
}

/// What a part seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It says what is there.
    Word,
    /// It says which one: a number, a date, a digest.
    Id,
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Id => "id",
        }
    }
}

impl<'a> Name<'a> {
    /// A type is taken for one only after a space, so that a name may have any text.
    pub fn parse(line: &'a str) -> Self {
        let typed = line.rsplit_once(char::is_whitespace).filter(|(_, kind)| TYPES.contains(kind));
        let (text, kind) = typed.map_or((line, None), |(text, kind)| (text.trim_end(), Some(kind)));
        let parts = outside_braces(text).into_iter().map(part).collect();
        Self { text, kind, parts }
    }

    /// The words of it, lower case; numbers are all the same.
    pub fn words(&self) -> Vec<String> {
        let words = self.parts.iter().flat_map(|part| match part.kind {
            Kind::Id => vec!["#".to_owned()],
            Kind::Word => words(&part.text),
        });
        words.collect()
    }
}

/// Split at colons; a hash tag in braces is one part.
fn outside_braces(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        inside = (inside || c == '{') && c != '}';
        c == ':' && !inside
    })
    .collect()
}

fn part(text: &str) -> Part {
    Part { text: text.to_owned(), kind: if is_id(text) { Kind::Id } else { Kind::Word } }
}

/// A number, a date, a UUID, a digest, a hash tag: what tells one from another.
/// A word with a number after it is none, as `user123` is two things.
fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let only = |also: &str| text.bytes().all(|b| b.is_ascii_hexdigit() || also.contains(b as char));
    let is_hex = only("-") && digits > 0 && text.len() >= 4;
    let is_numeric = digits > 0 && text.bytes().all(|b| b.is_ascii_digit() || b"-.T".contains(&b));
    text.starts_with('{') || is_numeric || is_hex
}

/// `userProfile_v2` has three words.
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

/// A word and the number right behind it, or behind one `-` or `_`: `u` and
/// `123` of `u123`. A version such as `v2` is one word.
pub fn numbered(text: &str) -> Option<(&str, &str)> {
    let letters = text.find(|c: char| c.is_ascii_digit())?;
    let (word, number) = text.split_at(letters);
    let word = word.strip_suffix(['-', '_']).unwrap_or(word);
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphabetic() || "_-".contains(c));
    let is_number = number.bytes().all(|b| b.is_ascii_digit());
    (is_word && is_number && !word.eq_ignore_ascii_case("v")).then_some((word, number))
}
