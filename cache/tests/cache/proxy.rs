//! A TCP proxy between hitrate and Redis that breaks the network on demand.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use hitrate_cache::test_util::TestRedis;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

/// Bytes of a client's first commands to record, which tell connections apart.
const MAX_RECEIVED: usize = 4096;

/// The behaviour of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// Forwards everything.
    Pass,
    /// Delays bytes by this long in each direction.
    Latency(Duration),
    /// Delays replies only.
    SlowAnswers(Duration),
    /// Delays each chunk by a random time up to this long; chunks stay in order,
    /// but connections overtake each other.
    Jitter(Duration),
    /// Holds bytes back until the mode changes.
    Freeze,
    /// The next answer is cut off after so many bytes, and its connection with it.
    CutOff(usize),
    /// The server is gone without closing the connection: bytes from the client are
    /// discarded as long as it keeps that connection.
    HalfOpen,
    /// Answers every request with these bytes.
    Garbage(&'static [u8]),
    /// Closes connections as soon as they are opened.
    Refuse,
}

impl Mode {
    /// Whether an open connection continues in this mode.
    fn relays(self) -> bool {
        !matches!(self, Self::HalfOpen | Self::Garbage(_) | Self::Refuse)
    }

    fn latency(self, direction: Direction, rng: &mut StdRng) -> Duration {
        match self {
            Self::SlowAnswers(latency) if direction == Direction::FromRedis => latency,
            Self::Latency(latency) => latency,
            Self::Jitter(most) => most.mul_f64(rng.random()),
            _ => Duration::ZERO,
        }
    }
}

/// The direction of the bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Direction {
    ToRedis,
    FromRedis,
}

/// The address of a Redis.
#[derive(Debug, Clone)]
enum Target {
    Socket(PathBuf),
    Port(u16),
}

/// A connection to a Redis.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Target {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// A proxy in front of one Redis; stops when dropped.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    open: Connections,
}

type Connections = Arc<Mutex<Vec<Connection>>>;

/// An open connection.
struct Connection {
    received: Arc<Mutex<Vec<u8>>>,
    cut: oneshot::Sender<()>,
}

impl Proxy {
    pub fn before(redis: &TestRedis) -> Self {
        Self::seeded(redis, 1)
    }

    /// A proxy whose random delays are determined by this seed.
    pub fn seeded(redis: &TestRedis, seed: u64) -> Self {
        Self::start(Target::Socket(redis.socket().to_owned()), seed)
    }

    /// A proxy in front of a Redis on a TCP port.
    pub fn before_port(port: u16) -> Self {
        Self::start(Target::Port(port), 1)
    }

    fn start(target: Target, seed: u64) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let open = Connections::default();
        let listed = Arc::clone(&open);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut end = modes.clone();
                tokio::select! {
                    () = accept(listener, target, modes, listed, seed) => (),
                    // An error means that the proxy was dropped.
                    _ = async { while end.changed().await.is_ok() {} } => (),
                }
            });
        });
        Self { port, mode, open }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Switches the network to this mode.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes all current connections. Returns how many.
    pub fn cut(&self) -> usize {
        self.cut_where(|_| true)
    }

    /// Closes the connections whose first commands match. Returns how many.
    pub fn cut_where(&self, matches: impl Fn(&str) -> bool) -> usize {
        let mut open = self.open.lock().unwrap();
        open.retain(|connection| !connection.cut.is_closed());
        let (cut, kept): (Vec<_>, _) = open.drain(..).partition(|connection| {
            matches(&String::from_utf8_lossy(&connection.received.lock().unwrap()))
        });
        *open = kept;
        cut.into_iter().filter_map(|connection| connection.cut.send(()).ok()).count()
    }

    /// Closes the connections that receive invalidation pushes.
    pub fn cut_tracking(&self) -> usize {
        self.cut_where(|received| received.to_ascii_uppercase().contains("TRACKING"))
    }
}

async fn accept(
    listener: TcpListener,
    target: Target,
    mode: watch::Receiver<Mode>,
    open: Connections,
    seed: u64,
) {
    let mut rng = StdRng::seed_from_u64(seed);
    while let Ok((client, _)) = listener.accept().await {
        let rngs = [rng.random(), rng.random()].map(StdRng::seed_from_u64);
        let (cut, when_cut) = oneshot::channel();
        let received = Arc::default();
        open.lock().unwrap().push(Connection { received: Arc::clone(&received), cut });
        let (target, mode) = (target.clone(), mode.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = carry(client, &target, mode, &received, rngs) => (),
                _ = when_cut => (),
            }
        });
    }
}

/// Handles one connection until it ends.
async fn carry(
    mut client: TcpStream,
    target: &Target,
    mut mode: watch::Receiver<Mode>,
    received: &Mutex<Vec<u8>>,
    rngs: [StdRng; 2],
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let relayed = relay(&mut client, target, mode.clone(), received, rngs);
    let broken = async { mode.wait_for(|mode| !mode.relays()).await.map(|mode| *mode) };
    // The mode is checked first: no byte passes in a broken one.
    let broken = tokio::select! {
        biased;
        broken = broken => broken.unwrap_or(Mode::Refuse),
        ended = relayed => return ended,
    };
    match broken {
        Mode::HalfOpen => answer_with(b"", &mut client).await,
        Mode::Garbage(bytes) => answer_with(bytes, &mut client).await,
        _ => Ok(()),
    }
}

async fn answer_with(garbage: &[u8], client: &mut TcpStream) -> io::Result<()> {
    let mut request = [0; 4096];
    while client.read(&mut request).await? > 0 {
        client.write_all(garbage).await?;
    }
    Ok(())
}

async fn relay(
    client: &mut TcpStream,
    target: &Target,
    mode: watch::Receiver<Mode>,
    received: &Mutex<Vec<u8>>,
    [there, back]: [StdRng; 2],
) -> io::Result<()> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = split(target.connect().await?);
    let record = |bytes: &[u8]| {
        let mut received = received.lock().unwrap();
        let capacity = MAX_RECEIVED - received.len();
        received.extend(bytes.iter().take(capacity));
    };
    tokio::select! {
        ended = pump(from_client, to_server, (Direction::ToRedis, there), mode.clone(), record) => ended,
        ended = pump(from_server, to_client, (Direction::FromRedis, back), mode, |_| ()) => ended,
    }
}

/// Forwards bytes in one direction; each chunk has a time at which it is due.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (direction, mut rng): (Direction, StdRng),
    mode: watch::Receiver<Mode>,
    record: impl Fn(&[u8]),
) -> io::Result<()> {
    let (send, mut in_flight) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let mut thawed = mode.clone();
    let read = async move {
        let mut chunk = [0; 16 * 1024];
        while let n @ 1.. = from.read(&mut chunk).await? {
            record(&chunk[..n]);
            let due = Instant::now() + mode.borrow().latency(direction, &mut rng);
            let _ = send.send((due, chunk[..n].to_vec()));
        }
        Ok(())
    };
    let write = async move {
        while let Some((due, bytes)) = in_flight.recv().await {
            sleep_until(due).await;
            let now = thawed.wait_for(|mode| *mode != Mode::Freeze).await.map(|mode| *mode);
            if let (Ok(Mode::CutOff(length)), Direction::FromRedis) = (now, direction) {
                to.write_all(&bytes[..length.min(bytes.len())]).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|((), ())| ())
}
