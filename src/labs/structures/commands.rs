//! The actions on a structure: commands with fields, their cost, and the deprecated form.

use super::command_template::Values;
use crate::input::FieldErrors;
pub use crate::labs::support::action::Action;

/// The commands of an action.
#[derive(Debug, Clone, Copy)]
pub struct Commands {
    /// How the commands are sent.
    pub execution: Execution,
    /// The time complexity, as Redis documents it.
    pub cost: &'static str,
    /// The deprecated command that older texts use.
    pub instead_of: Option<&'static str>,
    /// The size at which the action is rejected, for actions that make the value larger.
    pub size_limit: Option<SizeLimit>,
    /// Derived keys that the action makes stale; they are removed with it.
    pub invalidates: &'static [&'static str],
}

/// How the commands of an action are sent.
#[derive(Debug, Clone, Copy)]
pub enum Execution {
    /// These commands; the first is the main one.
    Commands(&'static [&'static str]),
    /// Commands of another type, to demonstrate the error reply.
    ExpectedError(&'static [&'static str]),
    /// Each command with as many random members as the field `count` says.
    RandomMembers(&'static [&'static str]),
    /// One command by as many concurrent users as the field `users` says, each in a
    /// separate round trip.
    Concurrent(&'static [&'static str; 1]),
}

/// A bound on a value's size.
#[derive(Debug, Clone, Copy)]
pub struct SizeLimit {
    /// The command that returns the size.
    pub count: &'static str,
    /// The size from which on the action is rejected.
    pub max: u64,
    /// The unit of the size, in plural.
    pub of: &'static str,
}

/// An action with the values of its fields.
#[derive(Clone)]
pub struct Invocation {
    /// The action.
    pub act: &'static Action<Commands>,
    /// The values of its fields.
    pub values: Values,
}

impl Commands {
    /// These commands, the first is the main one, and their cost.
    pub const fn of(forms: &'static [&'static str], cost: &'static str) -> Self {
        Self { execution: Execution::Commands(forms), cost, ..Self::PLAIN }
    }

    /// Adds the deprecated command that older texts use.
    pub const fn instead_of(self, old: &'static str) -> Self {
        Self { instead_of: Some(old), ..self }
    }

    /// Adds a size limit.
    pub const fn limited(self, count: &'static str, max: u64, of: &'static str) -> Self {
        Self { size_limit: Some(SizeLimit { count, max, of }), ..self }
    }

    /// Adds derived keys that the action makes stale.
    pub const fn invalidating(self, keys: &'static [&'static str]) -> Self {
        Self { invalidates: keys, ..self }
    }

    /// Defaults for everything but the commands and their cost.
    pub const PLAIN: Self = Self {
        execution: Execution::Commands(&[]),
        cost: "",
        instead_of: None,
        size_limit: None,
        invalidates: &[],
    };
}

impl Action<Commands> {
    /// The action with these values. A field that is not given has its default.
    pub fn given<'a>(
        &'static self,
        given: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Invocation, FieldErrors> {
        Ok(Invocation { act: self, values: self.values(given)? })
    }

    /// Its command templates.
    pub fn forms(&self) -> Vec<&'static str> {
        match self.run.execution {
            Execution::Commands(forms)
            | Execution::ExpectedError(forms)
            | Execution::RandomMembers(forms) => forms.to_vec(),
            Execution::Concurrent(form) => form.to_vec(),
        }
    }

    /// The field with the number of members or users, if the action repeats its commands.
    pub fn count_field(&self) -> Option<&'static str> {
        match self.run.execution {
            Execution::Commands(_) | Execution::ExpectedError(_) => None,
            Execution::RandomMembers(_) => Some("count"),
            Execution::Concurrent(_) => Some("users"),
        }
    }

    /// The default values in every combination of the choice fields.
    #[cfg(test)]
    pub fn every_choice(&'static self) -> Vec<Values> {
        let default = self.given(|_| None).expect("defaults are in bounds").values;
        let mut all = vec![default];
        for field in self.fields {
            let words = field.kind.choices();
            if !words.is_empty() {
                let with = |values: &Values, word: &str| {
                    let mut values = values.clone();
                    values.insert(field.name, vec![word.to_owned()]);
                    values
                };
                all = all
                    .iter()
                    .flat_map(|it| words.iter().map(move |word| with(it, word)))
                    .collect();
            }
        }
        all
    }
}

impl Invocation {
    /// The value of a field with a single value; empty if there is none.
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// The value of a field as a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name).parse().ok()
    }
}
