//! The cache in an actix-web handler, with a connection of its own for each worker.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{error::Error, io, net::SocketAddr, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, error::ErrorInternalServerError, web};
use hitrate_cache::{Cache, CachePolicy, Namespace, test_util::TestRedis};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Stands for a query of your database.
async fn find_name(id: u64) -> Result<Option<String>, io::Error> {
    Ok((id == 7).then(|| "Ada".to_owned()))
}

async fn show(
    names: web::Data<Namespace<String>>,
    id: web::Path<u64>,
) -> actix_web::Result<HttpResponse> {
    let id = id.into_inner();
    let lookup = names.lookup(id, find_name(id)).await.map_err(ErrorInternalServerError)?;
    let mut reply = match lookup.value {
        Some(_) => HttpResponse::Ok(),
        None => HttpResponse::NotFound(),
    };
    reply.insert_header(("cache-status", lookup.cache_status("example")));
    Ok(reply.body(lookup.value.map_or_else(String::new, |name| String::clone(&name))))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    let policy = CachePolicy::ttl(Duration::from_secs(300));

    // The closure runs once in each worker: its runtime drives the worker's connection.
    let server = HttpServer::new(move || {
        let names = cache.with_own_connection().namespace::<String>("name", policy);
        App::new().app_data(web::Data::new(names)).route("/names/{id}", web::get().to(show))
    });
    let server = server.workers(2).disable_signals().bind("127.0.0.1:0")?;
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = tokio::spawn(server);

    for path in ["/names/7", "/names/7", "/names/8"] {
        println!("{}", get(address, path).await?);
    }
    handle.stop(false).await;
    Ok(serving.await??)
}

/// The reply's first line, its Cache-Status and its body.
async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    let is_shown = |line: &&str| !line.contains(": ") || line.starts_with("cache-status");
    Ok(reply.lines().filter(is_shown).collect::<Vec<_>>().join(" "))
}
