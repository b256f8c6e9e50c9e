//! Sessions: the last steps of each visitor of `/strategies`.

use super::{StepResult, StrategyRun};
use crate::{
    demo::model::UserId,
    labs::support::result_store::{ResultStore, RunToken},
};

/// Maximum number of sessions kept: with all their timelines some 10 MiB.
const RUNS_MAX: u64 = 256;
/// Maximum number of steps per session.
pub const STEPS_MAX: usize = 12;

/// A visitor's steps on one profile, the latest last.
#[derive(Clone)]
pub struct StrategySession {
    /// The id of the profile.
    pub id: UserId,
    /// The last steps.
    pub acts: Vec<StepResult>,
    /// The total number of steps.
    pub count: usize,
    /// The demo run, if the steps belong to one.
    pub run: Option<StrategyRun>,
}

impl StrategySession {
    /// A store for the sessions of all visitors.
    pub fn store() -> ResultStore<RunToken, Self> {
        ResultStore::with_max_entries(RUNS_MAX)
    }

    /// A session without steps.
    pub fn new(id: UserId) -> Self {
        Self { id, acts: Vec::new(), count: 0, run: None }
    }

    /// A session of a complete demo run.
    pub fn of_run(id: UserId, run: StrategyRun, acts: Vec<StepResult>) -> Self {
        let session = acts.into_iter().fold(Self::new(id), Self::and);
        Self { run: Some(run), ..session }
    }

    /// Adds a step and removes the oldest ones above [`STEPS_MAX`].
    pub fn and(mut self, act: StepResult) -> Self {
        self.count += 1;
        self.acts.push(StepResult { number: self.count, ..act });
        self.acts.drain(..self.acts.len().saturating_sub(STEPS_MAX));
        Self { run: None, ..self }
    }
}
