//! A better name, made of the one that is there.

use super::{
    RULES,
    name::{Kind, Name, Part, numbered, words},
};

/// Shortened words that everyone would write out alike.
const WRITTEN_OUT: [(&str, &str); 16] = [
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

/// The same name by the rules; none where that takes knowledge that is not in it.
pub fn of(name: &Name<'_>) -> Option<String> {
    let pieces = name.parts.iter().flat_map(mended);
    let better = pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(":");
    let is_good = |text: &str| {
        let name = Name::parse(text);
        RULES.iter().all(|rule| rule.finding(&name).is_none())
    };
    (!better.is_empty() && better != name.text && is_good(&better)).then_some(better)
}

/// A part as one or several.
fn mended(part: &Part) -> Vec<String> {
    if part.kind == Kind::Id {
        return vec![part.text.clone()];
    }
    let pieces = part.text.split(['.', '/', '|', ',', ';', '>', '#']);
    pieces.flat_map(|piece| apart(piece.trim())).collect()
}

fn apart(piece: &str) -> Vec<String> {
    match numbered(piece) {
        Some((word, number)) => vec![written_out(word), number.to_owned()],
        None => vec![written_out(piece)],
    }
}

/// Its words in lower case, joined as they can be within a part.
fn written_out(text: &str) -> String {
    let words = words(text);
    let known = |word: &String| {
        let found = WRITTEN_OUT.iter().find(|(short, _)| short == word);
        found.map_or_else(|| word.clone(), |(_, long)| (*long).to_owned())
    };
    match words.as_slice() {
        [one] => known(one),
        all => all.join("_"),
    }
}
