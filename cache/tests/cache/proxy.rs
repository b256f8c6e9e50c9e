//! A TCP proxy between hitrate and Redis that breaks the network on demand.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use crate::redis_server::Redis;

/// How much of what a client said is kept, to tell connections apart: a
/// connection says what it is for in its first few commands.
const HEARD: usize = 4096;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// All is well.
    Pass,
    /// Bytes take this long, each way.
    Latency(Duration),
    /// Only what Redis answers takes this long.
    SlowAnswers(Duration),
    /// Bytes take up to this long, each way, and each time another time; they
    /// stay in order, but connections overtake each other.
    Jitter(Duration),
    /// Bytes are held, and go on afterwards.
    Freeze,
    /// The next answer is cut off after so many bytes, and its connection with it.
    CutOff(usize),
    /// The server's side is gone and nobody tells the client: what it sends is
    /// swallowed, for as long as it keeps that connection.
    HalfOpen,
    /// Whatever the client asks, this is the answer.
    Garbage(&'static [u8]),
    /// Connections are closed as soon as they are opened.
    Refuse,
}

impl Mode {
    /// Whether a connection can go on in this mode as it was.
    fn relays(self) -> bool {
        !matches!(self, Self::HalfOpen | Self::Garbage(_) | Self::Refuse)
    }

    fn latency(self, way: Way, rng: &mut StdRng) -> Duration {
        match self {
            Self::SlowAnswers(latency) if way == Way::FromRedis => latency,
            Self::Latency(latency) => latency,
            Self::Jitter(most) => most.mul_f64(rng.random()),
            _ => Duration::ZERO,
        }
    }
}

/// The direction of a byte.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    ToRedis,
    FromRedis,
}

/// Stands before one Redis; ends when dropped.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    open: Connections,
}

type Connections = Arc<Mutex<Vec<Connection>>>;

/// One connection, seen from outside.
struct Connection {
    heard: Arc<Mutex<Vec<u8>>>,
    cut: oneshot::Sender<()>,
}

impl Proxy {
    pub fn before(redis: &Redis) -> Self {
        Self::seeded(redis, 1)
    }

    /// The same, with other random times.
    pub fn seeded(redis: &Redis, seed: u64) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let open = Connections::default();
        let (target, listed) = (redis.port, Arc::clone(&open));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut end = modes.clone();
                tokio::select! {
                    () = accept(listener, target, modes, listed, seed) => (),
                    // An error says that the proxy was dropped.
                    _ = async { while end.changed().await.is_ok() {} } => (),
                }
            });
        });
        Self { port, mode, open }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on the network is like this.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes every connection, once.
    pub fn cut(&self) -> usize {
        self.cut_where(|_| true)
    }

    /// Closes the connections on which this was heard first; says how many.
    pub fn cut_where(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let mut open = self.open.lock().unwrap();
        open.retain(|connection| !connection.cut.is_closed());
        let (cut, kept): (Vec<_>, _) = open.drain(..).partition(|connection| {
            is_meant(&String::from_utf8_lossy(&connection.heard.lock().unwrap()))
        });
        *open = kept;
        cut.into_iter().filter_map(|connection| connection.cut.send(()).ok()).count()
    }

    /// Closes the connections that hear of invalidations.
    pub fn cut_tracking(&self) -> usize {
        self.cut_where(|heard| heard.to_ascii_uppercase().contains("TRACKING"))
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    mode: watch::Receiver<Mode>,
    open: Connections,
    seed: u64,
) {
    let mut rng = StdRng::seed_from_u64(seed);
    while let Ok((client, _)) = listener.accept().await {
        let rngs = [rng.random(), rng.random()].map(StdRng::seed_from_u64);
        let (cut, when_cut) = oneshot::channel();
        let heard = Arc::default();
        open.lock().unwrap().push(Connection { heard: Arc::clone(&heard), cut });
        let mode = mode.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = carry(client, port, mode, &heard, rngs) => (),
                _ = when_cut => (),
            }
        });
    }
}

/// One connection, from its opening to its end.
async fn carry(
    mut client: TcpStream,
    port: u16,
    mut mode: watch::Receiver<Mode>,
    heard: &Mutex<Vec<u8>>,
    rngs: [StdRng; 2],
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let relayed = relay(&mut client, port, mode.clone(), heard, rngs);
    let broken = async { mode.wait_for(|mode| !mode.relays()).await.map(|mode| *mode) };
    // The one that breaks comes first: no byte passes in such a mode.
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

async fn answer_with(garbage: &[u8], client: &mut TcpStream) -> std::io::Result<()> {
    let mut asked = [0; 4096];
    while client.read(&mut asked).await? > 0 {
        client.write_all(garbage).await?;
    }
    Ok(())
}

async fn relay(
    client: &mut TcpStream,
    port: u16,
    mode: watch::Receiver<Mode>,
    heard: &Mutex<Vec<u8>>,
    [there, back]: [StdRng; 2],
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let listen = |bytes: &[u8]| {
        let mut heard = heard.lock().unwrap();
        let room = HEARD - heard.len();
        heard.extend(bytes.iter().take(room));
    };
    tokio::select! {
        ended = pump(from_client, to_server, (Way::ToRedis, there), mode.clone(), listen) => ended,
        ended = pump(from_server, to_client, (Way::FromRedis, back), mode, |_| ()) => ended,
    }
}

/// Moves bytes in one direction: each chunk has a time at which it is due.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (way, mut rng): (Way, StdRng),
    mode: watch::Receiver<Mode>,
    listen: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let (send, mut underway) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let mut thawed = mode.clone();
    let read = async move {
        let mut chunk = [0; 16 * 1024];
        while let n @ 1.. = from.read(&mut chunk).await? {
            listen(&chunk[..n]);
            let due = Instant::now() + mode.borrow().latency(way, &mut rng);
            let _ = send.send((due, chunk[..n].to_vec()));
        }
        Ok(())
    };
    let write = async move {
        while let Some((due, bytes)) = underway.recv().await {
            sleep_until(due).await;
            let now = thawed.wait_for(|mode| *mode != Mode::Freeze).await.map(|mode| *mode);
            if let (Ok(Mode::CutOff(length)), Way::FromRedis) = (now, way) {
                to.write_all(&bytes[..length.min(bytes.len())]).await?;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|((), ())| ())
}
