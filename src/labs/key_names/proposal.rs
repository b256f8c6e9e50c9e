//! Proposes a better name, derived from the given one.

use super::{
    RULES,
    name::{KeyName, NamePart, NamePartKind, numbered, words},
};

/// Common abbreviations and their expansions.
const ABBREVIATIONS: [(&str, &str); 16] = [
    ("u", "user"),
    ("usr", "user"),
    ("p", "product"),
    ("prod", "product"),
    ("o", "order"),
    ("ord", "order"),
    ("s", "session"),
    ("sess", "session"),
    ("cust", "customer"),
    ("acct", "account"),
    ("msg", "message"),
    ("cfg", "config"),
    ("conf", "config"),
    ("cat", "category"),
    ("tok", "token"),
    ("notif", "notification"),
];

/// A name that follows the rules; none if it can't be derived.
pub fn of(name: &KeyName<'_>) -> Option<String> {
    let pieces = name.parts.iter().flat_map(corrected);
    let better = pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(":");
    let is_good = |text: &str| {
        let name = KeyName::parse(text);
        RULES.iter().all(|rule| rule.finding(&name).is_none())
    };
    (!better.is_empty() && better != name.text && is_good(&better)).then_some(better)
}

/// Corrects a part, which may become several.
fn corrected(part: &NamePart) -> Vec<String> {
    if part.kind == NamePartKind::Id {
        return vec![part.text.clone()];
    }
    let pieces = part.text.split(['.', '/', '|', ',', ';', '>', '#']);
    pieces.flat_map(|piece| apart(piece.trim())).collect()
}

fn apart(piece: &str) -> Vec<String> {
    match numbered(piece) {
        Some((word, number)) => vec![expanded(word), number.to_owned()],
        None => vec![expanded(piece)],
    }
}

/// The words in lower case, joined by `_`.
fn expanded(text: &str) -> String {
    let words = words(text);
    let known = |word: &String| {
        let found = ABBREVIATIONS.iter().find(|(short, _)| short == word);
        found.map_or_else(|| word.clone(), |(_, long)| (*long).to_owned())
    };
    match words.as_slice() {
        [one] => known(one),
        all => all.join("_"),
    }
}
