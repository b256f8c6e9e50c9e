//! A timeline as a sequence diagram: five lifelines, and an arrow for each thing
//! that was said, in the order of time.

use hitrate_cache::trace::{Span, Target};

use crate::labs::support::timeline::Timeline;

/// The diagram, one row below the other.
pub struct Sequence<'a> {
    /// What it tells.
    pub timeline: &'a Timeline,
    /// The arrows between the visitor's question and answer.
    pub rows: Vec<SequenceRow<'a>>,
}

/// One arrow.
pub struct SequenceRow<'a> {
    /// The one beside hitrate.
    pub with: Target,
    /// Whether it goes there, comes back, or stays with hitrate.
    pub direction: Direction,
    /// What is said; commands of one pipeline share an arrow.
    pub lines: Vec<&'a str>,
    /// Of a reply: how long it took.
    pub took: Option<Took>,
    /// Who is at work beside this row.
    pub at_work: Vec<AtWork>,
}

/// Where an arrow points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From hitrate to another.
    There,
    /// Back to hitrate.
    Back,
    /// hitrate by itself.
    Own,
}

/// How long a reply took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// In microseconds.
    pub all_us: u64,
    /// How much of it was simulated.
    pub simulated_us: u64,
}

/// A lifeline that is at work beside a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtWork {
    /// Whose.
    pub who: Target,
    /// Which part of its work.
    pub part: WorkPart,
    /// How much of the row's height is simulated waiting, in per cent from above.
    pub simulated: f64,
}

/// A part of somebody's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkPart {
    /// It begins at this row's arrow.
    Begin,
    /// It goes on all along.
    Middle,
    /// It ends at this row's arrow.
    End,
}

/// All spans of one round trip.
struct RoundTrip<'a>(&'a [Span]);

/// A question or a reply: of which trip, and when.
struct Moment {
    round_trip: usize,
    is_reply: bool,
    at_us: u64,
}

impl<'a> Sequence<'a> {
    /// Draws this timeline.
    pub fn of(timeline: &'a Timeline) -> Self {
        let trips: Vec<_> = timeline
            .trace
            .chunk_by(|one, next| one.round_trip == next.round_trip)
            .map(RoundTrip)
            .collect();
        let moments = moments(&trips);
        let mut rows: Vec<_> = moments.iter().map(|moment| row(&trips, moment)).collect();
        for (number, trip) in trips.iter().enumerate().filter(|(_, trip)| !trip.is_managed()) {
            let of_trip = |moment: &Moment| moment.round_trip == number;
            let begin = moments.iter().position(of_trip).unwrap_or_default();
            let end = moments.iter().rposition(of_trip).unwrap_or_default();
            for (i, row) in rows.iter_mut().enumerate().take(end + 1).skip(begin) {
                row.works(trip, part(i, begin, end));
            }
        }
        Self { timeline, rows }
    }

    /// Whether any of it was simulated.
    pub fn is_simulated(&self) -> bool {
        self.timeline.simulated_us > 0
    }
}

/// Questions and replies in the order of time. At the same time a reply comes
/// before the question that it leads to.
fn moments(trips: &[RoundTrip<'_>]) -> Vec<Moment> {
    let mut moments = Vec::with_capacity(trips.len() * 2);
    for (number, trip) in trips.iter().enumerate() {
        let first = trip.first();
        let end_us = first.start_us + first.elapsed_us;
        if !trip.is_managed() {
            moments.push(Moment { round_trip: number, is_reply: false, at_us: first.start_us });
        }
        moments.push(Moment { round_trip: number, is_reply: true, at_us: end_us });
    }
    moments.sort_by_key(|moment| (moment.at_us, moment.round_trip, moment.is_reply));
    moments
}

fn row<'a>(trips: &[RoundTrip<'a>], moment: &Moment) -> SequenceRow<'a> {
    let RoundTrip(spans) = trips[moment.round_trip];
    let first = &spans[0];
    let (direction, lines): (_, Vec<_>) = match (first.target, moment.is_reply) {
        (Target::Hitrate, _) => {
            (Direction::Own, spans.iter().flat_map(|it| [it.command.as_str(), &it.reply]).collect())
        }
        (_, true) => (Direction::Back, spans.iter().map(|span| span.reply.as_str()).collect()),
        (_, false) => (Direction::There, spans.iter().map(|span| span.command.as_str()).collect()),
    };
    let took = Took { all_us: first.elapsed_us, simulated_us: first.simulated_us };
    let took = moment.is_reply.then_some(took);
    SequenceRow { with: first.target, direction, lines, took, at_work: Vec::new() }
}

fn part(row: usize, begin: usize, end: usize) -> WorkPart {
    match row {
        _ if row == begin => WorkPart::Begin,
        _ if row == end => WorkPart::End,
        _ => WorkPart::Middle,
    }
}

impl RoundTrip<'_> {
    fn first(&self) -> &Span {
        &self.0[0]
    }

    fn is_managed(&self) -> bool {
        self.first().target == Target::Hitrate
    }

    /// Simulated waiting comes first, and is drawn so.
    fn simulated(&self, part: WorkPart) -> f64 {
        let Span { simulated_us, elapsed_us, .. } = *self.first();
        match part {
            WorkPart::End => 100.0 * simulated_us as f64 / elapsed_us.max(1) as f64,
            _ if simulated_us > 0 => 100.0,
            _ => 0.0,
        }
    }
}

impl SequenceRow<'_> {
    /// One bar for each lifeline: of several who wait at the same place the
    /// longest part is drawn.
    fn works(&mut self, trip: &RoundTrip<'_>, part: WorkPart) {
        let who = trip.first().target;
        let work = AtWork { who, part, simulated: trip.simulated(part) };
        match self.at_work.iter_mut().find(|it| it.who == who) {
            Some(known) if part == WorkPart::Middle || known.part != part => {
                *known = AtWork { part: WorkPart::Middle, ..work };
            }
            Some(_) => (),
            None => self.at_work.push(work),
        }
    }

    /// From whom to whom, in words.
    pub fn between(&self) -> String {
        let with = name(self.with);
        match self.direction {
            Direction::There => format!("hitrate to {with}"),
            Direction::Back => format!("{with} to hitrate"),
            Direction::Own => "hitrate by itself".to_owned(),
        }
    }

    /// The class of its lane: between which lifelines it lies.
    pub fn lane(&self) -> &'static str {
        match self.with {
            Target::Memory => "memory",
            Target::Redis => "cache",
            Target::Database => "database",
            Target::Hitrate => "own",
        }
    }

    /// The class of its direction.
    pub fn direction(&self) -> &'static str {
        match self.direction {
            Direction::There => "there",
            Direction::Back => "back",
            Direction::Own => "self",
        }
    }
}

impl AtWork {
    /// Its classes: whose, and which part.
    pub fn class(&self) -> &'static str {
        match (self.who, self.part) {
            (Target::Memory, WorkPart::Begin) => "is-memory is-begin",
            (Target::Memory, WorkPart::Middle) => "is-memory is-middle",
            (Target::Memory, WorkPart::End) => "is-memory is-end",
            (Target::Database, WorkPart::Begin) => "is-database is-begin",
            (Target::Database, WorkPart::Middle) => "is-database is-middle",
            (Target::Database, WorkPart::End) => "is-database is-end",
            (_, WorkPart::Begin) => "is-cache is-begin",
            (_, WorkPart::Middle) => "is-cache is-middle",
            (_, WorkPart::End) => "is-cache is-end",
        }
    }

    /// What is left of the height.
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
    fn each_reply_follows_its_question_and_a_pipeline_shares_an_arrow() {
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
        assert_eq!(drawn.rows[4].took, Some(Took { all_us: 100, simulated_us: 50 }));
        let end = AtWork { who: Target::Database, part: WorkPart::End, simulated: 50.0 };
        assert_eq!(drawn.rows[4].at_work, [end]);
    }

    #[test]
    fn what_overlaps_in_time_overlaps_in_the_diagram() {
        let timeline =
            timeline(vec![span(Target::Database, 0, 100, 1), span(Target::Database, 20, 100, 2)]);
        let drawn = Sequence::of(&timeline);
        assert_eq!(lines(&drawn), ["ask 1", "ask 2", "reply 1", "reply 2"]);
        let parts: Vec<_> = drawn.rows.iter().map(|row| row.at_work[0].part).collect();
        assert_eq!(parts, [WorkPart::Begin, WorkPart::Middle, WorkPart::Middle, WorkPart::End]);
    }
}
