//! Redis's data types, each with keys and actions to try.
//!
//! A structure is a constant: its description, keys, actions, reads, picture, and the
//! tutorial's example. [`Playground`] runs all structures, and one page shows them. To
//! add a structure, write its constant and list it in [`ALL`].

mod actions;
mod bitmaps;
mod bulk;
mod command_template;
mod commands;
pub mod geo;
mod geospatial;
mod growth;
mod hashes;
mod hyperloglog;
mod lists;
pub mod picture;
mod playground;
mod reply;
mod results;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod view;

use self::view::Readings;
pub use self::{
    actions::PlaygroundAction,
    command_template::{readable, readable_words},
    commands::{Action, Commands, Execution, Invocation, SizeLimit},
    growth::Growth,
    picture::Picture,
    playground::{Playground, PlaygroundError},
    results::{
        CompletedAction, EncodingChange, Exchange, PlaygroundResult, PlaygroundResults, Size,
    },
    streams::Tail,
    view::{KeyFacts, PlaygroundView},
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

/// Maximum number of elements of a list, set, hash, sorted set or stream: enough to pass
/// every encoding threshold, and read back in a millisecond.
pub const ELEMENTS_MAX: u64 = 1_000;
/// Maximum length of a member, field or element, in characters.
pub const MEMBER_MAX: usize = 64;

/// A data type, with keys and actions to try.
pub struct Structure {
    /// Its name in URLs.
    pub slug: &'static str,
    /// Its title.
    pub title: &'static str,
    /// A description of one or two sentences.
    pub about: &'static str,
    /// Typical uses.
    pub good_for: &'static str,
    /// When to use something else, and what.
    pub not_for: &'static str,
    /// The limits on this page.
    pub bounds: &'static str,
    /// Its keys, by their names in the tutorial.
    pub keys: &'static [DemoKey],
    /// Its actions, in the order of the page.
    pub acts: &'static [Action<Commands>],
    /// The tutorial's example.
    pub example: Example,
    /// How it grows past its encoding threshold.
    pub growth: Growth,
    /// Commands that read everything the picture shows.
    reads: &'static [&'static str],
    draw: fn(&Readings<'_>) -> Picture,
    /// Whether the page updates its picture live.
    pub is_live: bool,
}

/// A key of a demo.
#[derive(Debug, Clone, Copy)]
pub struct DemoKey {
    /// Its name in the tutorial.
    pub name: &'static str,
    /// Whether the visitor sets its TTL. Otherwise each action renews it.
    pub has_own_ttl: bool,
}

/// The tutorial's example.
pub struct Example {
    /// A short description.
    pub about: &'static str,
    /// Its steps, in order.
    pub steps: &'static [ExampleStep],
}

/// One step of an example.
pub struct ExampleStep {
    /// The id of the action.
    pub act: &'static str,
    /// The values of its fields; other fields have their defaults.
    pub with: &'static [(&'static str, &'static str)],
    /// Lesson of the step.
    pub shows: &'static str,
}

/// A key whose TTL each action renews.
const fn demo_key(name: &'static str) -> DemoKey {
    DemoKey { name, has_own_ttl: false }
}

/// A key whose TTL the visitor sets.
const fn key_with_ttl(name: &'static str) -> DemoKey {
    DemoKey { name, has_own_ttl: true }
}

/// A step of an example.
const fn step(
    act: &'static str,
    with: &'static [(&'static str, &'static str)],
    shows: &'static str,
) -> ExampleStep {
    ExampleStep { act, with, shows }
}

/// Finds a structure by its slug.
pub fn named(slug: &str) -> Option<&'static Structure> {
    ALL.iter().copied().find(|structure| structure.slug == slug)
}

impl Structure {
    /// Finds an action by its id.
    pub fn act(&self, slug: &str) -> Option<&'static Action<Commands>> {
        self.acts.iter().find(|act| act.id == slug)
    }

    /// The names of the fields of all actions.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.acts.iter().flat_map(|act| act.fields).map(|field| field.name)
    }

    /// A step of the example, by its number from 1, and what it demonstrates.
    pub fn step(&self, number: usize) -> Option<(Invocation, &'static str)> {
        let step = self.example.steps.get(number.checked_sub(1)?)?;
        let act = self.act(step.act)?;
        let given = |name: &str| step.with.iter().find(|it| it.0 == name).map(|it| it.1);
        let invocation = act.given(given).ok()?;
        Some((invocation, step.shows))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::{command_template::CommandTemplate, command_template::named_in, *};

    /// Ids of the actions that every structure has.
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
    fn commands_use_only_declared_keys() {
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
    fn defaults_and_example_values_are_in_bounds() {
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
    fn a_field_that_names_a_key_is_a_choice() {
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
