//! The load generator: keep-alive connections, each of which sends the next request
//! as soon as it has the response, all on the calling thread.

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

/// Number of concurrent connections.
const CONNECTIONS: usize = 64;
/// The header as actix writes it.
const LENGTH: &[u8] = b"content-length: ";

/// Result of a measurement.
pub struct Measured {
    /// Number of responses.
    pub requests: u64,
    /// Bytes of all responses, including headers.
    pub bytes: u64,
    /// Time from the first request to the last response.
    pub time: Duration,
    /// Microseconds from request to response.
    pub latency: Histogram<u64>,
}

/// One response.
#[derive(Default)]
pub struct Response {
    head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Whether the status is 200.
    pub fn is_ok(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200")
    }
}

/// A single-threaded runtime.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Sends the same request over all connections for `time`.
pub async fn steady(address: SocketAddr, request: &[u8], time: Duration) -> Result<Measured> {
    let start = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| async {
        let mut connection = Connection::connect(address).await?;
        let (mut latency, mut bytes) = (histogram(), 0);
        let mut sent = Instant::now();
        while sent.duration_since(start) < time {
            bytes += connection.exchange(request).await? as u64;
            let received = Instant::now();
            latency.saturating_record(received.duration_since(sent).as_micros() as u64);
            sent = received;
        }
        io::Result::Ok((latency, bytes))
    });
    let (mut latency, mut bytes) = (histogram(), 0);
    for (one, read) in try_join_all(clients).await? {
        latency += one;
        bytes += read;
    }
    Ok(Measured { requests: latency.len(), bytes, time: start.elapsed(), latency })
}

/// Sends `count` numbered requests over all connections. Any status is accepted.
pub async fn numbered(
    address: SocketAddr,
    count: u64,
    request: impl Fn(u64) -> Vec<u8>,
) -> Result<Duration> {
    let (start, next) = (Instant::now(), AtomicU64::new(0));
    let clients = (0..CONNECTIONS).map(|_| async {
        let mut connection = Connection::connect(address).await?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return io::Result::Ok(());
            }
            connection.send(&request(number)).await?;
        }
    });
    try_join_all(clients).await?;
    Ok(start.elapsed())
}

/// Sends the same request `times` times, and returns the last response.
pub async fn repeat(address: SocketAddr, request: &[u8], times: usize) -> Result<Response> {
    let mut connection = Connection::connect(address).await?;
    let mut response = Response::default();
    for _ in 0..times {
        let (head, length) = connection.send(request).await?;
        let text = String::from_utf8_lossy(&connection.buffer[..head]).into_owned();
        response = Response { head: text, body: connection.buffer[head..length].to_vec() };
    }
    Ok(response)
}

/// A keep-alive connection.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 128 * 1024] })
    }

    /// Sends a request, and returns the length of the response. Fails unless the status
    /// is 200.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<usize> {
        let (_, length) = self.send(request).await?;
        match self.buffer.starts_with(b"HTTP/1.1 200") {
            true => Ok(length),
            false => Err(io::Error::other("a response had another status than 200")),
        }
    }

    /// Sends a request, and returns where the headers and the response end.
    async fn send(&mut self, request: &[u8]) -> io::Result<(usize, usize)> {
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

/// Where the headers and, by `content-length`, the response end. Fast even for long
/// headers: the cost of the client must not distort the measurement.
fn ends_of(response: &[u8]) -> Option<(usize, usize)> {
    let head = memmem::find(response, b"\r\n\r\n")? + 4;
    let length = memmem::find(&response[..head], LENGTH)? + LENGTH.len();
    let digits = response[length..head].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| 10 * length + usize::from(digit - b'0'));
    Some((head, head + length))
}

/// A histogram from 1 µs to one minute, with two significant digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("the bounds are constants that fit")
}
