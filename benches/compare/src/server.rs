//! A private redis-server on a unix socket in a temporary directory.

use std::{
    fs,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Result;

/// Shell script that runs the server until the pipe on its standard input closes, which
/// happens however this program ends. SIGKILL also ends a frozen server.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
echo "$server" >pid.new && mv pid.new pid
cat <&3 >/dev/null
kill -KILL "$server" 2>/dev/null
wait "$server"
rm -rf "$PWD"
"#;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server. It ends on drop, or with this process.
pub struct Server {
    watchdog: Child,
    pid: Pid,
    dir: TempDir,
}

impl Server {
    /// Starts a server without persistence and waits until it listens.
    pub fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("compare-")?;
        let options =
            ["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--daemonize", "no"];
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh", "redis-server"])
            .args(options)
            .current_dir(dir.path())
            // Ctrl-C must not end the watchdog before the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        match wait_until_listening(dir.path()) {
            Ok(pid) => Ok(Self { watchdog, pid, dir }),
            Err(error) => {
                drop(watchdog.stdin.take());
                Err(error)
            }
        }
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.dir.path().join("redis.sock").display())
    }

    /// Freezes the server: it accepts commands and does not answer.
    pub fn freeze(&self) -> Result<()> {
        Ok(kill_process(self.pid, Signal::STOP)?)
    }

    /// Kills the server: connections break, and new ones are refused.
    pub fn kill(&self) -> Result<()> {
        Ok(kill_process(self.pid, Signal::KILL)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Waits for the server's process id, which the watchdog writes, and for its socket.
fn wait_until_listening(dir: &Path) -> Result<Pid> {
    let start = Instant::now();
    while start.elapsed() < START_TIMEOUT {
        let pid = fs::read_to_string(dir.join("pid")).ok().and_then(|pid| pid.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw)
            && UnixStream::connect(dir.join("redis.sock")).is_ok()
        {
            return Ok(pid);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("redis-server did not start: is it installed?".into())
}
