//! One structure as a page shows it: what the visitor has of it, what they did
//! last, and everything they can do.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use hitrate_cache::{
    redis::RedisError,
    trace::{Span, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::pictures;
use crate::{
    format,
    labs::{
        structures::{
            Action, Commands, CompletedAction, EncodingChange, Exchange, KeyFacts, Picture,
            PlaygroundResult, PlaygroundView, Size, Structure, readable, readable_words,
        },
        support::{
            fields::{Field, FieldDescription},
            result_store::RunToken,
        },
    },
    schemas,
    web::{
        form::Fields,
        form_view::{FieldView, FormView},
        nav::{self, Link},
        pages::waterfall::Waterfall,
    },
};

/// One structure, and what the visitor has of it.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "structure.html")]
pub struct StructurePage {
    /// What is wrong, when something is; Redis's own words, if it refused a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its name in the address.
    slug: &'static str,
    /// What it is called.
    title: &'static str,
    /// The token by which `?run=` shows the act again for half an hour; null when there is none.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// What there is to see; null while Redis can't be asked.
    picture: Option<Picture>,
    /// The keys of the visitor's own copy.
    keys: Vec<KeyFacts>,
    /// What was done; null without a token.
    act: Option<String>,
    /// The commands of that, and what Redis answered.
    exchanges: Vec<Exchange>,
    /// What growing led to, if that was it.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_change: Option<EncodingChange>,
    /// Microseconds that it took, from the first command to the last reply.
    elapsed_us: Option<u64>,
    /// Which step of the example comes next.
    next_step: usize,
    /// What can be done.
    acts: Vec<ActView>,
    /// What was said to Redis: for the last act, or to show this page.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    #[serde(skip)]
    structure: &'static Structure,
    #[serde(skip)]
    pub typed: Typed,
    #[serde(skip)]
    pub form: FormView,
    #[serde(skip)]
    was_refused: bool,
    /// Whether the request names an act that is not kept any more.
    #[serde(skip)]
    pub is_gone: bool,
    /// Whether the visitor has keys that could be followed.
    #[serde(skip)]
    is_known: bool,
}

/// Something that can be done.
#[derive(Serialize, ToSchema)]
pub struct ActView {
    /// The word to send as `act`.
    act: &'static str,
    /// What it does.
    label: &'static str,
    /// Its commands.
    commands: Vec<String>,
    /// What it costs.
    cost: &'static str,
    /// The deprecated form.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<&'static str>,
    /// What is sent along.
    fields: Vec<FieldDescription>,
}

/// What is in the fields of an act, as it was typed last.
#[derive(Default)]
pub struct Typed {
    act: String,
    values: BTreeMap<&'static str, String>,
}

impl Typed {
    /// As it was sent.
    pub fn sent(structure: &Structure, fields: &Fields<'_>) -> Self {
        let act = fields.optional("act").unwrap_or_default().to_owned();
        let values = structure.fields().filter(|name| fields.sent(name));
        Self {
            act,
            values: values
                .map(|name| (name, fields.optional(name).unwrap_or_default().to_owned()))
                .collect(),
        }
    }

    /// As it was done.
    pub fn done(done: &CompletedAction) -> Self {
        let values = done.values.iter().map(|(name, values)| (*name, values.join(", ")));
        Self { act: done.act.to_owned(), values: values.collect() }
    }
}

impl ActView {
    fn of(act: &Action<Commands>) -> Self {
        Self {
            act: act.id,
            label: act.label,
            commands: act.forms().into_iter().map(readable).collect(),
            cost: act.run.cost,
            instead_of: act.run.instead_of,
            fields: act.fields.iter().map(Field::description).collect(),
        }
    }
}

impl StructurePage {
    const LINK: Link = nav::STRUCTURES;

    /// With nothing to see yet.
    pub fn new(structure: &'static Structure, next_step: usize, is_known: bool) -> Self {
        Self {
            error: None,
            slug: structure.slug,
            title: structure.title,
            run: None,
            picture: None,
            keys: Vec::new(),
            act: None,
            exchanges: Vec::new(),
            encoding_change: None,
            elapsed_us: None,
            next_step,
            acts: structure.acts.iter().map(ActView::of).collect(),
            trace: Vec::new(),
            structure,
            typed: Typed::default(),
            form: FormView::default(),
            was_refused: false,
            is_gone: false,
            is_known,
        }
    }

    /// With what there is to see.
    pub fn looking(mut self, look: Result<PlaygroundView, RedisError>, trace: Trace) -> Self {
        self.trace = trace.spans();
        match look {
            Ok(look) => {
                self.picture = Some(look.picture);
                self.keys = look.keys;
            }
            Err(error) => {
                self.error = Some(format!(
                    "{error}, so there is nothing to see or to play with. hitrate keeps trying; your keys are there again when Redis is."
                ))
            }
        }
        self
    }

    /// With what an act led to.
    pub fn after(mut self, (run, outcome): (RunToken, Arc<PlaygroundResult>)) -> Self {
        self.run = Some(run);
        self.act = Some(outcome.title.clone());
        self.exchanges.clone_from(&outcome.exchanges);
        self.encoding_change.clone_from(&outcome.encoding_change);
        self.elapsed_us = Some(outcome.elapsed_us);
        self.typed = outcome.last_action.as_ref().map(Typed::done).unwrap_or_default();
        if self.error.is_some() {
            return self;
        }
        self.trace.clone_from(&outcome.trace);
        self.error = outcome.refusal.as_ref().map(|refusal| refusal.message.clone());
        self.was_refused = self.error.is_some();
        self
    }
}

// What the template asks for.
impl StructurePage {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }

    /// What the last act led to, if that can be said in a line.
    fn headline(&self) -> Option<&Exchange> {
        let short =
            self.exchanges.len() <= 2 && self.encoding_change.is_none() && !self.was_refused;
        self.exchanges.first().filter(|said| short && !said.reply.contains('\n'))
    }

    fn trace_in_short(&self) -> String {
        let commands = self.trace.len() as u64;
        let trips = self.trace.last().map_or(0, |step| step.round_trip as u64);
        let commands = format::counted(&commands, "command", "commands");
        format!("{commands} in {}", format::counted(&trips, "round trip", "round trips"))
    }

    fn drawn(&self) -> askama::Result<String> {
        self.picture.as_ref().map_or_else(|| Ok(String::new()), pictures::drawn)
    }

    fn is_empty(&self) -> bool {
        self.picture.as_ref().is_none_or(Picture::is_empty)
    }

    /// Whether the picture follows by itself.
    fn is_live(&self) -> bool {
        self.structure.is_live && self.is_known && self.picture.is_some()
    }

    /// What stands before the documents' name in each key.
    fn prefix(&self) -> &str {
        self.keys.first().map_or("", |facts| facts.name.strip_suffix(facts.key).unwrap_or_default())
    }

    fn steps(&self) -> usize {
        self.structure.example.steps.len()
    }

    fn next_shows(&self) -> &'static str {
        self.structure.step(self.next_step).map_or("", |(_, shows)| shows)
    }

    /// A field of an act, with what was typed last, or what it offers.
    fn field(&self, act: &Action<Commands>, field: &Field) -> FieldView {
        let is_sent = self.typed.act == act.id;
        let typed = self.typed.values.get(field.name).filter(|_| is_sent);
        let value = typed.cloned().unwrap_or_else(|| field.default.to_owned());
        FieldView::of(field, format!("{}-{}", act.id, field.name), value)
            .with_error(self.form.error_of(field.name).filter(|_| is_sent))
    }

    /// Its commands word by word, and whether a word stands for a field.
    fn forms(&self, act: &Action<Commands>) -> Vec<Vec<(String, bool)>> {
        act.forms().into_iter().map(readable_words).collect()
    }

    fn ends(&self, facts: &KeyFacts) -> String {
        facts.ttl_s.as_ref().map_or_else(|| "–".to_owned(), |s| format::span(s).to_string())
    }

    fn memory(&self, facts: &KeyFacts) -> String {
        facts.memory_bytes.as_ref().map_or_else(|| "–".to_owned(), bytes)
    }

    fn bytes_of(&self, size: &Size) -> String {
        size.memory_bytes.as_ref().map_or_else(|| "–".to_owned(), bytes)
    }
}

/// Exact while a person can compare it.
fn bytes(count: &u64) -> String {
    match count {
        ..100_000 => format!("{} B", format::number(count)),
        _ => format::bytes(count),
    }
}
