//! Who waits for which reply. No IO here: commands are put down as bytes for
//! the driver to write, and replies come in one by one.

use std::{collections::VecDeque, mem, task::Waker, time::Instant};

use redis::Value;
use slab::Slab;

use crate::redis::{error::Trouble, resp::Garbage};

/// Commands and pipelines under way at once; one more is refused.
pub const CALLS_MAX: usize = 65_536;
/// Bytes that wait to be written; while there are more, a command is refused.
const UNSENT_MAX: usize = 64 * 1024 * 1024;

/// All that was asked and not answered yet.
#[derive(Default)]
pub struct Calls {
    /// Commands that nobody began to write yet.
    unsent: Vec<u8>,
    all: Slab<Call>,
    /// Whose replies are still to come, in that order.
    waiting: VecDeque<usize>,
    /// When to look who of them waits too long.
    look_at: Option<Instant>,
    driver: Option<Waker>,
    /// No reply comes any more.
    has_ended: bool,
}

/// A command or a pipeline, from the asking until its answer is taken.
struct Call {
    /// Replies still to come.
    missing: usize,
    /// Those of a pipeline that came.
    replies: Option<Vec<Value>>,
    due: Instant,
    outcome: Outcome,
}

enum Outcome {
    Awaited(Option<Waker>),
    There(Answered),
    /// Whoever asked is gone, or was told that it takes too long.
    Unwanted,
}

/// What came of a call, and when.
pub type Answered = (Result<Value, Trouble>, Instant);

impl Calls {
    /// Puts down what to send, a command or a pipeline of so many `parts`, and
    /// returns its number.
    pub fn ask(
        &mut self,
        parts: Option<usize>,
        due: Instant,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let replies = parts.map(Vec::with_capacity);
        if let Some(answer) = self.at_once(parts) {
            let outcome = Outcome::There((answer, Instant::now()));
            return self.all.insert(Call { missing: 0, replies, due, outcome });
        }
        let (missing, outcome) = (parts.unwrap_or(1), Outcome::Awaited(None));
        let call = self.all.insert(Call { missing, replies, due, outcome });
        self.send(call, due, write);
        call
    }

    /// The answer, where Redis need not or can't be asked.
    fn at_once(&self, parts: Option<usize>) -> Option<Result<Value, Trouble>> {
        let full = self.waiting.len() >= CALLS_MAX || self.unsent.len() >= UNSENT_MAX;
        match parts {
            _ if self.has_ended => Some(Err(Trouble::Away)),
            // No news about the connection: it is we who ask for too much.
            _ if full => Some(Err(Trouble::NotReady)),
            Some(0) => Some(Ok(Value::Array(Vec::new()))),
            _ => None,
        }
    }

    fn send(&mut self, call: usize, due: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        // Else the driver knows already, or waits for the socket.
        let is_news = self.unsent.is_empty() || self.look_at.is_none_or(|at| due < at);
        write(&mut self.unsent);
        self.waiting.push_back(call);
        self.look_by(due);
        if let Some(driver) = self.driver.as_ref().filter(|_| is_news) {
            driver.wake_by_ref();
        }
    }

    /// Gives a reply to the call that it is for.
    pub fn deliver(&mut self, reply: Value, now: Instant) -> Result<(), Garbage> {
        let number = *self.waiting.front().ok_or(Garbage)?;
        let call = &mut self.all[number];
        if let Some(whole) = call.add(reply) {
            self.waiting.pop_front();
            self.settle(number, Ok(whole), now);
        }
        Ok(())
    }

    fn settle(&mut self, number: usize, answer: Result<Value, Trouble>, now: Instant) {
        let call = &mut self.all[number];
        match mem::replace(&mut call.outcome, Outcome::Unwanted) {
            Outcome::Awaited(waker) => {
                call.outcome = Outcome::There((answer, now));
                waker.into_iter().for_each(Waker::wake);
            }
            // It was overdue, and that was not heard yet.
            there @ Outcome::There(_) => call.outcome = there,
            Outcome::Unwanted if call.missing == 0 => drop(self.all.remove(number)),
            Outcome::Unwanted => (),
        }
    }

    /// Takes what is to be sent, in exchange for an empty buffer. `driver` is woken
    /// when there is more.
    pub fn take_unsent(&mut self, buffer: &mut Vec<u8>, driver: &Waker) {
        mem::swap(&mut self.unsent, buffer);
        if !self.driver.as_ref().is_some_and(|known| known.will_wake(driver)) {
            self.driver = Some(driver.clone());
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Nobody will ask any more.
    pub fn close(&mut self) {
        self.driver.take().into_iter().for_each(Waker::wake);
    }

    /// When the first of those who wait may be due, or before; `None` when nobody waits.
    pub fn look_at(&self) -> Option<Instant> {
        self.look_at
    }

    /// Tells those who wait too long; their replies are still to come.
    pub fn expire(&mut self, now: Instant) {
        self.look_at = None;
        for n in 0..self.waiting.len() {
            let number = self.waiting[n];
            let (due, outcome) = (self.all[number].due, &self.all[number].outcome);
            match outcome {
                Outcome::Awaited(_) if due <= now => self.settle(number, Err(Trouble::Slow), now),
                Outcome::Awaited(_) => self.look_by(due),
                _ => (),
            }
        }
    }

    fn look_by(&mut self, due: Instant) {
        self.look_at = Some(self.look_at.map_or(due, |at| at.min(due)));
    }

    /// No reply comes any more.
    pub fn end(&mut self) {
        let now = Instant::now();
        for number in mem::take(&mut self.waiting) {
            self.all[number].missing = 0;
            self.settle(number, Err(Trouble::Lost), now);
        }
        (self.unsent, self.has_ended) = (Vec::new(), true);
    }

    /// Nobody waits for it any more.
    pub fn let_go(&mut self, number: usize) {
        self.all[number].outcome = Outcome::Unwanted;
        if self.all[number].missing == 0 {
            self.all.remove(number);
        }
    }

    /// The answer, if it is there; else `waker` is woken when it is.
    pub fn take(&mut self, number: usize, waker: &Waker) -> Option<Answered> {
        let call = &mut self.all[number];
        if let Outcome::Awaited(known) = &mut call.outcome {
            if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                *known = Some(waker.clone());
            }
            return None;
        }
        let outcome = mem::replace(&mut call.outcome, Outcome::Unwanted);
        self.let_go(number);
        match outcome {
            Outcome::There(answered) => Some(answered),
            _ => None,
        }
    }
}

impl Call {
    /// All there is to say, if this was the last reply.
    fn add(&mut self, reply: Value) -> Option<Value> {
        self.missing -= 1;
        let Some(replies) = &mut self.replies else { return Some(reply) };
        replies.push(reply);
        (self.missing == 0).then(|| Value::Array(mem::take(replies)))
    }
}
