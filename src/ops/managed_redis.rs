//! The managed Redis: a child process that hitrate starts if no Redis is configured. It
//! listens on a unix socket in the data directory and ends together with hitrate.

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

/// Shell script that runs the server and reads from a pipe held open by hitrate. However
/// hitrate ends, the pipe closes and the script kills the server. If the server exits,
/// the script exits with its status, and hitrate starts it again.
const WATCHDOG: &str = r#"
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

/// Maximum length of a unix socket's path, in bytes (unix(7): 108 with the final NUL).
const SOCKET_PATH_MAX: usize = 107;
/// Timeout of the first start, until the server listens; it loads its data afterwards.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a server's shutdown, for ours and for one left by an earlier hitrate.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Error that prevents the start of a managed Redis.
#[derive(Debug, thiserror::Error)]
pub enum ManagedRedisError {
    /// Another hitrate uses the data directory.
    #[error(
        "another hitrate{0} is using the data directory {1}: stop it, or set HITRATE_DATA_DIR to another directory"
    )]
    Locked(String, PathBuf),
    /// The path of the socket is too long.
    #[error(
        "HITRATE_DATA_DIR is too long: the path of a unix socket has at most {SOCKET_PATH_MAX} bytes, and {0} is longer"
    )]
    PathTooLong(PathBuf),
    /// The directory can't be read or written.
    #[error("the data directory {0} can't be used: {1}")]
    Directory(PathBuf, std::io::Error),
}

/// Advice to log if no server binary is installed.
pub const INSTALL: &str = "no redis-server or valkey-server is on PATH. Install one \
    (Debian, Ubuntu: sudo apt-get install redis-server; Fedora: sudo dnf install valkey; \
    Alpine: sudo apk add redis; macOS: brew install redis) or set REDIS_URL. \
    Until then, all pages are served from the database";

/// A running server. It ends on [`ManagedRedis::stop`] or with this process.
pub struct ManagedRedis {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
    _lock: File,
}

impl ManagedRedis {
    /// Locks the data directory, starts a server in it and waits until it listens. Returns
    /// after a timeout if it does not: hitrate also runs without Redis.
    pub async fn start(data_dir: &Path) -> Result<Self, ManagedRedisError> {
        let unusable = |error| ManagedRedisError::Directory(data_dir.to_owned(), error);
        let socket = socket(data_dir)?;
        let home = data_dir.join("redis");
        DirBuilder::new().recursive(true).mode(0o700).create(&home).map_err(unusable)?;
        let lock = lock_with_retry(data_dir).await?;
        let home = fs::canonicalize(home).map_err(unusable)?;
        let (stop, stopped) = oneshot::channel();
        let _ = timeout(STOP_TIMEOUT, wait_until_free(&absolute(&socket))).await;
        let supervisor = tokio::spawn(supervise(home, absolute(&socket), stopped));
        if find_server().await.is_some() {
            let _ = timeout(START_TIMEOUT, wait_until_listening(&socket)).await;
        }
        Ok(Self { socket, stop, supervisor, _lock: lock })
    }

    /// Address of the server.
    pub fn address(&self) -> Address {
        Address::unix(&self.socket)
    }

    /// Shuts the server down after it has flushed its append-only file.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if timeout(STOP_TIMEOUT, self.supervisor).await.is_err() {
            log::warn!("the managed Redis did not stop within {} s", STOP_TIMEOUT.as_secs());
        }
    }
}

/// Path of the managed Redis's socket in a data directory.
pub fn socket(data_dir: &Path) -> Result<PathBuf, ManagedRedisError> {
    let socket = data_dir.join("redis.sock");
    match socket.as_os_str().len() <= SOCKET_PATH_MAX
        && absolute(&socket).as_os_str().len() <= SOCKET_PATH_MAX
    {
        true => Ok(socket),
        false => Err(ManagedRedisError::PathTooLong(socket)),
    }
}

/// Whether a hitrate is using this data directory. Changes nothing there.
pub fn is_running(data_dir: &Path) -> bool {
    let lock = File::open(data_dir.join("hitrate.lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// [`lock`] with retries, because [`is_running`] holds a shared lock for a moment.
async fn lock_with_retry(data_dir: &Path) -> Result<File, ManagedRedisError> {
    for _ in 0..10 {
        match lock(data_dir) {
            Err(ManagedRedisError::Locked(..)) => sleep(Duration::from_millis(30)).await,
            result => return result,
        }
    }
    lock(data_dir)
}

/// Locks the data directory. The kernel releases the lock when the process ends, even
/// after `kill -9`.
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

/// Delays before restarts of the server; the last one repeats.
const BACKOFF: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// Runs the server, and restarts it when it exits, until `stopped`.
async fn supervise(home: PathBuf, socket: PathBuf, mut stopped: oneshot::Receiver<()>) {
    let start = Condition::healthy("managed Redis");
    let mut failures = 0;
    loop {
        tokio::select! { () = wait_until_free(&socket) => (), _ = &mut stopped => return }
        let started = Instant::now();
        match spawn(&home, &socket).await {
            Ok((mut child, pipe)) => tokio::select! {
                exited = child.wait() => {
                    start.recovered();
                    failures = if started.elapsed() > STOP_TIMEOUT { 0 } else { failures };
                    if failures == 0 {
                        let log = home.join("redis.log");
                        let status = exited.map_or_else(|it| it.to_string(), |it| it.to_string());
                        log::warn!("the managed Redis exited ({status}), restarting it; see {}", log.display());
                    }
                },
                _ = &mut stopped => return stop_server(child, pipe).await,
            },
            Err(reason) => start.failing(&reason),
        }
        let delay = BACKOFF[failures.min(BACKOFF.len() - 1)];
        failures += 1;
        tokio::select! { () = sleep(delay) => (), _ = &mut stopped => return }
    }
}

/// Waits until no server listens on `socket`. After a `kill -9` of hitrate, the previous
/// server may still be writing the append-only file, and two must never write it.
async fn wait_until_free(socket: &Path) {
    let waiting = Condition::healthy("managed Redis");
    let start = Instant::now();
    while UnixStream::connect(socket).is_ok() {
        if start.elapsed() > STOP_TIMEOUT {
            waiting.failing(&"waiting for an earlier one on this data directory to stop");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn wait_until_listening(socket: &Path) {
    while UnixStream::connect(socket).is_err() {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Starts the server; the error says what to do.
async fn spawn(home: &Path, socket: &Path) -> Result<(Child, ChildStdin), String> {
    let server = find_server().await.ok_or(INSTALL)?;
    let mut child = Command::new("sh")
        .args(["-c", WATCHDOG, "sh", &server])
        .args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"])
        .arg(socket)
        .args(["--daemonize", "no", "--logfile", "redis.log", "--loglevel", "notice", "--dir"])
        .arg(home)
        .args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])
        // Only keys with a TTL are evicted, so the counter stays.
        .args(["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A separate process group, so that Ctrl-C does not reach the server: hitrate needs
        // it until the requests in flight have finished.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{server} can't be started: {error}"))?;
    // Taken out of the child, because `Child::wait` closes the pipe.
    let pipe = child.stdin.take().expect("stdin is piped");
    Ok((child, pipe))
}

/// Path of the first server binary on PATH.
async fn find_server() -> Option<String> {
    let script = "command -v redis-server || command -v valkey-server";
    let found = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output().await.ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    (!path.is_empty()).then_some(path)
}

/// Closes the pipe, which stops the server, and waits for its exit.
async fn stop_server(mut child: Child, pipe: ChildStdin) {
    drop(pipe);
    let _ = timeout(STOP_TIMEOUT, child.wait()).await;
}
