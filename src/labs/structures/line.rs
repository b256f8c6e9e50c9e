//! A command as a structure describes it: words, some of which are keys or
//! stand for what a visitor put into a field.
//!
//! `HSET @user:42 {field} {value}`: what begins with `@` is a key by the
//! documents' name, a word in braces is the value of that field, or all its
//! values. A key may be named by a field: `@{key}`.

use hitrate_cache::redis::{Command, Notation, Store};

pub use crate::labs::support::action::Values;
use crate::labs::support::visitor_keys::VisitorKeys;

/// A command shows words until it has this many characters.
const LENGTH: usize = 240;

/// A command, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate {
    words: Vec<Word>,
    /// For a person only: what was sent instead of what is not shown.
    note: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Plain(String),
    Key(String),
}

impl CommandTemplate {
    /// A description with the values in their places.
    pub fn of(form: &str, values: &Values) -> Self {
        let words = form.split(' ').flat_map(|word| words(word, values)).collect();
        Self { words, note: String::new() }
    }

    /// One without fields.
    pub fn plain(form: &str) -> Self {
        Self::of(form, &Values::new())
    }

    /// The same, with more words behind, whatever is in them.
    pub fn and(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.words.extend(more.into_iter().map(Word::Plain));
        self
    }

    /// The same, with a remark behind that is shown and never sent.
    pub fn noting(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    /// The command itself, on the keys of one demo.
    pub fn command(&self, store: &Store, demo: &VisitorKeys) -> Command {
        let words = self.words.iter().map(|word| match word {
            Word::Plain(text) => text.clone(),
            Word::Key(name) => store.full_key(&demo.key(name)),
        });
        store.raw_command(&words.collect::<Vec<_>>())
    }

    /// As one would type it, with the documents' names of keys.
    pub fn shown(&self) -> String {
        let mut shown = String::new();
        for (n, word) in self.words.iter().enumerate() {
            if shown.len() > LENGTH {
                let more = self.words.len() - n;
                shown +=
                    &format!("… and {more} {} more ", if more == 1 { "word" } else { "words" });
                break;
            }
            shown += &match word {
                Word::Plain(text) => Notation::PAGE.word(text.as_bytes()),
                Word::Key(name) => name.clone(),
            };
            shown.push(' ');
        }
        (shown + &self.note).trim_end().to_owned()
    }

    /// The documents' names of the keys in it.
    #[cfg(test)]
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.words.iter().filter_map(|word| match word {
            Word::Key(name) => Some(name.as_str()),
            Word::Plain(_) => None,
        })
    }
}

fn words(word: &str, values: &Values) -> Vec<Word> {
    let Some(key) = word.strip_prefix('@') else {
        return filled(word, values).into_iter().map(Word::Plain).collect();
    };
    filled(key, values).into_iter().map(Word::Key).collect()
}

/// The word with the values of the field it names, one for each; or as it is.
fn filled(word: &str, values: &Values) -> Vec<String> {
    let named = word
        .split_once('{')
        .and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)));
    let Some((before, name, after)) = named else { return vec![word.to_owned()] };
    let values = values.get(name).map(Vec::as_slice).unwrap_or_default();
    values.iter().map(|value| [before, value, after].concat()).collect()
}

/// The names of the fields in a description.
#[cfg(test)]
pub fn named_in(form: &str) -> impl Iterator<Item = &str> {
    form.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// A description for someone to read: `HSET user:42 {field} {value}`.
pub fn readable(form: &str) -> String {
    form.replace('@', "")
}

/// The same word by word, and whether a word stands for what is in a field.
pub fn readable_words(form: &str) -> Vec<(String, bool)> {
    let bare = |word: &str| word.chars().filter(|c| !['@', '{', '}'].contains(c)).collect();
    form.split(' ').map(|word| (bare(word), word.contains('{'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let of = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect();
        [("key", of(&["a:1"])), ("member", of(&["x y", "z\""])), ("n", of(&["7"]))].into()
    }

    #[test]
    fn values_take_the_place_of_their_fields() {
        let line = CommandTemplate::of("SADD @{key}:exact {member} {n}", &values());
        assert_eq!(line.shown(), r#"SADD a:1:exact "x y" "z\"" 7"#);
        assert_eq!(line.keys().collect::<Vec<_>>(), ["a:1:exact"]);
    }

    #[test]
    fn what_a_visitor_writes_is_one_word_and_never_a_key() {
        let hostile: Values = [("value", vec!["@page_hits {key} FLUSHALL".to_owned()])].into();
        let line = CommandTemplate::of("SET @k {value}", &hostile);
        assert_eq!(line.words.len(), 3);
        assert_eq!(line.keys().collect::<Vec<_>>(), ["k"]);
    }

    #[test]
    fn a_description_reads_as_a_command() {
        assert_eq!(readable("HSET @user:42 {field}"), "HSET user:42 {field}");
        let words = [("HSET", false), ("key", true)].map(|(word, it)| (word.to_owned(), it));
        assert_eq!(readable_words("HSET @{key}"), words);
        assert_eq!(named_in("HSET @{key} {field}").collect::<Vec<_>>(), ["key", "field"]);
    }

    #[test]
    fn a_long_command_is_cut() {
        let line = CommandTemplate::plain("SADD @numbers").and((0..1000).map(|n| n.to_string()));
        assert!(line.shown().ends_with(" 79 … and 920 words more"), "{}", line.shown());
    }
}
