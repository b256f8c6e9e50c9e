//! The program itself, started on a directory and servers of its own, which
//! all end with the test.

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

pub use crate::redis_server::*;

/// A running hitrate.
pub struct Hitrate {
    child: Child,
    agent: ureq::Agent,
    pub address: String,
    pub dir: PathBuf,
    _own_dir: Option<TempDir>,
}

/// How one is started.
pub struct Setup {
    settings: Vec<(&'static str, String)>,
    dir: Option<PathBuf>,
    limits: Option<&'static str>,
}

/// One response.
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

    /// `name=value` of the cookie this response sets.
    pub fn cookie(&self) -> &str {
        self.header("set-cookie").split(';').next().unwrap()
    }
}

pub fn setup() -> Setup {
    // No simulated latency: most tests are about something else.
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

    pub fn redis(self, redis: &Redis) -> Self {
        self.set("REDIS_URL", redis.url())
    }

    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Starts it from a shell that has run these commands, `ulimit` for one.
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
        // Three attempts at an absent Redis take four seconds and a half.
        let line = hitrate.await_log("hitrate is at http://", Duration::from_secs(20));
        hitrate.address = line.split("http://").nth(1).unwrap().trim().to_owned();
        hitrate
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_hitrate");

/// The program with these settings and no others, in `dir`.
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

/// Runs a command of the program to its end.
pub fn run(dir: &Path, settings: &[(&'static str, String)], args: &[&str]) -> Output {
    command(dir, settings).args(args).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Hitrate {
    /// With an own Redis, and everything else by default.
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

    /// The same, where no answer is one, too.
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

    /// Sends these bytes as they are, and returns what comes back until the
    /// server closes, or for two seconds.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        // The server may close before it has read all of it.
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

    /// How many lines of the log hold `text`.
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
                panic!("hitrate ended ({status}) without {text:?}:\n{log}");
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

    /// Ends it and waits for that.
    pub fn end(mut self, signal: &str) -> std::process::ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    /// The own Redis: a connection over its socket.
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

impl Drop for Hitrate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The checkers that npm has, where `bin/test` could install them.
pub fn node_modules() -> Option<PathBuf> {
    std::env::var_os("HITRATE_TOOLS").map(|tools| PathBuf::from(tools).join("node_modules"))
}
