//! Playing: what a visitor chose is done, and everything is read back, in as few
//! round trips as that takes.

use std::time::Instant;

use hitrate_cache::{
    redis::{Command, Notation, Refusal, Value},
    time::micros,
    trace::Trace,
};

use super::{
    Structure,
    act::{Action, Commands, How, Invocation},
    desk::{CommandOutcome, Playground, PlaygroundError},
    line::{CommandTemplate, Values},
    look::PlaygroundView,
    outcome::{Done, Exchange, PlaygroundResult},
    reply::{self, Reply},
};
use crate::{
    input::{FieldError, Rejection},
    labs::support::{
        action::button,
        fields::{Field, integer},
    },
};

/// What a visitor can choose.
#[derive(Clone, Copy)]
pub enum What {
    /// One act, with the values of its fields.
    Act(&'static Action<Commands>),
    /// All steps of the example, on empty keys.
    Example,
    /// One step of it; the first empties the keys.
    Step,
    /// Removing the keys of this demo.
    Reset,
    /// Growing past the threshold.
    Grow,
}

/// A step of an example; how many there are depends on the structure.
const STEP: Field = integer("step", "Step", (1, 100), "1");

/// What every structure offers beside its own acts.
const COMMON: [Action<What>; 4] = [
    button("example", What::Example),
    Action { fields: &[STEP], ..button("step", What::Step) },
    button("grow", What::Grow),
    button("reset", What::Reset),
];

impl Structure {
    /// Everything that a visitor can do, by the word that is sent.
    pub fn actions(&self) -> Vec<Action<What>> {
        let own = self.acts.iter().map(|act| act.with(What::Act(act)));
        own.chain(COMMON).collect()
    }
}

impl Playground {
    /// Does what the visitor chose, then reads everything.
    pub async fn play(
        &self,
        what: What,
        values: Values,
    ) -> Result<(PlaygroundResult, PlaygroundView), PlaygroundError> {
        let (trace, start) = (Trace::start(), Instant::now());
        let (mut outcome, look) = match what {
            What::Act(act) => self.act(Invocation { act, values }, &trace).await?,
            What::Example => self.example(&trace).await?,
            What::Step => self.step(number(&values), &trace).await?,
            What::Reset => self.reset(&trace).await?,
            What::Grow => self.grow(&trace).await?,
        };
        outcome.elapsed_us = micros(start.elapsed());
        outcome.trace = trace.spans();
        Ok((outcome, look))
    }

    async fn act(
        &self,
        act: Invocation,
        trace: &Trace,
    ) -> Result<(PlaygroundResult, PlaygroundView), PlaygroundError> {
        let said = match act.act.run.how {
            How::Commands(forms) | How::Refused(forms) => {
                self.check(&act, trace).await?;
                let lines =
                    forms.iter().map(|form| CommandTemplate::of(form, &act.values)).collect();
                self.run(lines, self.after(&act), trace).await?
            }
            How::Many(forms) => self.many(&act, forms, trace).await?,
            How::Concurrent([form]) => self.concurrent(&act, form, trace).await?,
        };
        Ok(self.told(act.act.label.to_owned(), said, Some(act), &[]))
    }

    async fn example(
        &self,
        trace: &Trace,
    ) -> Result<(PlaygroundResult, PlaygroundView), PlaygroundError> {
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
            lines.extend(forms.iter().map(|form| CommandTemplate::of(form, &step.values)));
        }
        let played = self.run(lines, self.renewals(), trace).await?;
        let last = steps.into_iter().last().map(|(step, _)| step);
        let (mut outcome, look) = self.told("The whole example".to_owned(), played, last, &shows);
        outcome.next_step = Some(1);
        Ok((outcome, look))
    }

    async fn step(
        &self,
        number: usize,
        trace: &Trace,
    ) -> Result<(PlaygroundResult, PlaygroundView), PlaygroundError> {
        let count = self.structure.example.steps.len();
        let (step, shows) = self.structure.step(number).ok_or_else(|| {
            let accepted = format!("a whole number from 1 to {count}");
            FieldError::rejected("step", Rejection::OutOfRange(accepted))
        })?;
        let first = (number == 1).then(|| self.removal());
        let mut texts = vec![None; usize::from(first.is_some())];
        texts.push(Some(shows));
        let acts = step.act.forms().into_iter().map(|form| CommandTemplate::of(form, &step.values));
        let played =
            self.run(first.into_iter().chain(acts).collect(), self.after(&step), trace).await?;
        let title = format!("Step {number} of {count}");
        let (mut outcome, look) = self.told(title, played, Some(step), &texts);
        outcome.next_step = Some(if number == count { 1 } else { number + 1 });
        Ok((outcome, look))
    }

    async fn reset(
        &self,
        trace: &Trace,
    ) -> Result<(PlaygroundResult, PlaygroundView), PlaygroundError> {
        let played = self.run(vec![self.removal()], Vec::new(), trace).await?;
        let (mut outcome, look) = self.told("Start again".to_owned(), played, None, &[]);
        outcome.next_step = Some(1);
        Ok((outcome, look))
    }

    /// UNLINK of this demo's keys, and of no others.
    fn removal(&self) -> CommandTemplate {
        let keys = self.structure.keys.iter().map(|key| format!(" @{}", key.name));
        CommandTemplate::plain(&format!("UNLINK{}", keys.collect::<String>()))
    }

    /// What follows an act: what it outdates goes, everything else is renewed.
    fn after(&self, act: &Invocation) -> Vec<Command> {
        let outdated = act
            .act
            .run
            .outdates
            .iter()
            .map(|key| CommandTemplate::plain(&format!("UNLINK @{key}")));
        let mut commands = self.commands(&outdated.collect::<Vec<_>>());
        commands.extend(self.renewals());
        commands
    }

    /// What was said, and what there is to see after it.
    pub(super) fn told(
        &self,
        title: String,
        played: CommandOutcome,
        act: Option<Invocation>,
        shows: &[Option<&'static str>],
    ) -> (PlaygroundResult, PlaygroundView) {
        let refusal = played.replies.iter().find_map(|reply| reply.as_ref().err()).cloned();
        let shows = shows.iter().copied().chain(std::iter::repeat(None));
        let said = played.lines.iter().zip(&played.replies).zip(shows);
        let said = said.map(|((line, reply), shows)| Exchange::of(line, reply, shows)).collect();
        let done = act.map(|act| Done::of(act, &played.replies));
        let look = self.seen(&played.look, done.as_ref());
        let outcome = PlaygroundResult {
            slug: self.structure.slug,
            title,
            said,
            refusal,
            grown: None,
            done,
            trace: Vec::new(),
            elapsed_us: 0,
            next_step: None,
        };
        (outcome, look)
    }
}

/// A step's number in the example.
fn number(values: &Values) -> usize {
    let step = values.get(STEP.name).and_then(|values| values.first()?.parse().ok());
    step.unwrap_or(1)
}

impl Exchange {
    fn of(line: &CommandTemplate, reply: &Reply, shows: Option<&'static str>) -> Self {
        let (reply, refused) = match reply {
            Ok(value) => (Notation::PAGE.value(value), false),
            Err(Refusal { message, .. }) => (format!("(error) {message}"), true),
        };
        Self { command: line.shown(), reply, refused, shows }
    }
}

impl Done {
    /// What was found is in the last reply.
    fn of(act: Invocation, replies: &[Reply]) -> Self {
        let last = replies.last().and_then(|reply| reply.as_ref().ok());
        let parts = last.and_then(reply::parts).unwrap_or_default();
        let first = |part: &Value| reply::text(reply::parts(part)?.first()?);
        let found = parts.iter().filter_map(first).collect();
        Self { act: act.act.id, values: act.values, found }
    }
}
