//! What a visitor can do to a structure: a command with fields, its cost, and
//! the form that it once had.

use super::line::Values;
use crate::input::FieldError;
pub use crate::labs::support::action::Action;

/// The commands of an action.
#[derive(Debug, Clone, Copy)]
pub struct Commands {
    /// How Redis is told.
    pub how: How,
    /// What it costs, as Redis documents it.
    pub cost: &'static str,
    /// The deprecated form that older texts use.
    pub instead_of: Option<&'static str>,
    /// For what makes a value larger: how large it may be before.
    pub size_limit: Option<SizeLimit>,
    /// What goes out of date by it, and is removed along with it.
    pub outdates: &'static [&'static str],
}

/// How Redis is told of an act.
#[derive(Debug, Clone, Copy)]
pub enum How {
    /// These commands; the first is the one it is about.
    Commands(&'static [&'static str]),
    /// These, of another type: that Redis refuses them is what they show.
    Refused(&'static [&'static str]),
    /// Each of these with so many random members as the field `count` says.
    Many(&'static [&'static str]),
    /// This one by so many at once as the field `users` says, each in a round
    /// trip of their own.
    Concurrent(&'static [&'static str; 1]),
}

/// A bound on a value's size.
#[derive(Debug, Clone, Copy)]
pub struct SizeLimit {
    /// The command that tells the size.
    pub count: &'static str,
    /// At this size nothing more is taken.
    pub max: u64,
    /// What is counted.
    pub of: &'static str,
}

/// An act with everything in its fields.
#[derive(Clone)]
pub struct Invocation {
    /// Which one.
    pub act: &'static Action<Commands>,
    /// What is in its fields.
    pub values: Values,
}

impl Commands {
    /// Nothing beside the commands and what they cost.
    pub const PLAIN: Self = Self {
        how: How::Commands(&[]),
        cost: "",
        instead_of: None,
        size_limit: None,
        outdates: &[],
    };
}

impl Action<Commands> {
    /// The action with these values; a field that is not given has its usual one.
    pub fn given<'a>(
        &'static self,
        given: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Invocation, FieldError> {
        Ok(Invocation { act: self, values: self.values(given)? })
    }

    /// Its commands, as they are described.
    pub fn forms(&self) -> Vec<&'static str> {
        match self.run.how {
            How::Commands(forms) | How::Refused(forms) | How::Many(forms) => forms.to_vec(),
            How::Concurrent(form) => form.to_vec(),
        }
    }

    /// The field that says how many, if it is more than one command.
    pub fn count_field(&self) -> Option<&'static str> {
        match self.run.how {
            How::Commands(_) | How::Refused(_) => None,
            How::Many(_) => Some("count"),
            How::Concurrent(_) => Some("users"),
        }
    }

    /// Its usual values with each choice that one can make.
    #[cfg(test)]
    pub fn every_choice(&'static self) -> Vec<Values> {
        let usual = self.given(|_| None).expect("what is usual is in bounds").values;
        let mut all = vec![usual];
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
    /// What is in a field that has one value.
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// The same, as a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name).parse().ok()
    }
}
