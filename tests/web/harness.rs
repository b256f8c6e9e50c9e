//! Starts hitrate with its own directory and servers, which all end with the test.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub use hitrate_cache::test_util::TestRedis;

pub use crate::timing::*;

/// A running hitrate, killed on drop.
pub struct Hitrate {
    child: Child,
    agent: ureq::Agent,
    pub address: String,
    pub dir: PathBuf,
    _own_dir: Option<TempDir>,
}

/// Settings of a hitrate to start.
pub struct Setup {
    settings: Vec<(&'static str, String)>,
    dir: Option<PathBuf>,
    limits: Option<&'static str>,
}

/// An HTTP response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: String,
    pub took: Duration,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `name=value` of the cookie that this response sets.
    pub fn cookie(&self) -> &str {
        self.header("set-cookie").split(';').next().unwrap()
    }
}

/// Default settings for tests, without simulated latency.
pub fn setup() -> Setup {
    let settings = vec![
        ("HITRATE_BIND", "127.0.0.1:0".to_owned()),
        ("HITRATE_DATABASE_DELAY", "0".to_owned()),
    ];
    Setup { settings, dir: None, limits: None }
}

impl Setup {
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    pub fn redis(self, redis: &TestRedis) -> Self {
        self.set("REDIS_URL", redis.url())
    }

    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Starts hitrate from a shell that first runs these commands, e.g. `ulimit`.
    pub fn limits(mut self, shell: &'static str) -> Self {
        self.limits = Some(shell);
        self
    }

    pub fn start(self) -> Hitrate {
        let own_dir = self.dir.is_none().then(|| tempfile::tempdir().unwrap());
        let dir = self.dir.unwrap_or_else(|| own_dir.as_ref().unwrap().path().to_owned());
        let log = File::create(dir.join("log")).unwrap();
        let mut command = match self.limits {
            None => command(&dir, &self.settings),
            Some(shell) => {
                let mut command = plain_command(Path::new("sh"), &dir, &self.settings);
                command.args(["-c", &format!("{shell}; exec \"$0\""), PROGRAM]);
                command
            }
        };
        let child = command.stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let mut hitrate = Hitrate { child, agent, address: String::new(), dir, _own_dir: own_dir };
        // Three connection attempts to an absent Redis take 4.5 seconds.
        let line = hitrate.await_log("hitrate is at http://", Duration::from_secs(20));
        hitrate.address = line.split("http://").nth(1).unwrap().trim().to_owned();
        hitrate
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_hitrate");

/// A command that runs hitrate in `dir` with only these settings.
pub fn command(dir: &Path, settings: &[(&'static str, String)]) -> Command {
    plain_command(Path::new(PROGRAM), dir, settings)
}

fn plain_command(program: &Path, dir: &Path, settings: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("HITRATE_") || name.starts_with("REDIS_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs a hitrate command until it exits.
pub fn run(dir: &Path, settings: &[(&'static str, String)], args: &[&str]) -> Output {
    command(dir, settings).args(args).output().unwrap()
}

pub fn send_signal(pid: u32, signal: &str) {
    let done = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(done.unwrap().success(), "kill -{signal} {pid}");
}

pub fn is_alive(pid: u32) -> bool {
    // A zombie is no longer running.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Hitrate {
    /// Starts hitrate with a managed Redis and default settings.
    pub fn start() -> Self {
        setup().start()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn json(&self, path: &str) -> Value {
        self.get_with(path, &[("accept", "application/json")]).json()
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "")
    }

    pub fn post(&self, path: &str, form: &str) -> Answer {
        self.post_with(path, form, &[])
    }

    pub fn post_with(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send("POST", path, &all, form)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// Sends a request; a broken connection is an error, not a panic.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let start = Instant::now();
        let mut response = self.agent.run(request.body(body.to_owned()).unwrap())?;
        let body = response.body_mut().read_to_string()?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
            took: start.elapsed(),
        })
    }

    /// Sends these bytes unchanged, and returns everything received until the server
    /// closes the connection, or stays silent for two seconds.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut chunk) {
            answer.extend_from_slice(&chunk[..n]);
        }
        text(&answer)
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Number of log lines that contain `text`.
    pub fn logged(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    pub fn await_log(&mut self, text: &str, limit: Duration) -> String {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("hitrate exited ({status}) without {text:?}:\n{log}");
            }
            sleep(Duration::from_millis(10));
        }
        panic!("no {text:?} within {limit:?}:\n{}", self.log());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// Sends the signal, and waits for the exit.
    pub fn end(mut self, signal: &str) -> std::process::ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    /// A connection to the managed Redis, over its socket.
    pub fn own_redis(&self) -> redis::Connection {
        let socket = self.dir.join("var/redis.sock");
        let url = format!("redis+unix://{}", socket.display());
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    pub fn own_redis_pid(&self) -> u32 {
        let info: String = redis::cmd("INFO").arg("server").query(&mut self.own_redis()).unwrap();
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
        pid.trim().parse().unwrap()
    }
}

/// Closes without a farewell: the server sees a reset.
pub fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

impl Drop for Hitrate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory of checkers from npm, if `bin/test` has installed them.
pub fn node_modules() -> Option<PathBuf> {
    std::env::var_os("HITRATE_TOOLS").map(|tools| PathBuf::from(tools).join("node_modules"))
}
