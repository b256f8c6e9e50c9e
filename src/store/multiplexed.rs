//! A connection that many commands share, on their way at the same time.
//!
//! Commands of one turn of the event loop leave in one write, and their replies
//! come in few reads. A command costs no allocation of its own, no channel and
//! no timer: replies come in the order of the commands, so a queue says whose
//! each is, and one alarm, at most every [`DEADLINE`](super::link::DEADLINE) in
//! the long run, looks for those that wait too long.

use std::{
    collections::VecDeque,
    io, mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
    time::Instant,
};

use redis::{Cmd, Pipeline, Value};
use slab::Slab;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{Sleep, sleep_until},
};

use super::{
    resp::{Garbage, Reader},
    trouble::Trouble,
};

/// Commands and pipelines under way at once; one more is refused.
const CALLS_MAX: usize = 65_536;
/// Bytes that wait to be written; while there are more, a command is refused.
const UNSENT_MAX: usize = 64 * 1024 * 1024;
/// Room for what is read at once.
const PIECE: usize = 16 * 1024;
/// A buffer that grew larger is let go when it is empty.
const KEPT: usize = 1024 * 1024;

/// The commands' end. Clones share the connection, which closes when the last
/// of them is gone and nobody waits for a reply.
#[derive(Clone)]
pub struct Multiplexed(Arc<Shared>);

/// The connection's end, to be polled by a task of its own.
pub struct Driver<S> {
    stream: S,
    shared: Weak<Shared>,
    /// What is being written, and how far.
    sending: Vec<u8>,
    sent: usize,
    /// What was read and is no whole reply yet.
    received: Vec<u8>,
    reader: Reader,
    alarm: Pin<Box<Sleep>>,
    /// When the alarm is set to go off.
    set_to: Option<Instant>,
}

struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// Commands that nobody began to write yet.
    unsent: Vec<u8>,
    calls: Slab<Call>,
    /// Whose replies are still to come, in that order.
    waiting: VecDeque<usize>,
    /// When to look for overdue calls: never after the first is due.
    look_at: Option<Instant>,
    driver: Option<Waker>,
    /// Why no reply comes any more.
    ended: Option<Trouble>,
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

/// What will come of a call. Dropping it lets the command run, unheard.
pub struct Answer {
    shared: Arc<Shared>,
    /// None when it was taken.
    call: Option<usize>,
}

impl Multiplexed {
    /// Shares a connection that was opened.
    pub fn over<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> (Self, Driver<S>) {
        let shared = Arc::new(Shared(Mutex::default()));
        let driver = Driver {
            stream,
            shared: Arc::downgrade(&shared),
            sending: Vec::new(),
            sent: 0,
            received: Vec::new(),
            reader: Reader::default(),
            alarm: Box::pin(sleep_until(Instant::now().into())),
            set_to: None,
        };
        (Self(shared), driver)
    }

    /// Asks one command; whether or not somebody waits for it, it is sent.
    pub fn one(&self, command: &Cmd, due: Instant) -> Answer {
        self.ask(None, due, |unsent| command.write_packed_command(unsent))
    }

    /// Asks several in one go. The answer is an array of all replies.
    pub fn many(&self, pipeline: &Pipeline, due: Instant) -> Answer {
        self.ask(Some(pipeline.len()), due, |unsent| {
            pipeline.cmd_iter().for_each(|command| command.write_packed_command(unsent));
        })
    }

    fn ask(&self, parts: Option<usize>, due: Instant, write: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let call = self.0.state().ask(parts, due, write);
        Answer { shared: Arc::clone(&self.0), call: Some(call) }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds a connection's state")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The driver finds that nobody is left, and closes.
        if let Some(driver) = self.state().driver.take() {
            driver.wake();
        }
    }
}

impl State {
    fn ask(
        &mut self,
        parts: Option<usize>,
        due: Instant,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let replies = parts.map(Vec::with_capacity);
        if let Some(answer) = self.at_once(parts) {
            let outcome = Outcome::There((answer, Instant::now()));
            return self.calls.insert(Call { missing: 0, replies, due, outcome });
        }
        let (missing, outcome) = (parts.unwrap_or(1), Outcome::Awaited(None));
        let call = self.calls.insert(Call { missing, replies, due, outcome });
        self.send(call, due, write);
        call
    }

    /// The answer, where Redis need not or can't be asked.
    fn at_once(&self, parts: Option<usize>) -> Option<Result<Value, Trouble>> {
        let full = self.waiting.len() >= CALLS_MAX || self.unsent.len() >= UNSENT_MAX;
        match &self.ended {
            Some(trouble) => Some(Err(trouble.clone())),
            None if full => Some(Err(Trouble::Slow)),
            None => (parts == Some(0)).then(|| Ok(Value::Array(Vec::new()))),
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
    fn deliver(&mut self, reply: Value, now: Instant) -> Result<(), Garbage> {
        let number = *self.waiting.front().ok_or(Garbage)?;
        let call = &mut self.calls[number];
        if let Some(whole) = call.add(reply) {
            self.waiting.pop_front();
            self.settle(number, Ok(whole), now);
        }
        Ok(())
    }

    fn settle(&mut self, number: usize, answer: Result<Value, Trouble>, now: Instant) {
        let call = &mut self.calls[number];
        match mem::replace(&mut call.outcome, Outcome::Unwanted) {
            Outcome::Awaited(waker) => {
                call.outcome = Outcome::There((answer, now));
                waker.into_iter().for_each(Waker::wake);
            }
            // It was overdue, and that was not heard yet.
            there @ Outcome::There(_) => call.outcome = there,
            Outcome::Unwanted if call.missing == 0 => drop(self.calls.remove(number)),
            Outcome::Unwanted => (),
        }
    }

    /// Tells those who wait too long; their replies are still to come.
    fn expire(&mut self, now: Instant) {
        self.look_at = None;
        for n in 0..self.waiting.len() {
            let number = self.waiting[n];
            let (due, outcome) = (self.calls[number].due, &self.calls[number].outcome);
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
    fn end(&mut self, trouble: Trouble) {
        let now = Instant::now();
        for number in mem::take(&mut self.waiting) {
            self.calls[number].missing = 0;
            self.settle(number, Err(trouble.clone()), now);
        }
        self.unsent = Vec::new();
        self.ended.get_or_insert(trouble);
    }

    /// Nobody waits for it any more.
    fn let_go(&mut self, number: usize) {
        self.calls[number].outcome = Outcome::Unwanted;
        if self.calls[number].missing == 0 {
            self.calls.remove(number);
        }
    }

    /// The answer, if it is there; else `waker` is woken when it is.
    fn take(&mut self, number: usize, waker: &Waker) -> Option<Answered> {
        let call = &mut self.calls[number];
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

impl Future for Answer {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let call = self.call.expect("an answer is taken once");
        let Some(answered) = self.shared.state().take(call, cx.waker()) else {
            return Poll::Pending;
        };
        self.call = None;
        Poll::Ready(answered)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.shared.state().let_go(call);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    /// Ends when the connection does, or when nobody uses it any more.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(shared) = self.shared.upgrade() else { return Poll::Ready(()) };
        match self.turn(&shared, cx) {
            Ok(()) => Poll::Pending,
            Err(trouble) => {
                shared.state().end(trouble);
                Poll::Ready(())
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Everything that can be done without waiting.
    fn turn(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Result<(), Trouble> {
        self.write(shared, cx)?;
        self.read(shared, cx)?;
        self.watch(shared, cx);
        Ok(())
    }

    fn write(&mut self, shared: &Shared, cx: &mut Context<'_>) -> io::Result<()> {
        while self.has_more_to_send(shared, cx) {
            match Pin::new(&mut self.stream).poll_write(cx, &self.sending[self.sent..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.sent += written,
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn has_more_to_send(&mut self, shared: &Shared, cx: &Context<'_>) -> bool {
        if self.sent < self.sending.len() {
            return true;
        }
        self.sending.clear();
        self.sent = 0;
        slim(&mut self.sending);
        let mut state = shared.state();
        mem::swap(&mut state.unsent, &mut self.sending);
        if !state.driver.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            state.driver = Some(cx.waker().clone());
        }
        !self.sending.is_empty()
    }

    fn read(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Result<(), Trouble> {
        loop {
            self.received.reserve(PIECE);
            let read = pin!(self.stream.read_buf(&mut self.received)).poll(cx)?;
            match read {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => return Err(Trouble::Away),
                Poll::Ready(_) => self.deliver(&mut shared.state())?,
            }
        }
    }

    /// Every reply whose end is there.
    fn deliver(&mut self, state: &mut State) -> Result<(), Garbage> {
        let (now, mut input) = (Instant::now(), &self.received[..]);
        while let Some(reply) = self.reader.next(&mut input)? {
            state.deliver(reply, now)?;
        }
        let read = self.received.len() - input.len();
        self.received.drain(..read);
        slim(&mut self.received);
        Ok(())
    }

    /// Looks for overdue calls when the first of them may be due.
    fn watch(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let mut state = shared.state();
        while let Some(at) = state.look_at {
            if self.set_to != Some(at) {
                self.alarm.as_mut().reset(at.into());
                self.set_to = Some(at);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return;
            }
            state.expire(Instant::now());
        }
    }
}

impl<S> Drop for Driver<S> {
    /// Its task may have been ended from outside.
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.state().end(Trouble::Away);
        }
    }
}

/// A buffer that is empty does not hold on to much memory.
fn slim(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}
