//! A redis-server for one test, on its own TCP port; it stops with the test.

use std::{
    fs::{self, File},
    path::Path,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub fn send_signal(pid: u32, signal: &str) {
    let done = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(done.unwrap().success(), "kill -{signal} {pid}");
}

pub fn is_alive(pid: u32) -> bool {
    // A zombie is no longer running.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// How many times as long as it should anything may take here: many tests run at
/// once, beside whatever else the machine does. What is promised is judged by the
/// best of several tries.
pub const BUSY: u32 = 5;

/// Waits until something holds that should within `limit`.
pub fn eventually(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit * BUSY;
    while !holds() {
        assert!(Instant::now() < end, "not within {BUSY} × {limit:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Whether one of several tries takes no longer than this: nothing else was in its way.
pub fn is_kept(promise: Duration, mut attempt: impl FnMut() -> Duration) -> bool {
    (0..5).any(|_| attempt() < promise)
}

/// A redis-server on a TCP port of its own.
pub struct Redis {
    child: Child,
    pub port: u16,
    dir: TempDir,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with these arguments; `PORT` is replaced by its port.
    pub fn with(args: &[&str]) -> Self {
        let tries = (0..20).find_map(|_| Self::try_on(next_port(), args));
        tries.expect("one of 20 ports should be free")
    }

    /// Returns `None` if the port is in use: redis-server logs this and exits.
    fn try_on(port: u16, args: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let child = spawn(port, dir.path(), args);
        let mut redis = Self { child, port, dir };
        redis.serves().then_some(redis)
    }

    /// Waits until the server accepts connections; false if the port is in use.
    fn serves(&mut self) -> bool {
        let log = || fs::read_to_string(self.dir.path().join(LOG)).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while !log().contains("eady to accept connections") {
            if self.child.try_wait().unwrap().is_some() {
                assert!(log().contains("Address already in use"), "it ended: {}", log());
                return false;
            }
            assert!(Instant::now() < end, "redis-server does not start: {}", log());
            sleep(Duration::from_millis(5));
        }
        true
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub fn run(&self, words: &[&str]) -> redis::Value {
        redis::cmd(words[0]).arg(&words[1..]).query(&mut self.connection()).unwrap()
    }

    pub fn signal(&self, signal: &str) {
        send_signal(self.child.id(), signal);
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Restarts the server on the same port and directory.
    pub fn restart(&mut self, args: &[&str]) {
        self.kill();
        self.child = spawn(self.port, self.dir.path(), args);
        assert!(self.serves(), "port {} was taken meanwhile", self.port);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A stopped process can be killed as well.
        self.kill();
    }
}

fn spawn(port: u16, dir: &Path, args: &[&str]) -> Child {
    let port = port.to_string();
    let found = ["redis-server", "valkey-server"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok());
    Command::new(found.expect("redis-server or valkey-server should be installed"))
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .args(args.iter().map(|arg| if *arg == "PORT" { &port } else { *arg }))
        .current_dir(dir)
        .stdout(File::create(dir.join(LOG)).unwrap())
        .spawn()
        .unwrap()
}

/// Output of redis-server, in its directory.
const LOG: &str = "log";

/// A port that no other server of this process uses. Ports are below the ephemeral
/// range, so that none is taken while its server is down; each process starts at another
/// one.
fn next_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static USED: AtomicU16 = AtomicU16::new(0);
    let used = u32::from(USED.fetch_add(1, Ordering::Relaxed));
    let port = FIRST + (process::id().wrapping_mul(97) % COUNT + used) % COUNT;
    u16::try_from(port).expect("a port is below 30,000")
}
