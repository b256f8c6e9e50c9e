//! Visits: the last acts of each visitor of `/strategies`.

use super::{Run, StepResult};
use crate::{
    demo::model::UserId,
    labs::support::result_store::{ResultStore, RunToken},
};

/// The most visits that are kept: with all their stories some 10 MiB.
const RUNS_MAX: u64 = 256;
/// The most acts of one visit.
pub const ACTS_MAX: usize = 12;

/// What a visitor did to one profile, the latest last.
#[derive(Clone)]
pub struct StrategySession {
    /// Whose profile.
    pub id: UserId,
    /// The last of them.
    pub acts: Vec<StepResult>,
    /// How many there were in all.
    pub count: usize,
    /// The run that they are, if they are one.
    pub run: Option<Run>,
}

impl StrategySession {
    /// A store for the visits of all visitors.
    pub fn store() -> ResultStore<RunToken, Self> {
        ResultStore::with_max_entries(RUNS_MAX)
    }

    /// Nothing done yet.
    pub fn new(id: UserId) -> Self {
        Self { id, acts: Vec::new(), count: 0, run: None }
    }

    /// A run, all of it.
    pub fn of_run(id: UserId, run: Run, acts: Vec<StepResult>) -> Self {
        let visit = acts.into_iter().fold(Self::new(id), Self::and);
        Self { run: Some(run), ..visit }
    }

    /// The same and one act more; the oldest go where there are too many.
    pub fn and(mut self, act: StepResult) -> Self {
        self.count += 1;
        self.acts.push(StepResult { number: self.count, ..act });
        self.acts.drain(..self.acts.len().saturating_sub(ACTS_MAX));
        Self { run: None, ..self }
    }
}
