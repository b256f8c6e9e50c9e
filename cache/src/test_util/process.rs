//! The process of a test server, which ends with the process that started it.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{Read, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::TestRedisError;

/// Shell script that becomes the server. Before, it starts a watchdog that reads from a
/// pipe held open by the test: however the test process ends, the pipe closes, and the
/// watchdog kills the server. A line in the pipe ends the watchdog alone.
///
/// The script ignores SIGHUP: if the test process ends while the server is frozen, the
/// kernel sends this signal to the process group, and the watchdog must survive it.
const WATCHED: &str = r#"
trap '' HUP
exec 3<&0
{ read -r end <&3 || kill -KILL $$; } 2>/dev/null &
exec "$@" 3<&- </dev/null
"#;

/// Timeout of a start. A busy machine may need seconds.
pub const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout of a kill: the kernel may first have to finish a write to a disk.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the reply to one ping, after which the next one is sent.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// File with the output of the server.
const LOG: &str = "redis.log";

/// A running server, killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    watchdog: ChildStdin,
}

impl Process {
    /// Starts a server in `dir`, and waits until it replies on `socket`.
    pub fn start(dir: &Path, socket: &Path, args: &[String]) -> Result<Self, TestRedisError> {
        let mut process = Self::spawn(dir, socket, args)?;
        process.wait_until_ready(dir, socket)?;
        Ok(process)
    }

    fn spawn(dir: &Path, socket: &Path, args: &[String]) -> Result<Self, TestRedisError> {
        let program = find_server(env::var_os("PATH")).ok_or(TestRedisError::NotInstalled)?;
        let log = File::create(dir.join(LOG)).map_err(TestRedisError::Directory)?;
        let errors = log.try_clone().map_err(TestRedisError::Directory)?;
        let mut child = Command::new("sh")
            .args(["-c", WATCHED, "sh"].map(OsStr::new))
            .arg(&program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(socket)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C must not end the watchdog before the server.
            .process_group(0)
            .spawn()
            .map_err(TestRedisError::Spawn)?;
        // Taken out of the child, because waiting for the child closes the pipe.
        let watchdog = child.stdin.take().expect("stdin is piped");
        Ok(Self { child, watchdog })
    }

    fn wait_until_ready(&mut self, dir: &Path, socket: &Path) -> Result<(), TestRedisError> {
        let log = || fs::read_to_string(dir.join(LOG)).unwrap_or_default().trim().to_owned();
        let end = Instant::now() + START_TIMEOUT;
        while !is_ready(socket) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(TestRedisError::Exited(status, log()));
            }
            if Instant::now() > end {
                return Err(TestRedisError::TimedOut(log()));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops the server at its next instruction.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// The id is still that of the server: the child is reaped on drop only.
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .expect("a process may send signals to its child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ends a frozen process as well.
        let _ = self.child.kill();
        let end = Instant::now() + KILL_TIMEOUT;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > end {
                return;
            }
            sleep(Duration::from_millis(1));
        }
        // From now on the id may be that of another process.
        let _ = self.watchdog.write_all(b"\n");
    }
}

/// Path of the first server binary in the folders of `path`.
fn find_server(path: Option<OsString>) -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&path?).collect();
    let candidates = ["redis-server", "valkey-server"]
        .into_iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|file| file.is_file())
}

/// Whether a server replies on this socket, and has loaded its data. An error counts as a
/// reply, e.g. that a password is required.
fn is_ready(socket: &Path) -> bool {
    let reply = ping(socket).unwrap_or_default();
    !reply.is_empty() && !reply.starts_with(b"-LOADING")
}

/// The beginning of the reply to a `PING`.
fn ping(socket: &Path) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PING_TIMEOUT))?;
    stream.write_all(b"PING\r\n")?;
    let mut reply = vec![0; 64];
    let length = stream.read(&mut reply)?;
    reply.truncate(length);
    Ok(reply)
}
