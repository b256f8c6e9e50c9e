//! Visits: the last acts of each visitor of `/strategies`, in this process and
//! for a while. They are found by a token in the address.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::{Run, StepResult};
use crate::demo::model::UserId;

/// The most visits kept: with all their stories some 10 MiB.
const MAX_ENTRIES: u64 = 256;
/// How long a visit is kept after its last act.
const KEPT: Duration = Duration::from_secs(30 * 60);
/// The most acts of one visit.
pub const ACTS_MAX: usize = 12;

/// The name of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u128);

/// Why a text is no [`Token`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAToken;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let token = u128::from_str_radix(text, 16).map(Self).map_err(|_| NotAToken)?;
        if token.to_string() == text { Ok(token) } else { Err(NotAToken) }
    }
}

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

/// All visits of this process.
#[derive(Clone)]
pub struct Visits(Cache<Token, Arc<StrategySession>>);

impl Default for Visits {
    fn default() -> Self {
        let visits = Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(KEPT);
        // The latest must find room, however often the others are looked at.
        Self(visits.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Visits {
    /// The visit of this name, if it is still kept.
    pub fn find(&self, token: Token) -> Option<Arc<StrategySession>> {
        self.0.get(&token)
    }

    /// Keeps a visit, under its name or a new one, and returns that.
    pub fn keep(
        &self,
        token: Option<Token>,
        visit: StrategySession,
    ) -> (Token, Arc<StrategySession>) {
        let (token, visit) = (token.unwrap_or_else(|| Token(rand::random())), Arc::new(visit));
        self.0.insert(token, Arc::clone(&visit));
        (token, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let token = Token(7);
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in ["", "7", "x", &"F".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert_eq!(bad.parse::<Token>(), Err(NotAToken), "{bad}");
        }
    }

    #[test]
    fn only_so_many_visits_are_kept_and_the_latest_is_among_them() {
        let visits = Visits::default();
        let visit = StrategySession::new("123".parse().unwrap());
        let tokens: Vec<_> =
            (0..MAX_ENTRIES * 2).map(|_| visits.keep(None, visit.clone()).0).collect();
        visits.0.run_pending_tasks();
        assert!(visits.0.entry_count() <= MAX_ENTRIES);
        assert!(visits.find(*tokens.last().unwrap()).is_some());
        assert!(visits.find(tokens[0]).is_none());
    }
}
