//! `hitrate check` — how each dependency is.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, Health, Store},
    time::micros,
};
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::tools::ToolError;
use crate::{
    config::Config,
    demo::db::{self, Db},
    format,
    ops::managed_redis,
};

/// A dependency that takes longer is not healthy.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer that is read from the running hitrate, in bytes.
const ANSWER_MAX: u64 = 16 * 1024;

/// Asks Redis and the database, and changes neither.
pub async fn dependencies(config: &Config) -> ExitCode {
    let started = Instant::now();
    let redis = line("Redis", redis(config).await, started);
    let started = Instant::now();
    let database = line("Database", database(config).await, started);
    code(redis && database)
}

fn line(name: &str, outcome: Result<String, impl Display>, started: Instant) -> bool {
    let took = format::time(&micros(started.elapsed()));
    match &outcome {
        Ok(what) => println!("✅ {name} is healthy ({what}, {took})"),
        Err(error) => println!("❌ {name} connection failed: {error}"),
    }
    outcome.is_ok()
}

async fn redis(config: &Config) -> Result<String, ToolError> {
    let address = match config.redis() {
        Some(url) => Address::parse(&url)?,
        None if managed_redis::is_running(&config.data_dir) => {
            Address::unix(&managed_redis::socket(&config.data_dir)?)
        }
        None => {
            let place = config.data_dir.display();
            return Err(ToolError::Told(format!("no hitrate runs on the data directory {place}")));
        }
    };
    let store = Store::open(&address, &config.key_prefix, &Arc::new(Health::default()));
    store.ready(TIMEOUT).await?;
    let info = store.info().await?;
    Ok(format!("{} {} at {address}", info.server, info.version))
}

async fn database(config: &Config) -> Result<String, db::Error> {
    let db = Db::look_at(&config.database(), Counter::default()).await?;
    db.ping().await?;
    Ok(config.database())
}

#[derive(Deserialize)]
struct Readiness {
    redis: String,
    database: String,
}

/// Asks the running hitrate, the way a load balancer does.
pub async fn ready(config: &Config) -> ExitCode {
    let address = reachable(config.bind);
    let answer = timeout(TIMEOUT, ask(address)).await;
    let readiness = answer.ok().and_then(Result::ok).and_then(|answer| read(&answer));
    let Some((serves, Readiness { redis, database })) = readiness else {
        println!("❌ hitrate does not answer at http://{address}");
        return ExitCode::FAILURE;
    };
    println!("{} hitrate serves at http://{address}", sign(serves));
    println!("{} Redis is {redis}", sign(redis == "up"));
    println!("{} Database is {database}", sign(database == "up"));
    code(serves)
}

fn sign(good: bool) -> &'static str {
    if good { "✅" } else { "❌" }
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A server that listens on every address is asked on its own machine's.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Whether the status is 200, and what the JSON says.
fn read(answer: &str) -> Option<(bool, Readiness)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    Some((status == "200", serde_json::from_str(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{\"redis\":\"up\",\"database\":\"down\"}";
        let (serves, readiness) = read(answer).unwrap();
        assert!(!serves && readiness.redis == "up" && readiness.database == "down");
        assert!(read("nonsense").is_none());
    }
}
