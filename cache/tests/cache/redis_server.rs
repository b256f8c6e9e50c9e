//! A redis-server for one test, on its own TCP port; it stops with the test.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
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

/// Waits until a condition holds.
pub fn eventually(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A redis-server on its own TCP port.
pub struct Redis {
    child: Child,
    pub port: u16,
    dir: TempDir,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A free port may be taken a moment later, so this tries several.
    pub fn with(args: &[&str]) -> Self {
        let tries = (0..5).find_map(|_| Self::try_on(free_port(), args));
        tries.expect("redis-server should start on a free port")
    }

    pub fn on(port: u16, args: &[&str]) -> Self {
        Self::try_on(port, args).expect("redis-server should start on this port")
    }

    /// Returns `None` if the server exits at once.
    fn try_on(port: u16, args: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let child = spawn(port, dir.path(), args);
        let mut redis = Self { child, port, dir };
        redis.listens().then_some(redis)
    }

    /// Waits until the server listens; false if it has exited.
    fn listens(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            assert!(Instant::now() < end, "redis-server does not listen");
            sleep(Duration::from_millis(20));
        }
        false
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
        assert!(self.listens(), "redis-server ended");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A stopped process can be killed as well.
        self.kill();
    }
}

fn spawn(port: u16, dir: &Path, args: &[&str]) -> Child {
    let found = ["redis-server", "valkey-server"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok());
    Command::new(found.expect("redis-server or valkey-server should be installed"))
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
