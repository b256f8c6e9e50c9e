//! What a visitor can do to a structure: a command with fields, its cost, and
//! the form that it once had.

use super::line::Values;
use crate::{input::FieldError, labs::support::fields::Field};

/// Something to do.
pub struct Act {
    /// The word that is sent.
    pub slug: &'static str,
    /// What it does, for the button.
    pub label: &'static str,
    /// How Redis is told.
    pub how: How,
    /// What a visitor puts in.
    pub fields: &'static [Field],
    /// What it costs, as Redis documents it.
    pub cost: &'static str,
    /// What it shows, in a sentence or two.
    pub about: &'static str,
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
    pub act: &'static Act,
    /// What is in its fields.
    pub values: Values,
}

impl Act {
    /// The act with these values; a field that is not given has its usual one.
    pub fn with(
        &'static self,
        given: impl Fn(&str) -> Option<String>,
    ) -> Result<Invocation, FieldError> {
        let value = |field: &Field| {
            let text = given(field.name).unwrap_or_else(|| field.usual.to_owned());
            Ok((field.name, field.read(&text)?))
        };
        Ok(Invocation {
            act: self,
            values: self.fields.iter().map(value).collect::<Result<_, _>>()?,
        })
    }

    /// Its commands, as they are described.
    pub fn forms(&self) -> Vec<&'static str> {
        match self.how {
            How::Commands(forms) | How::Refused(forms) | How::Many(forms) => forms.to_vec(),
            How::Concurrent(form) => form.to_vec(),
        }
    }

    /// The field that says how many, if it is more than one command.
    pub fn count_field(&self) -> Option<&'static str> {
        match self.how {
            How::Commands(_) | How::Refused(_) => None,
            How::Many(_) => Some("count"),
            How::Concurrent(_) => Some("users"),
        }
    }

    /// Its usual values with each choice that one can make.
    #[cfg(test)]
    pub fn every_choice(&'static self) -> Vec<Values> {
        let usual = self.with(|_| None).expect("what is usual is in bounds").values;
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
