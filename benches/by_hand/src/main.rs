//! A typical implementation of three pages on Redis: axum, askama, one redis-rs
//! `ConnectionManager`, and a cache-aside function. It has no protection against
//! stampedes, a slow Redis or late fills.
//!
//!     by-hand REDIS_URL DATABASE_URL

mod cache;
mod pages;

use std::{error::Error, sync::Arc};

use axum::{Router, routing::get, serve::ListenerExt as _};
use redis::aio::ConnectionManager;
use sqlx::SqlitePool;
use tokio::net::TcpListener;

/// Application state.
#[derive(Clone)]
struct App {
    redis: ConnectionManager,
    db: SqlitePool,
    /// Ids that the profile page lists.
    known_ids: Arc<Vec<String>>,
}

/// Serves on a free port, which it prints, until it is killed.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(redis), Some(database)) = (args.next(), args.next()) else {
        return Err("usage: by-hand REDIS_URL DATABASE_URL".into());
    };
    let redis = redis::Client::open(redis)?.get_connection_manager().await?;
    let db = SqlitePool::connect(&database).await?;
    let ids = "SELECT user_id FROM profiles ORDER BY user_id LIMIT 24";
    let known_ids = Arc::new(sqlx::query_scalar(ids).fetch_all(&db).await?);
    let app = App { redis, db, known_ids };
    let router = Router::new()
        .route("/", get(pages::home))
        .route("/product/{id}", get(pages::product))
        .route("/profiles", get(pages::profile))
        .with_state(app);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}
