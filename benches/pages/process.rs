//! The servers as processes, and what each of them costs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::Result;

/// How long a server may take to start.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A running server, killed with this.
pub struct Server {
    child: Child,
    /// Where it listens, if that is TCP.
    pub address: SocketAddr,
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(pub u64);

impl Memory {
    /// In millions of bytes.
    pub fn megabytes(self) -> f64 {
        self.0 as f64 * 1_024.0 / 1e6
    }
}

/// The URL of the Redis in `dir`.
pub fn socket(dir: &Path) -> String {
    format!("redis+unix://{}", path_of_socket(dir).display())
}

fn path_of_socket(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

impl Server {
    /// One that keeps nothing on disk, on a socket in `dir`.
    pub fn redis(dir: &Path) -> Result<Self> {
        let path = path_of_socket(dir);
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(&path).current_dir(dir).stdout(Stdio::null());
        let server = Self { child: command.spawn()?, address: nowhere() };
        server.wait(|| UnixStream::connect(&path).is_ok())?;
        Ok(server)
    }

    /// The program itself, with everything it does for safety.
    pub fn hitrate(program: &Path, dir: &Path, redis: &str) -> Result<Self> {
        let address = free()?;
        let mut command = Command::new(program);
        command
            .env("HITRATE_BIND", address.to_string())
            .env("HITRATE_DATA_DIR", dir)
            .env("HITRATE_DATABASE_DELAY", "0")
            // Longer than any measurement: what is measured is a hit.
            .env("HITRATE_PRODUCT_TTL", "24h")
            .env("HITRATE_PROFILE_TTL", "24h")
            .env("REDIS_URL", redis)
            .env("RUST_LOG", "warn");
        let server = Self { child: command.spawn()?, address };
        server.wait(|| TcpStream::connect(address).is_ok())?;
        Ok(server)
    }

    /// One of the bare baselines: this program, started anew.
    pub fn bare(pages: &Path, redis: Option<&str>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare").arg(pages);
        if let Some(redis) = redis {
            command.args(["--redis", redis]);
        }
        Self::said(command)
    }

    /// The package `benches/by_hand`, on hitrate's database in `dir`.
    pub fn by_hand(program: &Path, dir: &Path, redis: &str) -> Result<Self> {
        if !program.is_file() {
            return Err(format!("{} is not there: bin/bench builds it", program.display()).into());
        }
        let mut command = Command::new(program);
        command.arg(redis).arg(format!("sqlite://{}", dir.join("hitrate.db").display()));
        Self::said(command)
    }

    /// One that prints its address first.
    fn said(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().ok_or("a baseline says where it is")?;
        BufReader::new(said).read_line(&mut line)?;
        let server = Self { child, address: line.trim().parse()? };
        server.wait(|| TcpStream::connect(server.address).is_ok())?;
        Ok(server)
    }

    /// The time its threads have run, in and outside the kernel: by the scheduler's
    /// books, which are exact where those of the process count in ticks. A thread
    /// that ended is in them no more; a server's don't end while it is measured.
    pub fn cpu(&self) -> Result<Duration> {
        let mut all = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanos =
                stat.split_whitespace().next().ok_or("the kernel keeps no books of a thread")?;
            all += Duration::from_nanos(nanos.parse()?);
        }
        Ok(all)
    }

    /// The memory it holds.
    pub fn memory(&self) -> Result<Memory> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(Memory(kib.ok_or("a running process has memory")?.parse()?))
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    fn wait(&self, is_there: impl Fn() -> bool) -> Result<()> {
        let end = Instant::now() + TIMEOUT;
        while !is_there() {
            if Instant::now() > end {
                return Err("a server did not start".into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on just now.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind(nowhere())?.local_addr()?)
}

fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
