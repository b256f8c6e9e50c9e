//! Two child processes with an instance each, which miss the same key at once.

use std::{iter::repeat_n, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    Result, contestants,
    origin::Origin,
    stage::{SETTINGS, crowd},
    trials::{CALLERS, LOAD_TIME},
};

/// The first argument that makes this program a worker.
pub const ARGUMENT: &str = "worker";
const TIMEOUT: Duration = Duration::from_secs(15);
/// Rows that the workers ask for: one to warm the connection, and the one of the trial.
const WARM_ID: u64 = 0;
const ID: u64 = 1;

/// Runs two workers and returns the number of their loads.
pub async fn run_two(contestant: &str, url: &str) -> Result<usize> {
    let mut one = Worker::start(contestant, url).await?;
    let mut other = Worker::start(contestant, url).await?;
    one.go().await?;
    other.go().await?;
    Ok(one.line().await?.parse::<usize>()? + other.line().await?.parse::<usize>()?)
}

/// A worker's side: connects, waits for a line, calls, and prints the number of loads.
pub async fn work(contestant: &str, url: String) -> Result<()> {
    let contestant = contestants::named(contestant).ok_or("no such contestant")?;
    let instance = (contestant.connect)(url, SETTINGS).await?;
    instance.get(WARM_ID, &Origin::new(Duration::ZERO)).await?;
    println!("ready");
    let mut line = String::new();
    timeout(TIMEOUT, BufReader::new(tokio::io::stdin()).read_line(&mut line)).await??;
    let origin = Origin::new(LOAD_TIME);
    crowd(&instance, repeat_n(ID, CALLERS), &origin, TIMEOUT).await?;
    println!("{}", origin.loads());
    Ok(())
}

/// A running worker, killed on drop.
struct Worker {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts a worker and waits until it is connected.
    async fn start(contestant: &str, url: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([ARGUMENT, contestant, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no pipe")?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        let mut worker = Self { _child: child, stdin, stdout };
        worker.line().await?;
        Ok(worker)
    }

    async fn go(&mut self) -> Result<()> {
        Ok(self.stdin.write_all(b"go\n").await?)
    }

    async fn line(&mut self) -> Result<String> {
        let line = timeout(TIMEOUT, self.stdout.next_line()).await??;
        line.ok_or_else(|| "a worker ended early".into())
    }
}
