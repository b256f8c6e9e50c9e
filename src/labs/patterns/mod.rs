//! Patterns that applications build from Redis commands. Each has actions to try, and a
//! trial that runs its common mistake and the right way under the same load.
//!
//! A pattern is data: one handler, one template and one set of tests serve all. To add a
//! pattern, write its constant in a file of its own and list it in [`ALL`].

mod action_context;
mod api_response_cache;
mod args;
mod expiring_key;
mod feed;
mod lock;
mod product_catalogue;
mod publish_subscribe;
mod rate_limiter;
mod retention;
mod session_store;
mod shopping_cart;
mod stored_key;
mod trending;
mod trial;
mod trial_run;
mod unique_visitors;

use std::pin::Pin;

pub use self::{
    action_context::{ActionContext, ActionError, ActionResult},
    args::Args,
    publish_subscribe::channel,
    stored_key::{StoredKey, ValueItem, of as state},
    trial::{Count, ExtraCount, Trial, TrialError, TrialReport, Trials, Variant, VariantReport},
};
pub use crate::labs::support::action::Action;
use crate::labs::support::action::button;

/// All patterns, in the order of the index.
pub const ALL: &[&RedisPattern] = &[
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

/// The future of an action, a trial or a read.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A pattern, with everything its page shows.
pub struct RedisPattern {
    /// Its name in URLs.
    pub slug: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Its purpose, in one line.
    pub purpose: &'static str,
    /// How it works, in a few sentences.
    pub lead: &'static str,
    /// Its keys.
    pub keys: &'static [KeyDescription],
    /// Its commands.
    pub commands: &'static [CommandDescription],
    /// Its actions, in the order of the forms.
    pub acts: &'static [Action<ActionFn>],
    /// The common mistake.
    pub pitfall: Pitfall,
    /// Its trial: wrong and right variants under the same load.
    pub trial: Trial,
    /// Reads statistics about its keys.
    pub statistics: Option<StatisticsFn>,
    /// Summarizes its keys in one line.
    pub status: Option<fn(&[StoredKey]) -> String>,
    /// Whether its page subscribes to the visitor's channel.
    pub is_live: bool,
    /// Suggested actions, shown above the forms.
    pub try_this: &'static str,
}

/// Reads the statistics of a pattern.
pub type StatisticsFn =
    for<'a> fn(&'a ActionContext) -> BoxFuture<'a, Result<Vec<Statistic>, ActionError>>;

/// Runs an action and returns its messages.
pub type ActionFn =
    for<'a> fn(&'a ActionContext) -> BoxFuture<'a, Result<Vec<String>, ActionError>>;

/// An action of a pattern's page.
#[derive(Clone, Copy)]
pub enum PatternAction {
    /// One of the pattern's actions.
    Act(&'static Action<ActionFn>),
    /// Runs the trial.
    Trial,
    /// Removes the visitor's keys.
    Reset,
}

/// Whether both actions have the same fields, so that one form can serve them.
pub fn have_same_fields(one: &Action<ActionFn>, other: &Action<ActionFn>) -> bool {
    let names = |act: &Action<ActionFn>| act.fields.iter().map(|field| field.name);
    names(one).eq(names(other))
}

/// The description of a key.
pub struct KeyDescription {
    /// Its name in the tutorial.
    pub name: &'static str,
    /// Its type and content.
    pub holds: &'static str,
    /// When it expires.
    pub ends: &'static str,
}

/// The description of a command.
pub struct CommandDescription {
    /// The command as typed in redis-cli.
    pub words: &'static str,
    /// Its time complexity.
    pub complexity: &'static str,
    /// Its purpose.
    pub does: &'static str,
}

/// A common mistake.
pub struct Pitfall {
    /// The mistake.
    pub wrong: &'static str,
    /// Its consequences, and the reason.
    pub why: &'static str,
    /// The right way.
    pub right: &'static str,
}

/// A labelled number.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Statistic {
    /// The label.
    pub label: &'static str,
    /// The number, with its unit.
    pub value: String,
    /// A remark.
    pub note: String,
}

impl RedisPattern {
    /// Adds the defaults of all fields that have no value.
    pub fn filled(&self, args: &Args) -> Args {
        let fields = self.acts.iter().flat_map(|act| act.fields);
        fields.fold(args.clone(), |filled, field| match args.has(field.name) {
            true => filled,
            false => filled.with_default(field),
        })
    }

    /// All actions of the page.
    pub fn actions(&'static self) -> Vec<Action<PatternAction>> {
        let own = self.acts.iter().map(|act| act.with(PatternAction::Act(act)));
        let trial = Action { fields: self.trial.fields, ..button("trial", PatternAction::Trial) };
        own.chain([trial, button("reset", PatternAction::Reset)]).collect()
    }
}

/// Finds a pattern by its slug.
pub fn named(slug: &str) -> Option<&'static RedisPattern> {
    ALL.iter().copied().find(|pattern| pattern.slug == slug)
}

const fn key(name: &'static str, holds: &'static str, ends: &'static str) -> KeyDescription {
    KeyDescription { name, holds, ends }
}

const fn command(
    words: &'static str,
    complexity: &'static str,
    does: &'static str,
) -> CommandDescription {
    CommandDescription { words, complexity, does }
}

fn statistic(label: &'static str, value: String, note: impl Into<String>) -> Statistic {
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
    fn action_ids_are_unique_and_not_reserved() {
        for pattern in ALL {
            let names: BTreeSet<_> = pattern.acts.iter().map(|it| it.id).collect();
            assert_eq!(names.len(), pattern.acts.len(), "{}", pattern.slug);
            assert!(!names.contains("trial") && !names.contains("reset"), "{}", pattern.slug);
        }
    }

    #[test]
    fn every_default_is_within_its_bounds() {
        let acts = |it: &&'static RedisPattern| it.acts.iter().flat_map(|act| act.fields);
        let trials = |it: &&'static RedisPattern| it.trial.fields.iter();
        for field in ALL.iter().flat_map(acts).chain(ALL.iter().flat_map(trials)) {
            assert!(field.read(field.default).is_ok(), "{}", field.name);
        }
    }

    #[test]
    fn every_trial_has_actors_and_a_wrong_and_a_right_variant() {
        for pattern in ALL {
            let trial = &pattern.trial;
            assert_eq!(trial.fields[0].name, "actors", "{}", pattern.slug);
            assert!(trial.variants.iter().any(|variant| variant.is_right), "{}", pattern.slug);
            assert!(trial.variants.iter().any(|variant| !variant.is_right), "{}", pattern.slug);
        }
    }
}
