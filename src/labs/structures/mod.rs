//! Redis's data types, each described well enough to be played with.
//!
//! A structure is a constant: what it is for, the keys it has, what a visitor
//! can do, how it is read back and drawn, and the documents' example. One
//! place plays them all ([`Playground`]), one page shows them. To add one, write its
//! constant and list it in [`ALL`].

mod act;
mod bitmaps;
mod desk;
pub mod geo;
mod geospatial;
mod growth;
mod hashes;
mod hyperloglog;
mod line;
mod lists;
mod look;
mod many;
mod outcome;
pub mod picture;
mod play;
mod reply;
mod sets;
mod sorted_sets;
mod streams;
mod strings;

use self::look::Readings;
pub use self::{
    act::{Action, Commands, How, Invocation, SizeLimit},
    desk::{Playground, PlaygroundError},
    growth::Growth,
    line::{readable, readable_words},
    look::{KeyFacts, PlaygroundView},
    outcome::{Done, EncodingChange, Exchange, PlaygroundResult, PlaygroundResults, Size},
    picture::Picture,
    play::What,
    streams::Tail,
};

/// All structures, in the order of the index.
pub const ALL: &[&Structure] = &[
    &strings::STRINGS,
    &hashes::HASHES,
    &lists::LISTS,
    &sets::SETS,
    &sorted_sets::SORTED_SETS,
    &bitmaps::BITMAPS,
    &hyperloglog::HYPERLOGLOG,
    &geospatial::GEOSPATIAL,
    &streams::STREAMS,
];

/// The most elements of a list, set, hash, sorted set or stream: enough for
/// every threshold of Redis's own, and read back in a millisecond.
pub const ELEMENTS_MAX: u64 = 1_000;
/// The most characters of a member, a field or an element.
pub const MEMBER_MAX: usize = 64;

/// A type of value, for someone who wants to try it.
pub struct Structure {
    /// Its name in an address.
    pub slug: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// When to take it.
    pub good_for: &'static str,
    /// When not to, and what to take then.
    pub not_for: &'static str,
    /// What is bounded on this page.
    pub bounds: &'static str,
    /// Its keys, by the documents' names.
    pub keys: &'static [KeyName],
    /// What a visitor can do, in the order of the page.
    pub acts: &'static [Action<Commands>],
    /// The documents' example.
    pub example: Example,
    /// How it grows past Redis's own threshold.
    pub growth: Growth,
    /// Commands that read everything that is drawn.
    reads: &'static [&'static str],
    draw: fn(&Readings<'_>) -> Picture,
    /// Whether its picture can be followed while others write.
    pub is_live: bool,
}

/// A key of a demo.
#[derive(Debug, Clone, Copy)]
pub struct KeyName {
    /// What the documents call it.
    pub name: &'static str,
    /// Whether its TTL is part of the demo; else it is a day from the last act.
    pub has_own_ttl: bool,
}

/// The documents' example.
pub struct Example {
    /// What it is about, for a button.
    pub about: &'static str,
    /// One after the other.
    pub steps: &'static [Step],
}

/// One act of an example.
pub struct Step {
    /// Which act.
    pub act: &'static str,
    /// What is in its fields; the others have what the form offers.
    pub with: &'static [(&'static str, &'static str)],
    /// What it shows.
    pub shows: &'static str,
}

/// A key that stays for a day after the last act.
const fn kept(name: &'static str) -> KeyName {
    KeyName { name, has_own_ttl: false }
}

/// A key whose TTL a visitor chooses.
const fn ending(name: &'static str) -> KeyName {
    KeyName { name, has_own_ttl: true }
}

/// A step of an example.
const fn step(
    act: &'static str,
    with: &'static [(&'static str, &'static str)],
    shows: &'static str,
) -> Step {
    Step { act, with, shows }
}

/// The structure that an address names.
pub fn named(slug: &str) -> Option<&'static Structure> {
    ALL.iter().copied().find(|structure| structure.slug == slug)
}

impl Structure {
    /// What a word that is sent asks for.
    pub fn act(&self, slug: &str) -> Option<&'static Action<Commands>> {
        self.acts.iter().find(|act| act.id == slug)
    }

    /// The names of all fields that any act has.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.acts.iter().flat_map(|act| act.fields).map(|field| field.name)
    }

    /// One step of the example, ready to be played; the first is 1.
    pub fn step(&self, number: usize) -> Option<(Invocation, &'static str)> {
        let step = self.example.steps.get(number.checked_sub(1)?)?;
        let act = self.act(step.act)?;
        let given = |name: &str| step.with.iter().find(|it| it.0 == name).map(|it| it.1);
        let played = act.given(given).ok()?;
        Some((played, step.shows))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::{line::CommandTemplate, line::named_in, *};

    /// Words that the page itself understands.
    const RESERVED: [&str; 4] = ["example", "step", "reset", "grow"];

    #[test]
    fn slugs_are_unique_and_fit_an_address() {
        let slugs: HashSet<_> = ALL.iter().map(|structure| structure.slug).collect();
        assert_eq!(slugs.len(), ALL.len());
        assert!(slugs.iter().all(|it| it.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        for structure in ALL {
            let acts: HashSet<_> = structure.acts.iter().map(|act| act.id).collect();
            assert_eq!(acts.len(), structure.acts.len(), "{}", structure.slug);
            assert!(RESERVED.iter().all(|word| !acts.contains(word)), "{}", structure.slug);
        }
    }

    #[test]
    fn a_command_names_only_fields_of_its_act_and_every_field_is_used() {
        for act in ALL.iter().flat_map(|structure| structure.acts) {
            let fields: BTreeSet<_> = act.fields.iter().map(|field| field.name).collect();
            assert_eq!(fields.len(), act.fields.len(), "{}", act.id);
            let forms = act.forms();
            let mut named: BTreeSet<_> = forms.iter().flat_map(|form| named_in(form)).collect();
            named.extend(act.count_field());
            assert_eq!(named, fields, "{}", act.id);
        }
    }

    #[test]
    fn every_key_that_is_touched_is_one_of_the_structures_own() {
        for structure in ALL {
            let own: HashSet<_> = structure.keys.iter().map(|key| key.name).collect();
            let mut touched = Vec::new();
            for act in structure.acts {
                for values in act.every_choice() {
                    let lines =
                        act.forms().into_iter().map(|form| CommandTemplate::of(form, &values));
                    let size_limit = act
                        .run
                        .size_limit
                        .iter()
                        .map(|size_limit| CommandTemplate::of(size_limit.count, &values));
                    touched.extend(lines.chain(size_limit));
                }
            }
            touched.extend(structure.reads.iter().map(|form| CommandTemplate::plain(form)));
            touched.extend(structure.growth.all_lines());
            for line in &touched {
                for key in line.keys() {
                    assert!(own.contains(key), "{}: {key}", structure.slug);
                }
            }
        }
    }

    #[test]
    fn what_forms_offer_and_examples_play_is_in_bounds() {
        for structure in ALL {
            for act in structure.acts {
                assert!(act.given(|_| None).is_ok(), "{} {}", structure.slug, act.id);
            }
            for number in 1..=structure.example.steps.len() {
                assert!(structure.step(number).is_some(), "{} {number}", structure.slug);
                let step = &structure.example.steps[number - 1];
                let act = structure.act(step.act).unwrap();
                for (name, _) in step.with {
                    assert!(act.fields.iter().any(|field| field.name == *name), "{name}");
                }
            }
            assert!(structure.step(0).is_none());
            assert!(structure.step(structure.example.steps.len() + 1).is_none());
        }
    }

    #[test]
    fn a_key_that_several_acts_name_by_a_field_is_named_by_a_choice() {
        for act in ALL.iter().flat_map(|structure| structure.acts) {
            for form in act.forms() {
                for word in form.split(' ').filter_map(|word| word.strip_prefix('@')) {
                    for name in named_in(word) {
                        let field = act.fields.iter().find(|field| field.name == name).unwrap();
                        assert!(!field.kind.choices().is_empty(), "{} {name}", act.id);
                    }
                }
            }
        }
    }
}
