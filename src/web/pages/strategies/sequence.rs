//! A timeline as a sequence diagram: five lifelines, and an arrow for each message in
//! order of time.

use hitrate_cache::trace::{Span, Target};

use crate::labs::support::timeline::Timeline;

/// A sequence diagram.
pub struct Sequence<'a> {
    /// The timeline.
    pub timeline: &'a Timeline,
    /// The arrows between the visitor's request and its response.
    pub rows: Vec<SequenceRow<'a>>,
}

/// One arrow.
pub struct SequenceRow<'a> {
    /// The lifeline at the other end from hitrate.
    pub target: Target,
    /// Direction of the arrow.
    pub arrow: Direction,
    /// Commands or replies; those of a pipeline share an arrow.
    pub lines: Vec<&'a str>,
    /// Duration, for a reply.
    pub took: Option<Took>,
    /// Lifelines that are active beside this row.
    pub activations: Vec<Activation>,
}

/// Direction of an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From hitrate.
    Request,
    /// To hitrate.
    Reply,
    /// Within hitrate.
    Internal,
}

/// Duration of a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// Total, in microseconds.
    pub total_us: u64,
    /// Simulated part, in microseconds.
    pub simulated_us: u64,
}

/// A lifeline that is active beside a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activation {
    /// The lifeline.
    pub target: Target,
    /// Part of the activation beside this row.
    pub phase: Phase,
    /// Simulated part of the row's height, in percent from the top.
    pub simulated: f64,
}

/// Part of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Begins at this row's arrow.
    Begin,
    /// Spans the row.
    Middle,
    /// Ends at this row's arrow.
    End,
}

/// The spans of one round trip.
struct RoundTrip<'a>(&'a [Span]);

/// A request or a reply, with its round trip and time.
struct Message {
    round_trip: usize,
    is_reply: bool,
    at_us: u64,
}

impl<'a> Sequence<'a> {
    /// Draws a timeline.
    pub fn of(timeline: &'a Timeline) -> Self {
        let trips: Vec<_> = timeline
            .trace
            .chunk_by(|one, next| one.round_trip == next.round_trip)
            .map(RoundTrip)
            .collect();
        let messages = messages(&trips);
        let mut rows: Vec<_> = messages.iter().map(|message| row(&trips, message)).collect();
        for (number, trip) in trips.iter().enumerate().filter(|(_, trip)| !trip.is_managed()) {
            let of_trip = |message: &Message| message.round_trip == number;
            let begin = messages.iter().position(of_trip).unwrap_or_default();
            let end = messages.iter().rposition(of_trip).unwrap_or_default();
            for (i, row) in rows.iter_mut().enumerate().take(end + 1).skip(begin) {
                row.activate(trip, phase(i, begin, end));
            }
        }
        Self { timeline, rows }
    }

    /// Whether part of it is simulated.
    pub fn is_simulated(&self) -> bool {
        self.timeline.simulated_us > 0
    }
}

/// Requests and replies in order of time. At the same time, a reply comes before the
/// request that follows from it.
fn messages(trips: &[RoundTrip<'_>]) -> Vec<Message> {
    let mut messages = Vec::with_capacity(trips.len() * 2);
    for (number, trip) in trips.iter().enumerate() {
        let first = trip.first();
        let end_us = first.start_us + first.elapsed_us;
        if !trip.is_managed() {
            messages.push(Message { round_trip: number, is_reply: false, at_us: first.start_us });
        }
        messages.push(Message { round_trip: number, is_reply: true, at_us: end_us });
    }
    messages.sort_by_key(|message| (message.at_us, message.round_trip, message.is_reply));
    messages
}

fn row<'a>(trips: &[RoundTrip<'a>], message: &Message) -> SequenceRow<'a> {
    let RoundTrip(spans) = trips[message.round_trip];
    let first = &spans[0];
    let (arrow, lines): (_, Vec<_>) = match (first.target, message.is_reply) {
        (Target::Hitrate, _) => (
            Direction::Internal,
            spans.iter().flat_map(|it| [it.command.as_str(), &it.reply]).collect(),
        ),
        (_, true) => (Direction::Reply, spans.iter().map(|span| span.reply.as_str()).collect()),
        (_, false) => {
            (Direction::Request, spans.iter().map(|span| span.command.as_str()).collect())
        }
    };
    let took = Took { total_us: first.elapsed_us, simulated_us: first.simulated_us };
    let took = message.is_reply.then_some(took);
    SequenceRow { target: first.target, arrow, lines, took, activations: Vec::new() }
}

fn phase(row: usize, begin: usize, end: usize) -> Phase {
    match row {
        _ if row == begin => Phase::Begin,
        _ if row == end => Phase::End,
        _ => Phase::Middle,
    }
}

impl RoundTrip<'_> {
    fn first(&self) -> &Span {
        &self.0[0]
    }

    fn is_managed(&self) -> bool {
        self.first().target == Target::Hitrate
    }

    /// Simulated part of a row's height, in percent: simulated time comes first.
    fn simulated(&self, phase: Phase) -> f64 {
        let Span { simulated_us, elapsed_us, .. } = *self.first();
        match phase {
            Phase::End => 100.0 * simulated_us as f64 / elapsed_us.max(1) as f64,
            _ if simulated_us > 0 => 100.0,
            _ => 0.0,
        }
    }
}

impl SequenceRow<'_> {
    /// Marks a lifeline as active. Overlapping round trips of a lifeline share one bar.
    fn activate(&mut self, trip: &RoundTrip<'_>, phase: Phase) {
        let target = trip.first().target;
        let new = Activation { target, phase, simulated: trip.simulated(phase) };
        match self.activations.iter_mut().find(|it| it.target == target) {
            Some(known) if phase == Phase::Middle || known.phase != phase => {
                *known = Activation { phase: Phase::Middle, ..new };
            }
            Some(_) => (),
            None => self.activations.push(new),
        }
    }

    /// Both ends of the arrow, in words.
    pub fn between(&self) -> String {
        let target = name(self.target);
        match self.arrow {
            Direction::Request => format!("hitrate to {target}"),
            Direction::Reply => format!("{target} to hitrate"),
            Direction::Internal => "within hitrate".to_owned(),
        }
    }

    /// Class of its lane: the lifelines between which it lies.
    pub fn lane(&self) -> &'static str {
        match self.target {
            Target::Memory => "memory",
            Target::Redis => "cache",
            Target::Database => "database",
            Target::Hitrate => "own",
        }
    }

    /// Class of its direction.
    pub fn direction(&self) -> &'static str {
        match self.arrow {
            Direction::Request => "there",
            Direction::Reply => "back",
            Direction::Internal => "self",
        }
    }
}

impl Activation {
    /// Classes of its lifeline and phase.
    pub fn class(&self) -> &'static str {
        match (self.target, self.phase) {
            (Target::Memory, Phase::Begin) => "is-memory is-begin",
            (Target::Memory, Phase::Middle) => "is-memory is-middle",
            (Target::Memory, Phase::End) => "is-memory is-end",
            (Target::Database, Phase::Begin) => "is-database is-begin",
            (Target::Database, Phase::Middle) => "is-database is-middle",
            (Target::Database, Phase::End) => "is-database is-end",
            (_, Phase::Begin) => "is-cache is-begin",
            (_, Phase::Middle) => "is-cache is-middle",
            (_, Phase::End) => "is-cache is-end",
        }
    }

    /// Measured part of the row's height, in percent.
    pub fn measured(&self) -> f64 {
        100.0 - self.simulated
    }
}

fn name(target: Target) -> &'static str {
    match target {
        Target::Memory => "near cache",
        Target::Redis => "Redis",
        Target::Database => "database",
        Target::Hitrate => "hitrate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(target: Target, start_us: u64, elapsed_us: u64, round_trip: usize) -> Span {
        let (command, reply) = (format!("ask {round_trip}"), format!("reply {round_trip}"));
        let simulated_us = if target == Target::Database { elapsed_us / 2 } else { 0 };
        Span { target, command, reply, start_us, elapsed_us, simulated_us, round_trip }
    }

    fn timeline(spans: Vec<Span>) -> Timeline {
        let (request, response) = ("read".to_owned(), "version 1".to_owned());
        Timeline { request, trace: spans, response, elapsed_us: 1000, simulated_us: 0 }
    }

    fn lines(sequence: &Sequence<'_>) -> Vec<String> {
        sequence.rows.iter().map(|row| row.lines.join(" & ")).collect()
    }

    #[test]
    fn each_reply_follows_its_request_and_a_pipeline_shares_an_arrow() {
        let timeline = timeline(vec![
            span(Target::Redis, 0, 10, 1),
            span(Target::Redis, 0, 10, 1),
            span(Target::Hitrate, 10, 0, 2),
            span(Target::Database, 10, 100, 3),
        ]);
        let drawn = Sequence::of(&timeline);
        let expected =
            ["ask 1 & ask 1", "reply 1 & reply 1", "ask 2 & reply 2", "ask 3", "reply 3"];
        assert_eq!(lines(&drawn), expected);
        assert_eq!(drawn.rows[4].took, Some(Took { total_us: 100, simulated_us: 50 }));
        let end = Activation { target: Target::Database, phase: Phase::End, simulated: 50.0 };
        assert_eq!(drawn.rows[4].activations, [end]);
    }

    #[test]
    fn what_overlaps_in_time_overlaps_in_the_diagram() {
        let timeline =
            timeline(vec![span(Target::Database, 0, 100, 1), span(Target::Database, 20, 100, 2)]);
        let drawn = Sequence::of(&timeline);
        assert_eq!(lines(&drawn), ["ask 1", "ask 2", "reply 1", "reply 2"]);
        let phases: Vec<_> = drawn.rows.iter().map(|row| row.activations[0].phase).collect();
        assert_eq!(phases, [Phase::Begin, Phase::Middle, Phase::Middle, Phase::End]);
    }
}
