//! The visitors: kept connections, each of which asks again as soon as it was
//! answered, all on the calling thread.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
};

use crate::Result;

/// How many visitors there are at once.
const CONNECTIONS: usize = 64;
/// As actix writes it.
const LENGTH: &[u8] = b"content-length: ";

/// What the visitors saw.
pub struct Measured {
    /// Answers.
    pub requests: u64,
    /// Bytes of all answers, heads included.
    pub bytes: u64,
    /// From the first question to the last answer.
    pub time: Duration,
    /// Microseconds from question to answer.
    pub latency: Histogram<u64>,
}

/// One answer.
#[derive(Default)]
pub struct Answer {
    head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the status is 200.
    pub fn is_ok(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200")
    }
}

/// What everything here runs on.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// The same request for `time`, over all connections.
pub async fn steady(address: SocketAddr, request: &[u8], time: Duration) -> Result<Measured> {
    let start = Instant::now();
    let visitors = (0..CONNECTIONS).map(|_| async {
        let mut visitor = Visitor::connect(address).await?;
        let (mut latency, mut bytes) = (histogram(), 0);
        let mut asked = Instant::now();
        while asked.duration_since(start) < time {
            bytes += visitor.exchange(request).await? as u64;
            let answered = Instant::now();
            latency.saturating_record(answered.duration_since(asked).as_micros() as u64);
            asked = answered;
        }
        io::Result::Ok((latency, bytes))
    });
    let (mut latency, mut bytes) = (histogram(), 0);
    for (of_one, read) in try_join_all(visitors).await? {
        latency += of_one;
        bytes += read;
    }
    Ok(Measured { requests: latency.len(), bytes, time: start.elapsed(), latency })
}

/// `count` requests, each of another number, over all connections. Any status will do.
pub async fn numbered(
    address: SocketAddr,
    count: u64,
    request: impl Fn(u64) -> Vec<u8>,
) -> Result<Duration> {
    let (start, next) = (Instant::now(), AtomicU64::new(0));
    let visitors = (0..CONNECTIONS).map(|_| async {
        let mut visitor = Visitor::connect(address).await?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return io::Result::Ok(());
            }
            visitor.ask(&request(number)).await?;
        }
    });
    try_join_all(visitors).await?;
    Ok(start.elapsed())
}

/// The last of `times` answers to the same request.
pub async fn ask(address: SocketAddr, request: &[u8], times: usize) -> Result<Answer> {
    let mut visitor = Visitor::connect(address).await?;
    let mut answer = Answer::default();
    for _ in 0..times {
        let (head, length) = visitor.ask(request).await?;
        let text = String::from_utf8_lossy(&visitor.buffer[..head]).into_owned();
        answer = Answer { head: text, body: visitor.buffer[head..length].to_vec() };
    }
    Ok(answer)
}

/// One kept connection.
struct Visitor {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Visitor {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 128 * 1024] })
    }

    /// Asks, takes nothing but a good answer, and returns its length.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<usize> {
        let (_, length) = self.ask(request).await?;
        match self.buffer.starts_with(b"HTTP/1.1 200") {
            true => Ok(length),
            false => Err(io::Error::other("an answer was not 200")),
        }
    }

    /// Asks, and returns where the answer's head and the answer itself end.
    async fn ask(&mut self, request: &[u8]) -> io::Result<(usize, usize)> {
        self.stream.write_all(request).await?;
        let (mut filled, mut ends) = (0, None);
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if ends.is_none() {
                ends = ends_of(&self.buffer[..filled]);
            }
            if let Some(ends) = ends.filter(|(_, end)| *end <= filled) {
                return Ok(ends);
            }
        }
    }
}

/// Where the head ends, and with its `content-length` the whole. Quick, however
/// long the head is: what a visitor has to do is not what is measured.
fn ends_of(answer: &[u8]) -> Option<(usize, usize)> {
    let head = memmem::find(answer, b"\r\n\r\n")? + 4;
    let length = memmem::find(&answer[..head], LENGTH)? + LENGTH.len();
    let digits = answer[length..head].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| 10 * length + usize::from(digit - b'0'));
    Some((head, head + length))
}

/// 1 µs to a minute with two significant digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("the bounds are constants that fit")
}
