//! The cache in an axum handler.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{error::Error, io, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use hitrate_cache::{Cache, CachePolicy, Namespace, test_util::TestRedis};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Stands for a query of your database.
async fn find_name(id: u64) -> Result<Option<String>, io::Error> {
    Ok((id == 7).then(|| "Ada".to_owned()))
}

async fn show(
    State(names): State<Namespace<String>>,
    Path(id): Path<u64>,
) -> Result<String, StatusCode> {
    match names.get(id, find_name(id)).await {
        Ok(name) => name.map(|name| format!("{name}\n")).ok_or(StatusCode::NOT_FOUND),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    let names = cache.namespace::<String>("name", CachePolicy::ttl(Duration::from_secs(300)));
    let app = Router::new().route("/names/{id}", get(show)).with_state(names.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /names/7 HTTP/1.0\r\n\r\n").await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    println!("{}", reply.lines().last().unwrap_or_default());
    println!("the handler has filled the cache: {}", names.peek(7).await.is_some());
    serving.abort();
    Ok(())
}
