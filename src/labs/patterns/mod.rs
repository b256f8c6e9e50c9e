//! Patterns: what applications build from Redis's commands, each described
//! well enough to be played with from a page, and its usual mistake beside the
//! right way, both counted under the same load.
//!
//! A pattern is data: one handler, one template and one set of tests serve all.
//! To add one, write its constant in a file of its own and list it in [`ALL`].

mod api_response_cache;
mod args;
mod expiring_key;
mod feed;
mod lock;
mod play;
mod product_catalogue;
mod publish_subscribe;
mod rate_limiter;
mod retention;
mod session_store;
mod shopping_cart;
mod state;
mod trending;
mod trial;
mod trial_run;
mod unique_visitors;

use std::pin::Pin;

pub use self::{
    args::Args,
    play::{ActionContext, ActionError, ActionResult},
    publish_subscribe::channel,
    state::{Item, StoredKey, of as state},
    trial::{Count, ExtraCount, Trial, TrialError, TrialReport, Trials, Variant, VariantReport},
};
pub use crate::labs::support::action::Action;
use crate::labs::support::action::button;

/// All patterns, in the order of the index.
pub const ALL: &[&Pattern] = &[
    &expiring_key::PATTERN,
    &session_store::PATTERN,
    &api_response_cache::PATTERN,
    &product_catalogue::PATTERN,
    &shopping_cart::PATTERN,
    &feed::PATTERN,
    &trending::PATTERN,
    &rate_limiter::PATTERN,
    &lock::PATTERN,
    &unique_visitors::PATTERN,
    &retention::PATTERN,
    &publish_subscribe::PATTERN,
];

/// What an act, a trial or a look does, on its way.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A pattern, as its page tells and plays it.
pub struct Pattern {
    /// Its name in the address.
    pub slug: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it is for, in a line.
    pub what_for: &'static str,
    /// How it works, in two or three sentences.
    pub lead: &'static str,
    /// Its keys.
    pub keys: &'static [KeyLine],
    /// The commands it is made of.
    pub commands: &'static [CommandLine],
    /// What a visitor can do, in the order of the forms.
    pub acts: &'static [Action<Acts>],
    /// What usually goes wrong.
    pub pitfall: Pitfall,
    /// Wrong and right under the same load.
    pub trial: Trial,
    /// Numbers that say what the keys mean together.
    pub figures: Option<StatisticsFn>,
    /// A line that says how it is now, from what the keys hold.
    pub now: Option<fn(&[StoredKey]) -> String>,
    /// Whether its page listens to the visitor's channel.
    pub is_live: bool,
    /// What stands above the acts: what to try, and in which order.
    pub try_this: &'static str,
}

/// Reads the figures of a pattern.
pub type StatisticsFn =
    for<'a> fn(&'a ActionContext) -> BoxFuture<'a, Result<Vec<Statistic>, ActionError>>;

/// Does an act, and says what came of it.
pub type Acts = for<'a> fn(&'a ActionContext) -> BoxFuture<'a, Result<Vec<String>, ActionError>>;

/// What a visitor can ask of a pattern.
#[derive(Clone, Copy)]
pub enum Requested {
    /// One of its acts.
    Act(&'static Action<Acts>),
    /// Its trial.
    Trial,
    /// Removing the visitor's keys.
    Reset,
}

/// Whether both need to know the same, so that one form can serve them.
pub fn asks_the_same(one: &Action<Acts>, other: &Action<Acts>) -> bool {
    let names = |act: &Action<Acts>| act.fields.iter().map(|field| field.name);
    names(one).eq(names(other))
}

/// A key of a pattern.
pub struct KeyLine {
    /// As the documents write it.
    pub name: &'static str,
    /// What is in it.
    pub holds: &'static str,
    /// When it ends.
    pub ends: &'static str,
}

/// A command of a pattern.
pub struct CommandLine {
    /// As one would type it.
    pub words: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// What it is for.
    pub does: &'static str,
}

/// A usual mistake.
pub struct Pitfall {
    /// What is done.
    pub wrong: &'static str,
    /// What comes of it, and why.
    pub why: &'static str,
    /// What to do instead.
    pub right: &'static str,
}

/// A number that is worth a label of its own.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Statistic {
    /// What it counts.
    pub label: &'static str,
    /// The number, with its unit.
    pub value: String,
    /// What to think of it.
    pub note: String,
}

impl Pattern {
    /// Values for every field of every act: these, and the defaults of the rest.
    pub fn filled(&self, args: &Args) -> Args {
        let fields = self.acts.iter().flat_map(|act| act.fields);
        fields.fold(args.clone(), |filled, field| match args.has(field.name) {
            true => filled,
            false => filled.usual(field),
        })
    }

    /// Everything that a visitor can do, by the word that is sent.
    pub fn actions(&'static self) -> Vec<Action<Requested>> {
        let own = self.acts.iter().map(|act| act.with(Requested::Act(act)));
        let trial = Action { fields: self.trial.fields, ..button("trial", Requested::Trial) };
        own.chain([trial, button("reset", Requested::Reset)]).collect()
    }
}

/// The pattern that an address names.
pub fn named(slug: &str) -> Option<&'static Pattern> {
    ALL.iter().copied().find(|pattern| pattern.slug == slug)
}

const fn key(name: &'static str, holds: &'static str, ends: &'static str) -> KeyLine {
    KeyLine { name, holds, ends }
}

const fn command(words: &'static str, complexity: &'static str, does: &'static str) -> CommandLine {
    CommandLine { words, complexity, does }
}

fn figure(label: &'static str, value: String, note: impl Into<String>) -> Statistic {
    Statistic { label, value, note: note.into() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn slugs_are_unique_and_fit_an_address() {
        let slugs: BTreeSet<_> = ALL.iter().map(|it| it.slug).collect();
        assert_eq!(slugs.len(), ALL.len());
        assert!(slugs.iter().all(|it| it.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        assert!(ALL.iter().all(|it| named(it.slug).is_some_and(|found| found.title == it.title)));
    }

    #[test]
    fn acts_are_named_once_and_none_takes_a_word_of_the_page() {
        for pattern in ALL {
            let names: BTreeSet<_> = pattern.acts.iter().map(|it| it.id).collect();
            assert_eq!(names.len(), pattern.acts.len(), "{}", pattern.slug);
            assert!(!names.contains("trial") && !names.contains("reset"), "{}", pattern.slug);
        }
    }

    #[test]
    fn every_default_is_within_its_bounds() {
        let acts = |it: &&'static Pattern| it.acts.iter().flat_map(|act| act.fields);
        let trials = |it: &&'static Pattern| it.trial.fields.iter();
        for field in ALL.iter().flat_map(acts).chain(ALL.iter().flat_map(trials)) {
            assert!(field.read(field.usual).is_ok(), "{}", field.name);
        }
    }

    #[test]
    fn every_trial_has_a_crowd_a_wrong_way_and_a_right_one() {
        for pattern in ALL {
            let trial = &pattern.trial;
            assert_eq!(trial.fields[0].name, "actors", "{}", pattern.slug);
            assert!(trial.variants.iter().any(|variant| variant.is_right), "{}", pattern.slug);
            assert!(trial.variants.iter().any(|variant| !variant.is_right), "{}", pattern.slug);
        }
    }
}
