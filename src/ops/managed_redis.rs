//! An own Redis, for when none is configured: a child process on a unix
//! socket in the data directory, which ends when hitrate does.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{Read, Write},
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use hitrate_cache::{condition::Condition, redis::Address};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Runs the server and watches a pipe that only hitrate holds open. However
/// hitrate ends, the pipe closes and the server is told to end, too. When the
/// server ends by itself, so does the script, and hitrate starts it anew.
const WATCHED: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill "$server"; } 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"; code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

/// The longest path a unix socket may have (unix(7): 108 bytes with the end mark).
const SOCKET_PATH_MAX: usize = 107;
/// How long the first start may take; it loads its data after it listens.
const FIRST: Duration = Duration::from_secs(5);
/// How long an earlier server may take to end, or ours to end with us.
const GRACE: Duration = Duration::from_secs(10);

/// Why there is no own Redis.
#[derive(Debug, thiserror::Error)]
pub enum ManagedRedisError {
    /// Another hitrate works here.
    #[error(
        "another hitrate{0} is using the data directory {1}: stop it, or give this one a HITRATE_DATA_DIR of its own"
    )]
    Locked(String, PathBuf),
    /// The path of the socket would not fit.
    #[error(
        "HITRATE_DATA_DIR is too long: a unix socket's path has at most {SOCKET_PATH_MAX} bytes, and {0} has more"
    )]
    PathTooLong(PathBuf),
    /// The directory can't be used.
    #[error("the data directory {0} can't be used: {1}")]
    Directory(PathBuf, std::io::Error),
}

/// What to install where there is no server.
pub const INSTALL: &str = "no redis-server or valkey-server is on PATH. Install one \
    (Debian, Ubuntu: sudo apt-get install redis-server; Fedora: sudo dnf install valkey; \
    Alpine: sudo apk add redis; macOS: brew install redis) or set REDIS_URL. \
    Until then every page is answered from the database alone";

/// The running server. It ends by [`ManagedRedis::stop`], or with the process.
pub struct ManagedRedis {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
    _lock: File,
}

impl ManagedRedis {
    /// Takes the data directory, starts a server in it and waits until it
    /// listens, within bounds: without, hitrate starts all the same.
    pub async fn start(data_dir: &Path) -> Result<Self, ManagedRedisError> {
        let unusable = |error| ManagedRedisError::Directory(data_dir.to_owned(), error);
        let socket = socket(data_dir)?;
        let home = data_dir.join("redis");
        DirBuilder::new().recursive(true).mode(0o700).create(&home).map_err(unusable)?;
        let lock = lock_patiently(data_dir).await?;
        let home = fs::canonicalize(home).map_err(unusable)?;
        let (stop, stopped) = oneshot::channel();
        let _ = timeout(GRACE, until_free(&absolute(&socket))).await;
        let keeper = tokio::spawn(keep(home, absolute(&socket), stopped));
        if find().await.is_some() {
            let _ = timeout(FIRST, until_listening(&socket)).await;
        }
        Ok(Self { socket, stop, keeper, _lock: lock })
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        Address::unix(&self.socket)
    }

    /// Ends it cleanly: it writes what it has to its append-only file.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if timeout(GRACE, self.keeper).await.is_err() {
            log::warn!("the own Redis did not end within {} s", GRACE.as_secs());
        }
    }
}

/// Where the own Redis of a data directory listens.
pub fn socket(data_dir: &Path) -> Result<PathBuf, ManagedRedisError> {
    let socket = data_dir.join("redis.sock");
    match socket.as_os_str().len() <= SOCKET_PATH_MAX
        && absolute(&socket).as_os_str().len() <= SOCKET_PATH_MAX
    {
        true => Ok(socket),
        false => Err(ManagedRedisError::PathTooLong(socket)),
    }
}

/// Whether a hitrate is at work in this data directory. Changes nothing there.
pub fn is_running(data_dir: &Path) -> bool {
    let lock = File::open(data_dir.join("hitrate.lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A command that only looks holds the lock for a moment, too.
async fn lock_patiently(data_dir: &Path) -> Result<File, ManagedRedisError> {
    for _ in 0..10 {
        match lock(data_dir) {
            Err(ManagedRedisError::Locked(..)) => sleep(Duration::from_millis(30)).await,
            outcome => return outcome,
        }
    }
    lock(data_dir)
}

/// The lock is the kernel's: it goes when the process goes, `kill -9` included.
fn lock(data_dir: &Path) -> Result<File, ManagedRedisError> {
    let unusable = |error| ManagedRedisError::Directory(data_dir.to_owned(), error);
    let path = data_dir.join("hitrate.lock");
    let mut options = File::options();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)
                .and_then(|()| write!(file, "{}", std::process::id()))
                .map_err(unusable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let _ = file.read_to_string(&mut process);
            let process =
                if process.is_empty() { process } else { format!(" (process {process})") };
            Err(ManagedRedisError::Locked(process, data_dir.to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Waits before the server is started again; the last repeats.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// Starts the server, and again when it ends, until `stopped`.
async fn keep(home: PathBuf, socket: PathBuf, mut stopped: oneshot::Receiver<()>) {
    let missing = Condition::healthy("own Redis");
    let mut failures = 0;
    loop {
        tokio::select! { () = until_free(&socket) => (), _ = &mut stopped => return }
        let started = Instant::now();
        match spawn(&home, &socket).await {
            Some((mut child, pipe)) => tokio::select! {
                ended = child.wait() => {
                    failures = if started.elapsed() > GRACE { 0 } else { failures };
                    if failures == 0 {
                        let log = home.join("redis.log");
                        let how = ended.map_or_else(|it| it.to_string(), |it| it.to_string());
                        log::warn!("the own Redis ended ({how}) and is started again; see {}", log.display());
                    }
                },
                _ = &mut stopped => return end(child, pipe).await,
            },
            None => missing.failing(&INSTALL),
        }
        let pause = PAUSES[failures.min(PAUSES.len() - 1)];
        failures += 1;
        tokio::select! { () = sleep(pause) => (), _ = &mut stopped => return }
    }
}

/// After a `kill -9` of hitrate the earlier server is still writing its file,
/// and two of them must never write the same.
async fn until_free(socket: &Path) {
    let waiting = Condition::healthy("own Redis");
    let start = Instant::now();
    while UnixStream::connect(socket).is_ok() {
        if start.elapsed() > GRACE {
            waiting
                .failing(&"an earlier one still runs on this data directory; waiting for its end");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn until_listening(socket: &Path) {
    while UnixStream::connect(socket).is_err() {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn spawn(home: &Path, socket: &Path) -> Option<(Child, ChildStdin)> {
    let server = find().await?;
    let mut child = Command::new("sh")
        .args(["-c", WATCHED, "sh", &server])
        .args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"])
        .arg(socket)
        .args(["--daemonize", "no", "--logfile", "redis.log", "--loglevel", "notice", "--dir"])
        .arg(home)
        .args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])
        // Room is made among keys with a TTL only: the counter has none and stays.
        .args(["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Ctrl-C reaches hitrate alone, which still has requests to finish.
        .process_group(0)
        .spawn()
        .inspect_err(|error| log::warn!("the own Redis can't be started: {error}"))
        .ok()?;
    // Out of the child's hands: waiting for a child closes its pipe.
    let pipe = child.stdin.take()?;
    Some((child, pipe))
}

/// The first server binary on PATH.
async fn find() -> Option<String> {
    let script = "command -v redis-server || command -v valkey-server";
    let found = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output().await.ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    (!path.is_empty()).then_some(path)
}

/// Closes the pipe, which ends the server, and waits for it.
async fn end(mut child: Child, pipe: ChildStdin) {
    drop(pipe);
    let _ = timeout(GRACE, child.wait()).await;
}
