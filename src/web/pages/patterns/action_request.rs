//! What a visitor asks of a pattern: a word, and the fields that go with it.

use crate::{
    input::FieldError,
    labs::{
        patterns::{Act, Args, Pattern},
        support::fields::Field,
    },
    web::form::{BadInput, Body, Fields},
};

/// What a visitor asks for.
pub enum Asked {
    /// An act of the pattern, with its values.
    Act(&'static Act, Args),
    /// Its trial.
    Trial(Args),
    /// That their keys are removed.
    Reset,
}

impl Asked {
    /// Reads it, each value within its bounds.
    pub fn parse(pattern: &'static Pattern, body: &Body) -> Result<Self, BadInput> {
        let fields = body.fields()?;
        fields.check(&known(pattern))?;
        let name = fields.optional("act").unwrap_or_default();
        let (asked, described): (fn(Args) -> Self, &'static [Field]) = match name {
            "trial" => (Self::Trial, pattern.trial.fields),
            "reset" => (|_| Self::Reset, &[]),
            name => {
                let act = pattern.act(name).ok_or_else(|| needed(pattern))?;
                return Ok(Self::Act(act, args(&fields, act.fields)?));
            }
        };
        Ok(asked(args(&fields, described)?))
    }
}

/// What was sent, good or bad, to be shown again.
pub fn sent(pattern: &'static Pattern, body: &Body) -> Args {
    let fields = body.fields().unwrap_or_default();
    let described = pattern.acts.iter().flat_map(|act| act.fields).chain(pattern.trial.fields);
    described.fold(Args::default(), |args, field| match fields.optional(field.name) {
        Some(text) => args.typed(field, text),
        None => args,
    })
}

/// Every field of every act.
fn known(pattern: &'static Pattern) -> Vec<&'static str> {
    let of_acts = pattern.acts.iter().flat_map(|act| act.fields);
    let names = of_acts.chain(pattern.trial.fields).map(|field| field.name);
    let mut known: Vec<_> = ["act"].into_iter().chain(names).collect();
    known.sort_unstable();
    known.dedup();
    known
}

fn needed(pattern: &Pattern) -> FieldError {
    let acts = pattern.acts.iter().map(|act| act.name).chain(["trial", "reset"]);
    let words = acts.collect::<Vec<_>>().join(" or ");
    FieldError::out_of_range(format!("The field act is needed: {words}."))
}

/// The values of these fields and no others, each within its bounds.
fn args(fields: &Fields<'_>, described: &'static [Field]) -> Result<Args, FieldError> {
    let known: Vec<_> = ["act"].into_iter().chain(described.iter().map(|it| it.name)).collect();
    fields.check(&known)?;
    described.iter().try_fold(Args::default(), |args, field| match fields.sent(field.name) {
        true => Ok(args.with(field, fields.optional(field.name).unwrap_or_default())?),
        false => Ok(args.usual(field)),
    })
}
