//! View model of one structure: its content, the result of the last action, and all
//! actions.

use std::sync::Arc;

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
        filters,
        form_view::{FieldView, FormView},
        nav::{self, Link},
        pages::waterfall::Waterfall,
    },
};

/// A structure, its content, and the result of an action.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "structure.html")]
pub struct StructurePage {
    /// Error, if there is one; the reply of Redis, if it rejected a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Identifier in the URL.
    slug: &'static str,
    /// Title.
    title: &'static str,
    /// Token of the result, valid for 30 minutes as `?run=`; null without a result.
    #[schema(value_type = Option<String>)]
    run: Option<RunToken>,
    /// Content of the visitor's keys, by type; null while Redis is unavailable.
    picture: Option<Picture>,
    /// The visitor's keys.
    keys: Vec<KeyFacts>,
    /// Title of the last action; null without a result.
    act: Option<String>,
    /// Commands of the last action, with their replies.
    exchanges: Vec<Exchange>,
    /// Change of the encoding, if the last action was `grow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_change: Option<EncodingChange>,
    /// Microseconds from the first command to the last reply.
    elapsed_us: Option<u64>,
    /// Next step of the example.
    next_step: usize,
    /// All actions.
    acts: Vec<ActionView>,
    /// Redis commands of the action, or of this request if there is no result.
    #[schema(value_type = Vec<schemas::Span>)]
    trace: Vec<Span>,
    #[serde(skip)]
    structure: &'static Structure,
    #[serde(skip)]
    last_action: Option<CompletedAction>,
    #[serde(skip)]
    pub form: FormView,
    /// Whether `error` is a reply of Redis.
    #[serde(skip)]
    is_redis_reply: bool,
    /// Whether the requested result is no longer stored.
    #[serde(skip)]
    pub is_expired: bool,
    /// Whether the visitor has a cookie, so that live updates are possible.
    #[serde(skip)]
    has_cookie: bool,
}

/// An action.
#[derive(Serialize, ToSchema)]
pub struct ActionView {
    /// Id to send as `act`.
    act: &'static str,
    /// Label.
    label: &'static str,
    /// Commands.
    commands: Vec<String>,
    /// Time complexity.
    cost: &'static str,
    /// Deprecated command that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<&'static str>,
    /// Fields to send with it.
    fields: Vec<FieldDescription>,
}

impl ActionView {
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

    /// A page without content or result.
    pub fn new(structure: &'static Structure, next_step: usize, has_cookie: bool) -> Self {
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
            acts: structure.acts.iter().map(ActionView::of).collect(),
            trace: Vec::new(),
            structure,
            last_action: None,
            form: FormView::default(),
            is_redis_reply: false,
            is_expired: false,
            has_cookie,
        }
    }

    /// Adds the content, or the error of reading it.
    pub fn with_view(mut self, view: Result<PlaygroundView, RedisError>, trace: Trace) -> Self {
        self.trace = trace.spans();
        match view {
            Ok(view) => {
                self.picture = Some(view.picture);
                self.keys = view.keys;
            }
            Err(error) => {
                self.error = Some(format!(
                    "{error}, so your keys can't be read or changed. hitrate reconnects by itself; your keys are kept in Redis."
                ))
            }
        }
        self
    }

    /// Adds the result of an action.
    pub fn with_result(mut self, (run, outcome): (RunToken, Arc<PlaygroundResult>)) -> Self {
        self.run = Some(run);
        self.act = Some(outcome.title.clone());
        self.exchanges.clone_from(&outcome.exchanges);
        self.encoding_change.clone_from(&outcome.encoding_change);
        self.elapsed_us = Some(outcome.elapsed_us);
        self.last_action.clone_from(&outcome.last_action);
        if self.error.is_some() {
            return self;
        }
        self.trace.clone_from(&outcome.trace);
        self.error = outcome.refusal.as_ref().map(|refusal| refusal.message.clone());
        self.is_redis_reply = self.error.is_some();
        self
    }
}

// Methods for the template.
impl StructurePage {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.trace)
    }

    /// The exchange of the last action, if it fits on one line.
    fn headline(&self) -> Option<&Exchange> {
        let short =
            self.exchanges.len() <= 2 && self.encoding_change.is_none() && !self.is_redis_reply;
        self.exchanges.first().filter(|exchange| short && !exchange.reply.contains('\n'))
    }

    fn trace_summary(&self) -> String {
        let commands = self.trace.len() as u64;
        let trips = self.trace.last().map_or(0, |step| step.round_trip as u64);
        let commands = format::counted(&commands, "command", "commands");
        format!("{commands} in {}", format::counted(&trips, "round trip", "round trips"))
    }

    fn picture_html(&self) -> askama::Result<String> {
        self.picture.as_ref().map_or_else(|| Ok(String::new()), pictures::html)
    }

    fn is_empty(&self) -> bool {
        self.picture.as_ref().is_none_or(Picture::is_empty)
    }

    /// Whether the picture updates live.
    fn is_live(&self) -> bool {
        self.structure.is_live && self.has_cookie && self.picture.is_some()
    }

    /// Prefix of the visitor's keys.
    fn prefix(&self) -> &str {
        self.keys.first().map_or("", |facts| facts.name.strip_suffix(facts.key).unwrap_or_default())
    }

    fn steps(&self) -> usize {
        self.structure.example.steps.len()
    }

    fn next_shows(&self) -> &'static str {
        self.structure.step(self.next_step).map_or("", |(_, shows)| shows)
    }

    /// A field of an action, with its last or default value.
    fn field(&self, act: &Action<Commands>, field: &Field) -> FieldView {
        let last = self.last_action.as_ref().filter(|last| last.act == act.id);
        let values = last.and_then(|last| last.values.get(field.name));
        let value = values.map_or_else(|| field.default.to_owned(), |values| values.join(", "));
        self.form.field_of(&[act.id], field, value)
    }

    /// Commands of an action: each word, and whether it stands for a field.
    fn forms(&self, act: &Action<Commands>) -> Vec<Vec<(String, bool)>> {
        act.forms().into_iter().map(readable_words).collect()
    }

    fn remaining_ttl(&self, facts: &KeyFacts) -> String {
        facts.ttl_s.as_ref().map_or_else(|| "–".to_owned(), format::span)
    }

    fn memory(&self, facts: &KeyFacts) -> String {
        facts.memory_bytes.as_ref().map_or_else(|| "–".to_owned(), bytes)
    }

    fn memory_of(&self, size: &Size) -> String {
        size.memory_bytes.as_ref().map_or_else(|| "–".to_owned(), bytes)
    }
}

/// Small sizes in bytes, so that they can be compared exactly.
fn bytes(count: &u64) -> String {
    match count {
        ..100_000 => format!("{} B", format::number(count)),
        _ => format::bytes(count),
    }
}
