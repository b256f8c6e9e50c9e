//! The servers as processes, with their CPU time and memory.

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

/// Timeout for the start of a server.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server, killed on drop.
pub struct Server {
    child: Child,
    /// The TCP address; unused for Redis, which listens on a Unix socket only.
    pub address: SocketAddr,
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(pub u64);

impl Memory {
    /// The size in megabytes (10⁶ bytes).
    pub fn megabytes(self) -> f64 {
        self.0 as f64 * 1_024.0 / 1e6
    }
}

/// The URL of the Redis in `dir`.
pub fn socket(dir: &Path) -> String {
    format!("redis+unix://{}", socket_path(dir).display())
}

fn socket_path(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

impl Server {
    /// A Redis server without persistence, on a Unix socket in `dir`.
    pub fn redis(dir: &Path) -> Result<Self> {
        let path = socket_path(dir);
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(&path).current_dir(dir).stdout(Stdio::null());
        let server = Self { child: command.spawn()?, address: any_port() };
        server.wait(|| UnixStream::connect(&path).is_ok())?;
        Ok(server)
    }

    /// A hitrate server with default settings, except for latency and TTLs.
    pub fn hitrate(program: &Path, dir: &Path, redis: &str) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .env("HITRATE_BIND", address.to_string())
            .env("HITRATE_DATA_DIR", dir)
            .env("HITRATE_DATABASE_DELAY", "0")
            // Longer than any measurement, so that only hits are measured.
            .env("HITRATE_PRODUCT_TTL", "24h")
            .env("HITRATE_PROFILE_TTL", "24h")
            .env("REDIS_URL", redis)
            .env("RUST_LOG", "warn");
        let server = Self { child: command.spawn()?, address };
        server.wait(|| TcpStream::connect(address).is_ok())?;
        Ok(server)
    }

    /// A bare baseline: this program in another process, with `--bare`.
    pub fn bare(pages: &Path, redis: Option<&str>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare").arg(pages);
        if let Some(redis) = redis {
            command.args(["--redis", redis]);
        }
        Self::with_printed_address(command)
    }

    /// The server of `benches/by_hand`, on hitrate's database in `dir`.
    pub fn by_hand(program: &Path, dir: &Path, redis: &str) -> Result<Self> {
        if !program.is_file() {
            return Err(format!("{} does not exist; bin/bench builds it", program.display()).into());
        }
        let mut command = Command::new(program);
        command.arg(redis).arg(format!("sqlite://{}", dir.join("hitrate.db").display()));
        Self::with_printed_address(command)
    }

    /// Starts a server that prints its address as its first line.
    fn with_printed_address(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("a baseline prints its address")?;
        BufReader::new(output).read_line(&mut line)?;
        let server = Self { child, address: line.trim().parse()? };
        server.wait(|| TcpStream::connect(server.address).is_ok())?;
        Ok(server)
    }

    /// CPU time of all threads, user and system, from the scheduler's statistics:
    /// these are exact, while those of the process count in ticks. Terminated threads
    /// are not included; no server ends a thread during a measurement.
    pub fn cpu(&self) -> Result<Duration> {
        let mut all = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanos =
                stat.split_whitespace().next().ok_or("the kernel has no schedstat of a thread")?;
            all += Duration::from_nanos(nanos.parse()?);
        }
        Ok(all)
    }

    /// Resident memory.
    pub fn memory(&self) -> Result<Memory> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(Memory(kib.ok_or("a running process has memory")?.parse()?))
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    fn wait(&self, is_ready: impl Fn() -> bool) -> Result<()> {
        let end = Instant::now() + START_TIMEOUT;
        while !is_ready() {
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

/// A free TCP address.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(any_port())?.local_addr()?)
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
