//! A command template: words, some of which are keys or placeholders for field values.
//!
//! `HSET @user:42 {field} {value}`: a word that begins with `@` is a key, by its name in
//! the tutorial; a word in braces stands for the value or values of that field. A field
//! may name a key: `@{key}`.

use hitrate_cache::redis::{Client, Command, Notation};

pub use crate::labs::support::action::Values;
use crate::labs::support::visitor_keys::VisitorKeys;

/// Length at which a displayed command is cut, in bytes.
const SHOWN_MAX: usize = 240;

/// A command with its values filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate {
    words: Vec<Word>,
    /// A remark that is displayed and never sent.
    note: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Plain(String),
    Key(String),
}

impl CommandTemplate {
    /// Fills values into a template.
    pub fn of(form: &str, values: &Values) -> Self {
        let words = form.split(' ').flat_map(|word| words(word, values)).collect();
        Self { words, note: String::new() }
    }

    /// A template without fields.
    pub fn plain(form: &str) -> Self {
        Self::of(form, &Values::new())
    }

    /// Appends literal words.
    pub fn and(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.words.extend(more.into_iter().map(Word::Plain));
        self
    }

    /// Appends a remark that is displayed and never sent.
    pub fn noting(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    /// The command on the visitor's keys.
    pub fn command(&self, store: &Client, demo: &VisitorKeys) -> Command {
        let words = self.words.iter().map(|word| match word {
            Word::Plain(text) => text.clone(),
            Word::Key(name) => store.full_key(&demo.key(name)),
        });
        store.raw_command(&words.collect::<Vec<_>>())
    }

    /// The command as typed in redis-cli, with the tutorial's key names.
    pub fn shown(&self) -> String {
        let mut shown = String::new();
        for (n, word) in self.words.iter().enumerate() {
            if shown.len() > SHOWN_MAX {
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

    /// The names of its keys, as in the tutorial.
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
        return with_values(word, values).into_iter().map(Word::Plain).collect();
    };
    with_values(key, values).into_iter().map(Word::Key).collect()
}

/// Expands a word: one word per value of the field it names, or the word itself.
fn with_values(word: &str, values: &Values) -> Vec<String> {
    let named = word
        .split_once('{')
        .and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)));
    let Some((before, name, after)) = named else { return vec![word.to_owned()] };
    let values = values.get(name).map(Vec::as_slice).unwrap_or_default();
    values.iter().map(|value| [before, value, after].concat()).collect()
}

/// The names of the fields in a template.
#[cfg(test)]
pub fn named_in(form: &str) -> impl Iterator<Item = &str> {
    form.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// A template for display: `HSET user:42 {field} {value}`.
pub fn readable(form: &str) -> String {
    form.replace('@', "")
}

/// The words of a template for display, and whether each is a placeholder.
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
    fn placeholders_are_replaced_by_values() {
        let line = CommandTemplate::of("SADD @{key}:exact {member} {n}", &values());
        assert_eq!(line.shown(), r#"SADD a:1:exact "x y" "z\"" 7"#);
        assert_eq!(line.keys().collect::<Vec<_>>(), ["a:1:exact"]);
    }

    #[test]
    fn input_is_one_word_and_never_a_key() {
        let hostile: Values = [("value", vec!["@page_hits {key} FLUSHALL".to_owned()])].into();
        let line = CommandTemplate::of("SET @k {value}", &hostile);
        assert_eq!(line.words.len(), 3);
        assert_eq!(line.keys().collect::<Vec<_>>(), ["k"]);
    }

    #[test]
    fn a_template_is_displayed_as_a_command() {
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
