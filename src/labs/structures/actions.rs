//! Runs actions: an action and all reads that follow share as few round trips as
//! possible.

use std::time::Instant;

use hitrate_cache::{
    redis::{Command, Notation, Refusal, Value},
    time::micros,
    trace::Trace,
};

use super::{
    Structure,
    command_template::{CommandTemplate, Values},
    commands::{Action, Commands, Execution, Invocation},
    playground::{CommandOutcome, Playground},
    reply::{self, CommandReply},
    results::{CompletedAction, Exchange, PlaygroundResult},
    view::{Performed, PlaygroundView},
};
use crate::{
    input::{FieldError, Rejection},
    labs::support::{
        action::button,
        fields::{Field, integer},
    },
};

/// An action of the page.
#[derive(Clone, Copy)]
pub enum PlaygroundAction {
    /// An action of the structure.
    Act(&'static Action<Commands>),
    /// All steps of the example, on empty keys.
    Example,
    /// One step of the example; the first empties the keys.
    Step,
    /// Removes the keys of this demo.
    Reset,
    /// Grows the value past its encoding threshold.
    Grow,
}

/// The step of an example; the upper bound depends on the structure.
const STEP: Field = integer("step", "Step", (1, 100), "1");

/// Actions that every structure has.
const COMMON: [Action<PlaygroundAction>; 4] = [
    button("example", PlaygroundAction::Example),
    Action { fields: &[STEP], ..button("step", PlaygroundAction::Step) },
    button("grow", PlaygroundAction::Grow),
    button("reset", PlaygroundAction::Reset),
];

impl Structure {
    /// All actions of the page.
    pub fn actions(&self) -> Vec<Action<PlaygroundAction>> {
        let own = self.acts.iter().map(|act| act.with(PlaygroundAction::Act(act)));
        own.chain(COMMON).collect()
    }
}

impl Playground {
    /// Runs an action, then reads everything.
    pub async fn perform(&self, action: PlaygroundAction, values: Values) -> Performed {
        let (trace, start) = (Trace::start(), Instant::now());
        let (mut result, view) = match action {
            PlaygroundAction::Act(act) => self.act(Invocation { act, values }, &trace).await?,
            PlaygroundAction::Example => self.example(&trace).await?,
            PlaygroundAction::Step => self.step(number(&values), &trace).await?,
            PlaygroundAction::Reset => self.reset(&trace).await?,
            PlaygroundAction::Grow => self.grow(&trace).await?,
        };
        result.elapsed_us = micros(start.elapsed());
        result.trace = trace.spans();
        Ok((result, view))
    }

    async fn act(&self, invocation: Invocation, trace: &Trace) -> Performed {
        let outcome = match invocation.act.run.execution {
            Execution::Commands(forms) | Execution::ExpectedError(forms) => {
                self.check(&invocation, trace).await?;
                let lines = forms
                    .iter()
                    .map(|form| CommandTemplate::of(form, &invocation.values))
                    .collect();
                self.run(lines, self.follow_up(&invocation), trace).await?
            }
            Execution::RandomMembers(forms) => {
                self.random_members(&invocation, forms, trace).await?
            }
            Execution::Concurrent([form]) => self.concurrent(&invocation, form, trace).await?,
        };
        Ok(self.result(invocation.act.label.to_owned(), outcome, Some(invocation), &[]))
    }

    async fn example(&self, trace: &Trace) -> Performed {
        let steps: Vec<_> = (1..).map_while(|number| self.structure.step(number)).collect();
        let (mut lines, mut shows) = (
            vec![self.removal()],
            vec![Some(
                "The example starts with empty keys, so that its replies are the same each time.",
            )],
        );
        for (step, text) in &steps {
            let forms = step.act.forms();
            shows.extend(forms.iter().enumerate().map(|(n, _)| (n == 0).then_some(*text)));
            lines.extend(forms.iter().map(|form| CommandTemplate::of(form, &step.values)));
        }
        let outcome = self.run(lines, self.renewals(), trace).await?;
        let last = steps.into_iter().last().map(|(step, _)| step);
        let (mut result, view) = self.result("The whole example".to_owned(), outcome, last, &shows);
        result.next_step = Some(1);
        Ok((result, view))
    }

    async fn step(&self, number: usize, trace: &Trace) -> Performed {
        let count = self.structure.example.steps.len();
        let (step, shows) = self.structure.step(number).ok_or_else(|| {
            let accepted = format!("a whole number from 1 to {count}");
            FieldError::rejected("step", Rejection::OutOfRange(accepted))
        })?;
        let first = (number == 1).then(|| self.removal());
        let mut texts = vec![None; usize::from(first.is_some())];
        texts.push(Some(shows));
        let lines =
            step.act.forms().into_iter().map(|form| CommandTemplate::of(form, &step.values));
        let outcome = self
            .run(first.into_iter().chain(lines).collect(), self.follow_up(&step), trace)
            .await?;
        let title = format!("Step {number} of {count}");
        let (mut result, view) = self.result(title, outcome, Some(step), &texts);
        result.next_step = Some(if number == count { 1 } else { number + 1 });
        Ok((result, view))
    }

    async fn reset(&self, trace: &Trace) -> Performed {
        let outcome = self.run(vec![self.removal()], Vec::new(), trace).await?;
        let (mut result, view) = self.result("Reset".to_owned(), outcome, None, &[]);
        result.next_step = Some(1);
        Ok((result, view))
    }

    /// UNLINK of this demo's keys, and of no others.
    fn removal(&self) -> CommandTemplate {
        let keys = self.structure.keys.iter().map(|key| format!(" @{}", key.name));
        CommandTemplate::plain(&format!("UNLINK{}", keys.collect::<String>()))
    }

    /// Commands that follow an action: removal of stale derived keys, and renewal of the
    /// TTLs.
    fn follow_up(&self, invocation: &Invocation) -> Vec<Command> {
        let stale = invocation
            .act
            .run
            .invalidates
            .iter()
            .map(|key| CommandTemplate::plain(&format!("UNLINK @{key}")));
        let mut commands = self.commands(&stale.collect::<Vec<_>>());
        commands.extend(self.renewals());
        commands
    }

    /// The result of an action, and the view after it.
    pub(super) fn result(
        &self,
        title: String,
        outcome: CommandOutcome,
        invocation: Option<Invocation>,
        shows: &[Option<&'static str>],
    ) -> (PlaygroundResult, PlaygroundView) {
        let refusal = outcome.replies.iter().find_map(|reply| reply.as_ref().err()).cloned();
        let shows = shows.iter().copied().chain(std::iter::repeat(None));
        let exchanges = outcome.lines.iter().zip(&outcome.replies).zip(shows);
        let exchanges =
            exchanges.map(|((line, reply), shows)| Exchange::of(line, reply, shows)).collect();
        let last_action = invocation.map(|it| CompletedAction::of(it, &outcome.replies));
        let view = self.view_of(&outcome.read_replies, last_action.as_ref());
        let result = PlaygroundResult {
            slug: self.structure.slug,
            title,
            exchanges,
            refusal,
            encoding_change: None,
            last_action,
            trace: Vec::new(),
            elapsed_us: 0,
            next_step: None,
        };
        (result, view)
    }
}

/// The number of the step, from 1.
fn number(values: &Values) -> usize {
    let step = values.get(STEP.name).and_then(|values| values.first()?.parse().ok());
    step.unwrap_or(1)
}

impl Exchange {
    fn of(line: &CommandTemplate, reply: &CommandReply, shows: Option<&'static str>) -> Self {
        let (reply, refused) = match reply {
            Ok(value) => (Notation::PAGE.value(value), false),
            Err(Refusal { message, .. }) => (format!("(error) {message}"), true),
        };
        Self { command: line.shown(), reply, refused, shows }
    }
}

impl CompletedAction {
    /// Takes the found members from the last reply.
    fn of(invocation: Invocation, replies: &[CommandReply]) -> Self {
        let last = replies.last().and_then(|reply| reply.as_ref().ok());
        let parts = last.and_then(reply::parts).unwrap_or_default();
        let first = |part: &Value| reply::text(reply::parts(part)?.first()?);
        let found = parts.iter().filter_map(first).collect();
        Self { act: invocation.act.id, values: invocation.values, found }
    }
}
