//! `/structures` — Redis's data types, each played by hand on the live server.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Bytes, Data, Path},
};
use askama::Template;
use futures_util::stream;
use serde::Serialize;
use tokio::time::sleep;
use utoipa::ToSchema;

use super::{pictures, sse, visitor, waterfall::Waterfall};
use crate::{
    app::{App, Viewer},
    error::{Error, Result},
    figures,
    html::{Page, see, wants_json, whole},
    input::{Body, Fields},
    nav::{self, Link},
    store::{Refusal, Trouble},
    structures::{
        self, Act, Described, Desk, Done, Failure, Field, Grown, KeyFacts, Kind, Look, Outcome,
        Picture, Said, Size, Structure, Tail, What, Wrong, readable, readable_words,
    },
    wire::{Step, Wire},
};

/// All structures.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "structures.html")]
pub struct StructuresPage {
    structures: Vec<Summary>,
}

/// A structure in the index.
#[derive(Serialize, ToSchema)]
pub struct Summary {
    /// Its address is `/structures/{slug}`.
    slug: &'static str,
    /// What it is called.
    title: &'static str,
    /// What it is.
    about: &'static str,
    /// When to take it.
    good_for: &'static str,
    /// The commands that can be tried.
    commands: Vec<&'static str>,
}

/// One structure, and what the visitor has of it.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "structure.html")]
pub struct StructurePage {
    /// What is wrong, when something is; Redis's own words, if it refused a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Its name in the address.
    slug: &'static str,
    /// What it is called.
    title: &'static str,
    /// What there is to see; null while Redis can't be asked.
    picture: Option<Picture>,
    /// The keys of the visitor's own copy.
    keys: Vec<KeyFacts>,
    /// What was done last; null if nothing is known of it any more.
    act: Option<String>,
    /// The commands of that, and what Redis answered.
    said: Vec<Said>,
    /// What growing led to, if that was it.
    #[serde(skip_serializing_if = "Option::is_none")]
    grown: Option<Grown>,
    /// Microseconds that it took, from the first command to the last reply.
    elapsed_us: Option<u64>,
    /// Which step of the example comes next.
    next_step: usize,
    /// What can be done.
    acts: Vec<ActView>,
    /// What was said to Redis: for the last act, or to show this page.
    transcript: Vec<Step>,
    #[serde(skip)]
    structure: &'static Structure,
    #[serde(skip)]
    typed: Typed,
    #[serde(skip)]
    was_refused: bool,
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
    fields: Vec<Described>,
}

/// What is in the fields of an act, as it was typed last.
#[derive(Default)]
struct Typed {
    act: String,
    values: BTreeMap<&'static str, String>,
}

/// Who asks, and for which structure.
struct Asked {
    structure: &'static Structure,
    desk: Desk,
    cookie: Option<actix_web::cookie::Cookie<'static>>,
}

impl Asked {
    fn of(app: &App, request: &HttpRequest, slug: &str) -> Result<Self> {
        let structure = structures::named(slug).ok_or(Error::NoPage)?;
        let (visitor, cookie) = visitor::of(request);
        let desk = Desk::of(app.store.clone(), &visitor, structure);
        Ok(Self { structure, desk, cookie })
    }

    /// An empty page.
    fn page(&self) -> StructurePage {
        StructurePage::new(self.structure, self.cookie.is_none())
    }

    fn send(self, page: StructurePage, status: StatusCode) -> Page<StructurePage> {
        let page = Page::new(page).status(status);
        let page = match status {
            StatusCode::SERVICE_UNAVAILABLE => page.header(header::RETRY_AFTER, "1"),
            _ => page,
        };
        match self.cookie {
            Some(cookie) => page.cookie(cookie),
            None => page,
        }
    }
}

/// The nine of them.
#[utoipa::path(
    get, path = "/structures", operation_id = "structures",
    responses((status = 200, description = "Redis's data types", body = StructuresPage))
)]
pub async fn index() -> Page<StructuresPage> {
    let structures = structures::ALL.iter().map(|it| Summary::of(it)).collect();
    Page::new(StructuresPage { structures })
}

/// One of them: the value as it is, and what the last act led to.
#[utoipa::path(
    get, path = "/structures/{slug}", operation_id = "structure",
    params(("slug" = String, Path, description = "strings, hashes, lists, sets, sorted-sets, bitmaps, hyperloglog, geospatial or streams")),
    responses(
        (status = 200, description = "The visitor's copy; without Redis, how to play", body = StructurePage),
        (status = 404, description = "No such structure"),
    )
)]
pub async fn show(
    app: Data<App>,
    request: HttpRequest,
    slug: Path<String>,
) -> Result<Page<StructurePage>> {
    let asked = Asked::of(&app, &request, &slug)?;
    Fields::of_query(&request, &[])?;
    let outcome = app.shared.outcomes.last(asked.desk.demo());
    let wire = Wire::on();
    let look = asked.desk.look(outcome.as_ref().and_then(|it| it.done.as_ref()), &wire).await;
    let page = asked.page().looking(look, wire);
    Ok(Page::new(match outcome {
        Some(outcome) => page.after(&outcome),
        None => page,
    }))
}

/// Does something to the visitor's copy.
#[utoipa::path(
    post, path = "/structures/{slug}", operation_id = "play_structure",
    params(("slug" = String, Path, description = "Which structure")),
    request_body(content(
        (serde_json::Value = "application/json"),
        (serde_json::Value = "application/x-www-form-urlencoded"),
    ), description = "`act` is one of the page's acts, with its fields; or `example` (all of it), `step` with `step` = 1 and on, `grow`, or `reset`"),
    responses(
        (status = 200, description = "Done; with Accept: application/json", body = StructurePage),
        (status = 303, description = "Done; to the page that tells it"),
        (status = 400, description = "Not understood", body = StructurePage),
        (status = 404, description = "No such structure"),
        (status = 422, description = "Out of range, or refused by Redis, in its own words", body = StructurePage),
        (status = 503, description = "Redis can't be reached, or takes no writes", body = StructurePage),
    )
)]
pub async fn act(
    app: Data<App>,
    request: HttpRequest,
    slug: Path<String>,
    body: Body,
) -> Result<HttpResponse> {
    let asked = Asked::of(&app, &request, &slug)?;
    let known: Vec<_> = asked.structure.fields().chain(["act", "step"]).collect();
    let fields = body.fields(&known)?;
    let (desk, what) = (asked.desk.clone(), wanted(asked.structure, &fields));
    let played = match what {
        Ok(what) => whole(async move { desk.play(what).await }).await,
        Err(wrong) => Err(Failure::from(wrong)),
    };
    let (outcome, look) = match played {
        Ok(played) => played,
        Err(failure) => {
            return Ok(failed(asked, &fields, failure).await.respond(request.headers()));
        }
    };
    let outcome = app.shared.outcomes.keep(asked.desk.demo().clone(), outcome);
    let status = outcome.refusal.as_ref().map_or(StatusCode::OK, status_of);
    if status == StatusCode::OK && !wants_json(request.headers()) {
        let mut response = see(&format!("{}/{}", nav::STRUCTURES.path, asked.structure.slug));
        asked.cookie.into_iter().for_each(|cookie| {
            response.cookie(cookie);
        });
        return Ok(response.finish());
    }
    let page = asked.page().looking(Ok(look), Wire::off()).after(&outcome);
    Ok(asked.send(page, status).respond(request.headers()))
}

/// How often a listener asks, and after how many times in vain it shows that it is there.
const TICK: Duration = Duration::from_millis(500);
const PULSE: u32 = 20;
/// Ten minutes; then the browser asks again, and one that has long left gives
/// its place free.
const TICKS_MAX: u32 = 1_200;

/// The visitor's streams as server-sent events: the picture, whenever something
/// came or went.
#[utoipa::path(
    get, path = "/structures/streams/live", operation_id = "live_streams",
    responses(
        (status = 200, description = "A stream of HTML fragments", content_type = "text/event-stream"),
        (status = 503, description = "Too many watch already"),
    )
)]
pub async fn live(app: Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    let viewer = app.shared.viewers.enter().ok_or(Error::TooManyViewers)?;
    let asked = Asked::of(&app, &request, "streams")?;
    let listener = Listener { tail: Tail::of(asked.desk), _viewer: viewer, ticks: 0 };
    Ok(sse::answer(stream::unfold(listener, Listener::next)))
}

/// Someone who listens.
struct Listener {
    tail: Tail,
    _viewer: Viewer,
    ticks: u32,
}

impl Listener {
    /// Waits for the next event. While Redis is away nothing comes.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        while self.ticks < TICKS_MAX {
            self.ticks += 1;
            if let Ok(Some(look)) = self.tail.news().await {
                let drawn = pictures::drawn(&look.picture).ok()?;
                return Some((Ok(sse::event(&drawn)), self));
            }
            sleep(TICK).await;
            if self.ticks.is_multiple_of(PULSE) {
                return Some((Ok(sse::pulse()), self));
            }
        }
        None
    }
}

/// What the fields ask for.
fn wanted(structure: &'static Structure, fields: &Fields) -> Result<What, Wrong> {
    Ok(match fields.optional("act").unwrap_or_default() {
        "example" => What::Example,
        "step" => What::Step(step(fields)?),
        "reset" => What::Reset,
        "grow" => What::Grow,
        slug => {
            let act = structure.act(slug).ok_or_else(|| no_act(structure))?;
            What::Act(act.with(|name| fields.sent(name).then(|| sent(fields, name)))?)
        }
    })
}

fn step(fields: &Fields) -> Result<usize, Wrong> {
    let number =
        fields.number("step", 1..=100).map_err(|why| Wrong::OutOfRange(why.to_string()))?;
    Ok(number.unwrap_or(1) as usize)
}

fn sent(fields: &Fields, name: &str) -> String {
    fields.optional(name).unwrap_or_default().to_owned()
}

fn no_act(structure: &Structure) -> Wrong {
    let acts = structure.acts.iter().map(|act| act.slug);
    let all: Vec<_> = acts.chain(["example", "step", "grow", "reset"]).collect();
    Wrong::OutOfRange(format!("The field act is needed: {}.", all.join(" or ")))
}

/// The same page, with what is wrong and what was typed.
async fn failed(asked: Asked, fields: &Fields, failure: Failure) -> Page<StructurePage> {
    let status = match &failure {
        Failure::Wrong(Wrong::Malformed(_)) => StatusCode::BAD_REQUEST,
        Failure::Wrong(Wrong::OutOfRange(_)) | Failure::NoRoom(_) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Failure::Redis(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let wire = Wire::on();
    let look = match &failure {
        Failure::Redis(trouble) => Err(trouble.clone()),
        _ => asked.desk.look(None, &wire).await,
    };
    let mut page = asked.page().looking(look, wire);
    if !matches!(failure, Failure::Redis(_)) {
        page.error = Some(failure.to_string());
    }
    page.typed = Typed::sent(asked.structure, fields);
    asked.send(page, status)
}

/// 422 for what is wrong with the command, 503 for what is wrong with the server.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal.trouble.is_refusal() || refusal.trouble == Trouble::NotReady {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl Typed {
    fn sent(structure: &Structure, fields: &Fields) -> Self {
        let act = fields.optional("act").unwrap_or_default().to_owned();
        let values = structure.fields().filter(|name| fields.sent(name));
        Self { act, values: values.map(|name| (name, sent(fields, name))).collect() }
    }

    fn done(done: &Done) -> Self {
        let values = done.values.iter().map(|(name, values)| (*name, values.join(", ")));
        Self { act: done.act.to_owned(), values: values.collect() }
    }
}

impl Summary {
    fn of(structure: &Structure) -> Self {
        let mut commands: Vec<_> = structure.acts.iter().flat_map(Act::forms).collect();
        commands.iter_mut().for_each(|form| *form = form.split(' ').next().unwrap_or_default());
        let mut seen = std::collections::BTreeSet::new();
        commands.retain(|verb| seen.insert(*verb));
        let Structure { slug, title, about, good_for, .. } = *structure;
        Self { slug, title, about, good_for, commands }
    }
}

impl ActView {
    fn of(act: &Act) -> Self {
        Self {
            act: act.slug,
            label: act.label,
            commands: act.forms().into_iter().map(readable).collect(),
            cost: act.cost,
            instead_of: act.instead_of,
            fields: act.fields.iter().map(Field::described).collect(),
        }
    }
}

impl StructuresPage {
    const LINK: Link = nav::STRUCTURES;
}

impl StructurePage {
    const LINK: Link = nav::STRUCTURES;

    fn new(structure: &'static Structure, is_known: bool) -> Self {
        Self {
            error: None,
            slug: structure.slug,
            title: structure.title,
            picture: None,
            keys: Vec::new(),
            act: None,
            said: Vec::new(),
            grown: None,
            elapsed_us: None,
            next_step: 1,
            acts: structure.acts.iter().map(ActView::of).collect(),
            transcript: Vec::new(),
            structure,
            typed: Typed::default(),
            was_refused: false,
            is_known,
        }
    }

    /// With what there is to see.
    fn looking(mut self, look: Result<Look, Trouble>, wire: Wire) -> Self {
        self.transcript = wire.steps();
        match look {
            Ok(look) => {
                self.picture = Some(look.picture);
                self.keys = look.keys;
            }
            Err(trouble) => {
                self.error = Some(format!(
                    "{trouble}, so there is nothing to see or to play with. hitrate keeps trying; your keys are there again when Redis is."
                ))
            }
        }
        self
    }

    /// With what the last act led to.
    fn after(mut self, outcome: &Arc<Outcome>) -> Self {
        self.act = Some(outcome.title.clone());
        self.said.clone_from(&outcome.said);
        self.grown.clone_from(&outcome.grown);
        self.elapsed_us = Some(outcome.elapsed_us);
        self.next_step = outcome.next_step.unwrap_or(1);
        self.typed = outcome.done.as_ref().map(Typed::done).unwrap_or_default();
        if self.error.is_some() {
            return self;
        }
        self.transcript.clone_from(&outcome.transcript);
        self.error = outcome.refusal.as_ref().map(|refusal| refusal.words.clone());
        self.was_refused = self.error.is_some();
        self
    }
}

// What the template asks for.
impl StructurePage {
    fn waterfall(&self) -> Waterfall<'_> {
        Waterfall::of(&self.transcript)
    }

    fn wire_in_short(&self) -> String {
        let commands = self.transcript.len() as u64;
        let trips = self.transcript.last().map_or(0, |step| step.trip as u64);
        let commands = figures::counted(&commands, "command", "commands");
        format!("{commands} in {}", figures::counted(&trips, "round trip", "round trips"))
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

    /// What is in a field: what was typed last, or what it offers.
    fn value(&self, act: &Act, field: &Field) -> String {
        let typed = self.typed.values.get(field.name).filter(|_| self.typed.act == act.slug);
        typed.cloned().unwrap_or_else(|| field.usual.to_owned())
    }

    /// Its commands word by word, and whether a word stands for a field.
    fn forms(&self, act: &Act) -> Vec<Vec<(String, bool)>> {
        act.forms().into_iter().map(readable_words).collect()
    }

    /// The bounds of a number's field.
    fn bounds(&self, field: &Field) -> Option<(String, String, &'static str)> {
        match field.kind {
            Kind::Whole(least, most) => Some((least.to_string(), most.to_string(), "1")),
            Kind::Decimal(least, most) => Some((least.to_string(), most.to_string(), "any")),
            _ => None,
        }
    }

    fn ends(&self, facts: &KeyFacts) -> String {
        facts.ttl_s.as_ref().map_or_else(|| "–".to_owned(), figures::span)
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
        ..100_000 => format!("{} B", figures::number(count)),
        _ => figures::bytes(count),
    }
}
