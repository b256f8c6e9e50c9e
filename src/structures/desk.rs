//! The desk: one visitor, one structure. Plays what they chose and reads
//! everything back, in as few round trips as that takes.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Structure,
    act::{How, Move, Room},
    field::Wrong,
    growth::Grown,
    line::Line,
    outcome::{Done, Outcome, Said},
    picture::Picture,
    reply::{self, Reply},
};
use crate::{
    clock::micros,
    demo::{Demo, Visitor},
    figures,
    store::{Command, Refusal, Store, Trouble, Value},
    wire::{Target, Trip, Wire},
};

/// Random members in one command, and commands of each kind in one round trip.
const MEMBERS: usize = 1_000;
const COMMANDS: usize = 5;

/// One visitor at one structure.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    demo: Demo,
    structure: &'static Structure,
}

/// What a visitor chose.
#[derive(Clone)]
pub enum What {
    /// One act.
    Act(Move),
    /// All steps of the example, on empty keys.
    Example,
    /// One step of it; the first empties the keys.
    Step(usize),
    /// Removing the keys of this demo.
    Reset,
    /// Growing past the threshold.
    Grow,
}

/// Why nothing was played.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// What was sent is out of bounds.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// There is no room for more.
    #[error("{0}")]
    NoRoom(String),
    /// Redis said nothing.
    #[error(transparent)]
    Redis(#[from] Trouble),
}

/// What there is to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The value.
    pub picture: Picture,
    /// Its keys.
    pub keys: Vec<KeyFacts>,
}

/// A key of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyFacts {
    /// What the documents call it.
    pub key: &'static str,
    /// What it is called in Redis.
    pub name: String,
    /// Bytes that it takes, by MEMORY USAGE; null if it is not there.
    pub memory_bytes: Option<u64>,
    /// How Redis keeps it, by OBJECT ENCODING; null if it is not there.
    pub encoding: Option<String>,
    /// Seconds until it ends; null if it is not there, or never does.
    pub ttl_s: Option<u64>,
}

/// What a picture is made of.
pub struct Seen<'a> {
    /// What Redis answered to what is read, in the order of the commands.
    pub replies: &'a [Reply],
    /// The keys.
    pub keys: &'a [KeyFacts],
    /// The last act.
    pub done: Option<&'a Done>,
}

impl Seen<'_> {
    /// Bytes that a key takes; 0 if it is not there.
    pub fn bytes(&self, key: &str) -> u64 {
        let facts = self.keys.iter().find(|facts| facts.key == key);
        facts.and_then(|facts| facts.memory_bytes).unwrap_or_default()
    }
}

/// Commands an act is about, and what was answered.
struct Played {
    lines: Vec<Line>,
    replies: Vec<Reply>,
    look: Vec<Reply>,
}

impl Desk {
    /// This visitor's.
    pub fn of(store: Store, visitor: &Visitor, structure: &'static Structure) -> Self {
        Self { store, demo: visitor.demo(structure.slug), structure }
    }

    /// The demo whose keys are played with.
    pub fn demo(&self) -> &Demo {
        &self.demo
    }

    /// Reads everything, and changes nothing.
    pub async fn look(&self, done: Option<&Done>, wire: &Wire) -> Result<Look, Trouble> {
        let replies = self.ask(self.looks(), wire).await?;
        Ok(self.seen(&replies, done))
    }

    /// What Redis answers to these, in one round trip.
    pub(super) async fn ask(&self, lines: Vec<Line>, wire: &Wire) -> Result<Vec<Reply>, Trouble> {
        self.store.ask(self.commands(&lines), wire).await
    }

    /// Does what the visitor chose, then reads everything.
    pub async fn play(&self, what: What) -> Result<(Outcome, Look), Failure> {
        let (wire, start) = (Wire::on(), Instant::now());
        let (mut outcome, look) = match what {
            What::Act(act) => self.act(act, &wire).await?,
            What::Example => self.example(&wire).await?,
            What::Step(number) => self.step(number, &wire).await?,
            What::Reset => self.reset(&wire).await?,
            What::Grow => self.grow(&wire).await?,
        };
        outcome.elapsed_us = micros(start.elapsed());
        outcome.transcript = wire.steps();
        Ok((outcome, look))
    }

    async fn act(&self, act: Move, wire: &Wire) -> Result<(Outcome, Look), Failure> {
        let said = match act.act.how {
            How::Commands(forms) => {
                self.check(&act, wire).await?;
                let lines = forms.iter().map(|form| Line::of(form, &act.values)).collect();
                self.run(lines, self.after(&act), wire).await?
            }
            How::Many(forms) => self.many(&act, forms, wire).await?,
        };
        Ok(self.told(act.act.label.to_owned(), said, Some(act), &[]))
    }

    async fn example(&self, wire: &Wire) -> Result<(Outcome, Look), Failure> {
        let steps: Vec<_> = (1..).map_while(|number| self.structure.step(number)).collect();
        let (mut lines, mut shows) = (
            vec![self.removal()],
            vec![Some(
                "The keys of this demo go first, so that the example is the same each time.",
            )],
        );
        for (step, text) in &steps {
            let forms = step.act.forms();
            shows.extend(forms.iter().enumerate().map(|(n, _)| (n == 0).then_some(*text)));
            lines.extend(forms.iter().map(|form| Line::of(form, &step.values)));
        }
        let played = self.run(lines, self.renewals(), wire).await?;
        let last = steps.into_iter().last().map(|(step, _)| step);
        let (mut outcome, look) = self.told("The whole example".to_owned(), played, last, &shows);
        outcome.next_step = Some(1);
        Ok((outcome, look))
    }

    async fn step(&self, number: usize, wire: &Wire) -> Result<(Outcome, Look), Failure> {
        let count = self.structure.example.steps.len();
        let (step, shows) = self.structure.step(number).ok_or_else(|| {
            Wrong::OutOfRange(format!("The field step must be a whole number from 1 to {count}."))
        })?;
        let first = (number == 1).then(|| self.removal());
        let mut texts = vec![None; usize::from(first.is_some())];
        texts.push(Some(shows));
        let acts = step.act.forms().into_iter().map(|form| Line::of(form, &step.values));
        let played =
            self.run(first.into_iter().chain(acts).collect(), self.after(&step), wire).await?;
        let title = format!("Step {number} of {count}");
        let (mut outcome, look) = self.told(title, played, Some(step), &texts);
        outcome.next_step = Some(if number == count { 1 } else { number + 1 });
        Ok((outcome, look))
    }

    async fn reset(&self, wire: &Wire) -> Result<(Outcome, Look), Failure> {
        let played = self.run(vec![self.removal()], Vec::new(), wire).await?;
        let (mut outcome, look) = self.told("Start again".to_owned(), played, None, &[]);
        outcome.next_step = Some(1);
        Ok((outcome, look))
    }

    async fn grow(&self, wire: &Wire) -> Result<(Outcome, Look), Failure> {
        let growth = &self.structure.growth;
        let (told, have) = self.threshold(wire).await?;
        let measures = growth.measures();
        let mut lines = (growth.up_to)(have, told.0);
        let middle = lines.len();
        lines.extend(measures.clone());
        lines.extend((growth.beyond)(told.0));
        lines.extend(measures);
        let played = self.run(lines, self.renewals(), wire).await?;
        let (before, after) = (&played.replies[middle..middle + 3], played.replies.len() - 3);
        let (before, after) = (growth.size(before), growth.size(&played.replies[after..]));
        let grown = Grown::of(growth, told, before, after);
        let (mut outcome, look) = self.told(growth.label.to_owned(), played, None, &[]);
        outcome.grown = Some(grown);
        Ok((outcome, look))
    }

    /// The threshold, and how large the value is. CONFIG may well be forbidden,
    /// and that is no news about hitrate's own rights.
    async fn threshold(
        &self,
        wire: &Wire,
    ) -> Result<((i64, bool, Option<&'static str>), u64), Trouble> {
        let growth = &self.structure.growth;
        let asks = growth.asks();
        let mut replies = self.bulk(&asks, wire).await?;
        let have = replies.pop().unwrap_or(Err(Trouble::Away))?;
        let told: Vec<_> = replies.into_iter().map(Result::ok).collect();
        Ok((growth.threshold(&told), reply::count(&Ok(have))))
    }

    /// Whether there is room for what makes the value larger. What is under way
    /// at the same time may pass the bound, by as much as it adds.
    async fn check(&self, act: &Move, wire: &Wire) -> Result<(), Failure> {
        let Some(room) = &act.act.room else { return Ok(()) };
        let replies = self.ask(vec![Line::of(room.count, &act.values)], wire).await?;
        match replies.iter().all(|reply| reply::count(reply) < room.most) {
            true => Ok(()),
            false => Err(room.is_full()),
        }
    }

    /// Random members in batches, until all are there or there is no room.
    async fn many(
        &self,
        act: &Move,
        forms: &[&'static str],
        wire: &Wire,
    ) -> Result<Played, Failure> {
        let wanted = act.number("count").unwrap_or_default() as usize;
        let (mut added, start) = (0, Instant::now());
        let mut sums = vec![0; forms.len()];
        while added < wanted {
            match self.check(act, &Wire::off()).await {
                Err(Failure::NoRoom(_)) if added > 0 => break,
                checked => checked?,
            }
            let batch = (wanted - added).min(MEMBERS * COMMANDS);
            let more = self.batch(forms, batch).await?;
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            added += batch;
        }
        let told = summed(forms, added, &sums);
        wire.record(trip(start), || told.iter().map(|(line, reply)| (line.shown(), reply.clone())));
        let played = self.run(Vec::new(), self.renewals(), wire).await?;
        let replies = told.iter().map(|(_, reply)| Ok(Value::SimpleString(reply.clone())));
        let replies = replies.collect();
        Ok(Played { lines: told.into_iter().map(|it| it.0).collect(), replies, ..played })
    }

    /// One round trip of random members; the sum of each command's replies.
    async fn batch(&self, forms: &[&'static str], count: usize) -> Result<Vec<i64>, Trouble> {
        let member = |_| format!("u{:012x}", rand::random::<u64>() >> 16);
        let members: Vec<String> = (0..count).map(member).collect();
        let commands = members
            .chunks(MEMBERS)
            .flat_map(|some| forms.iter().map(|form| Line::plain(form).and(some.iter().cloned())));
        let replies = self.bulk(&commands.collect::<Vec<_>>(), &Wire::off()).await?;
        let mut sums = vec![0; forms.len()];
        for (n, reply) in replies.into_iter().enumerate() {
            if let Value::Int(number) = reply? {
                sums[n % forms.len()] += number;
            }
        }
        Ok(sums)
    }

    /// Commands of which none need be allowed, in one round trip.
    async fn bulk(
        &self,
        lines: &[Line],
        wire: &Wire,
    ) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        let sent = Instant::now();
        let replies = self.store.run_each(self.commands(lines)).await?;
        wire.record(trip(sent), || {
            let reply = |reply: &Result<Value, Trouble>| match reply {
                Ok(value) => reply::printed(value).replace('\n', " "),
                Err(trouble) => format!("(error) {trouble}"),
            };
            lines
                .iter()
                .zip(&replies)
                .map(|(line, it)| (line.shown(), reply(it)))
                .collect::<Vec<_>>()
        });
        Ok(replies)
    }

    /// These commands, what renews the keys, and everything that is read: one round trip.
    async fn run(
        &self,
        lines: Vec<Line>,
        renewals: Vec<Command>,
        wire: &Wire,
    ) -> Result<Played, Trouble> {
        let looks = self.looks();
        let mut commands = self.commands(&lines);
        commands.extend(renewals);
        commands.extend(self.commands(&looks));
        let mut replies = self.store.ask(commands, wire).await?;
        let look = replies.split_off(replies.len() - looks.len());
        replies.truncate(lines.len());
        Ok(Played { lines, replies, look })
    }

    fn commands(&self, lines: &[Line]) -> Vec<Command> {
        lines.iter().map(|line| line.command(&self.store, &self.demo)).collect()
    }

    /// UNLINK of this demo's keys, and of no others.
    fn removal(&self) -> Line {
        let keys = self.structure.keys.iter().map(|key| format!(" @{}", key.name));
        Line::plain(&format!("UNLINK{}", keys.collect::<String>()))
    }

    /// What gives the keys another day, but those whose TTL is part of the demo.
    fn renewals(&self) -> Vec<Command> {
        let kept = self.structure.keys.iter().filter(|key| !key.has_own_ttl);
        self.demo.keep(&self.store, kept.map(|key| key.name))
    }

    /// What follows an act: what it outdates goes, everything else is renewed.
    fn after(&self, act: &Move) -> Vec<Command> {
        let outdated = act.act.outdates.iter().map(|key| Line::plain(&format!("UNLINK @{key}")));
        let mut commands = self.commands(&outdated.collect::<Vec<_>>());
        commands.extend(self.renewals());
        commands
    }

    /// Everything that is read: for the picture, then of each key.
    fn looks(&self) -> Vec<Line> {
        let reads = self.structure.reads.iter().map(|form| Line::plain(form));
        let facts = self.structure.keys.iter().flat_map(|key| {
            ["MEMORY USAGE", "OBJECT ENCODING", "TTL"]
                .map(|verb| Line::plain(&format!("{verb} @{}", key.name)))
        });
        reads.chain(facts).collect()
    }

    fn seen(&self, replies: &[Reply], done: Option<&Done>) -> Look {
        let (reads, facts) = replies.split_at(self.structure.reads.len());
        let keys = self.structure.keys.iter().zip(facts.chunks(3));
        let keys: Vec<_> = keys.map(|(key, facts)| self.facts(key.name, facts)).collect();
        let picture = (self.structure.draw)(&Seen { replies: reads, keys: &keys, done });
        Look { picture, keys }
    }

    fn facts(&self, key: &'static str, replies: &[Reply]) -> KeyFacts {
        let known = |reply: &Reply| Some(reply::count(reply)).filter(|count| *count > 0);
        KeyFacts {
            key,
            name: self.store.name(&self.demo.key(key)),
            memory_bytes: known(&replies[0]),
            encoding: replies[1].as_ref().ok().and_then(reply::text),
            ttl_s: known(&replies[2]),
        }
    }

    /// What was said, and what there is to see after it.
    fn told(
        &self,
        title: String,
        played: Played,
        act: Option<Move>,
        shows: &[Option<&'static str>],
    ) -> (Outcome, Look) {
        let refusal = played.replies.iter().find_map(|reply| reply.as_ref().err()).cloned();
        let shows = shows.iter().copied().chain(std::iter::repeat(None));
        let said = played.lines.iter().zip(&played.replies).zip(shows);
        let said = said.map(|((line, reply), shows)| Said::of(line, reply, shows)).collect();
        let done = act.map(|act| Done::of(act, &played.replies));
        let look = self.seen(&played.look, done.as_ref());
        let nothing = (Vec::new(), 0, None);
        let (transcript, elapsed_us, next_step) = nothing;
        (
            Outcome { title, said, refusal, grown: None, done, transcript, elapsed_us, next_step },
            look,
        )
    }
}

/// Batches of random members, as one line and one reply for each command.
fn summed(forms: &[&'static str], count: usize, sums: &[i64]) -> Vec<(Line, String)> {
    let times = |one, many, size| figures::counted(&(count.div_ceil(size) as u64), one, many);
    let commands = times("command", "commands", MEMBERS);
    let trips = times("round trip", "round trips", MEMBERS * COMMANDS);
    let members = figures::counted(&(count as u64), "random member", "random members");
    let note = format!("({members} in {commands} and {trips})");
    let told = forms.iter().zip(sums).map(|(form, sum)| {
        (Line::plain(form).noting(&note), format!("(integer) {sum}, summed over {commands}"))
    });
    told.collect()
}

fn trip(sent: Instant) -> Trip {
    Trip { target: Target::Redis, sent, took: sent.elapsed(), simulated: Duration::ZERO }
}

impl Room {
    fn is_full(&self) -> Failure {
        let most = figures::number(&self.most);
        Failure::NoRoom(format!(
            "There is room for {most} {} here, and they are all taken. Start again to empty it.",
            self.of
        ))
    }
}

impl Said {
    fn of(line: &Line, reply: &Reply, shows: Option<&'static str>) -> Self {
        let (reply, refused) = match reply {
            Ok(value) => (reply::printed(value), false),
            Err(Refusal { words, .. }) => (format!("(error) {words}"), true),
        };
        Self { command: line.shown(), reply, refused, shows }
    }
}

impl Done {
    /// The act's own replies are the last ones.
    fn of(act: Move, replies: &[Reply]) -> Self {
        let own = replies.len().saturating_sub(act.act.forms().len());
        let replies = replies[own..].iter().map(|it| it.clone().unwrap_or(Value::Nil)).collect();
        Self { act: act.act.slug, values: act.values, replies }
    }
}
