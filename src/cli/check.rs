//! `hitrate check` — health of the dependencies, or readiness of a running hitrate.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, Client, HealthMonitor},
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
    demo::db::{Db, DbError},
    format,
    ops::managed_redis,
};

/// Time after which a dependency counts as unhealthy.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum length of the running hitrate's response, in bytes.
const RESPONSE_MAX: u64 = 16 * 1024;

/// Checks Redis and the database without changing either.
pub async fn dependencies(config: &Config) -> ExitCode {
    let started = Instant::now();
    let redis = report("Redis", redis(config).await, started);
    let started = Instant::now();
    let database = report("Database", database(config).await, started);
    exit_code(redis && database)
}

fn report(name: &str, result: Result<String, impl Display>, started: Instant) -> bool {
    let took = format::time(&micros(started.elapsed()));
    match &result {
        Ok(details) => println!("✅ {name} is healthy ({details}, {took})"),
        Err(error) => println!("❌ {name} connection failed: {error}"),
    }
    result.is_ok()
}

async fn redis(config: &Config) -> Result<String, ToolError> {
    let address = match config.redis() {
        Some(url) => Address::parse(&url)?,
        None if managed_redis::is_running(&config.data_dir) => {
            Address::unix(&managed_redis::socket(&config.data_dir)?)
        }
        None => {
            let dir = config.data_dir.display();
            let message = format!("no hitrate is running in the data directory {dir}");
            return Err(ToolError::Message(message));
        }
    };
    let store = Client::open(&address, &config.key_prefix, &Arc::new(HealthMonitor::default()));
    store.ready(TIMEOUT).await?;
    let info = store.info().await?;
    Ok(format!("{} {} at {address}", info.server, info.version))
}

async fn database(config: &Config) -> Result<String, DbError> {
    let db = Db::open_read_only(&config.database(), Counter::default()).await?;
    db.ping().await?;
    Ok(config.database())
}

#[derive(Deserialize)]
struct Readiness {
    redis: String,
    database: String,
}

/// Requests `/readyz` of the running hitrate, as a load balancer does.
pub async fn ready(config: &Config) -> ExitCode {
    let address = reachable(config.bind);
    let response = timeout(TIMEOUT, request_readiness(address)).await;
    let readiness = response.ok().and_then(Result::ok).and_then(|response| parse(&response));
    let Some((is_ready, Readiness { redis, database })) = readiness else {
        println!("❌ hitrate does not respond at http://{address}");
        return ExitCode::FAILURE;
    };
    match is_ready {
        true => println!("✅ hitrate is ready at http://{address}"),
        false => println!("❌ hitrate is not ready at http://{address}"),
    }
    println!("{} Redis is {redis}", mark(redis == "up"));
    println!("{} Database is {database}", mark(database == "up"));
    exit_code(is_ready)
}

fn mark(is_ok: bool) -> &'static str {
    if is_ok { "✅" } else { "❌" }
}

fn exit_code(is_ok: bool) -> ExitCode {
    if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The address to connect to: loopback if hitrate listens on all addresses.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

async fn request_readiness(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.take(RESPONSE_MAX).read_to_string(&mut response).await?;
    Ok(response)
}

/// Parses an HTTP response: whether the status is 200, and the body.
fn parse(response: &str) -> Option<(bool, Readiness)> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    Some((status == "200", serde_json::from_str(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_parsed() {
        let response = "HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{\"redis\":\"up\",\"database\":\"down\"}";
        let (is_ready, readiness) = parse(response).unwrap();
        assert!(!is_ready && readiness.redis == "up" && readiness.database == "down");
        assert!(parse("nonsense").is_none());
    }
}
