//! The connection's end: writes what was asked, reads what is answered.

use std::{
    io,
    pin::{Pin, pin},
    sync::Weak,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{Sleep, sleep_until},
};

use crate::redis::{
    multiplexed::{Shared, calls::Calls},
    resp::{Garbage, Reader},
};

/// Room for what is read at once.
const PIECE: usize = 16 * 1024;
/// A buffer that grew larger is let go when it is empty.
const KEPT: usize = 1024 * 1024;

/// To be polled by a task of its own, until it ends.
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

impl<S> Driver<S> {
    /// Drives this connection for as long as anyone shares it.
    pub fn new(stream: S, shared: Weak<Shared>) -> Self {
        Self {
            stream,
            shared,
            sending: Vec::new(),
            sent: 0,
            received: Vec::new(),
            reader: Reader::default(),
            alarm: Box::pin(sleep_until(Instant::now().into())),
            set_to: None,
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
            Err(error) => {
                log::debug!("a connection ended: {error}");
                shared.calls().end();
                Poll::Ready(())
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Everything that can be done without waiting.
    fn turn(&mut self, shared: &Shared, cx: &mut Context<'_>) -> io::Result<()> {
        let written = self.write(shared, cx);
        // What was answered before the connection broke is still an answer.
        self.read(shared, cx)?;
        self.watch(shared, cx);
        written
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
        shared.calls().take_unsent(&mut self.sending, cx.waker());
        !self.sending.is_empty()
    }

    fn read(&mut self, shared: &Shared, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            self.received.reserve(PIECE);
            let read = pin!(self.stream.read_buf(&mut self.received)).poll(cx)?;
            match read {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(_) => self.deliver(&mut shared.calls())?,
            }
        }
    }

    /// Every reply whose end is there.
    fn deliver(&mut self, calls: &mut Calls) -> Result<(), Garbage> {
        let (now, mut input) = (Instant::now(), &self.received[..]);
        while let Some(reply) = self.reader.next(&mut input)? {
            calls.deliver(reply, now)?;
        }
        let read = self.received.len() - input.len();
        self.received.drain(..read);
        slim(&mut self.received);
        Ok(())
    }

    /// Looks for overdue calls when the first of them may be due.
    fn watch(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let mut calls = shared.calls();
        while let Some(at) = calls.look_at() {
            if self.set_to != Some(at) {
                self.alarm.as_mut().reset(at.into());
                self.set_to = Some(at);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return;
            }
            calls.expire(Instant::now());
        }
    }
}

impl<S> Drop for Driver<S> {
    /// Its task may have been ended from outside.
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.calls().end();
        }
    }
}

/// A buffer that is empty does not hold on to much memory.
fn slim(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}
