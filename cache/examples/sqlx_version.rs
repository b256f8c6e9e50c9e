//! A version column, with sqlx and SQLite: an old row is refused wherever it comes from.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{error::Error, time::Duration};

use hitrate_cache::{Cache, CachePolicy, OnWrite, Versioned, test_util::TestRedis};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};

const CREATE: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, version INTEGER)";
const FIND: &str = "SELECT name, version FROM users WHERE id = ?";
const RENAME: &str =
    "UPDATE users SET name = ?, version = version + 1 WHERE id = ? RETURNING name, version";

type Row = Option<(String, i64)>;

fn versioned(row: Row) -> Option<Versioned<String>> {
    row.map(|(value, version)| Versioned { value, version: version.unsigned_abs() })
}

async fn find(db: SqlitePool, id: i64) -> Result<Option<Versioned<String>>, sqlx::Error> {
    sqlx::query_as(FIND).bind(id).fetch_optional(&db).await.map(versioned)
}

async fn rename(
    db: SqlitePool,
    id: i64,
    name: &'static str,
) -> Result<Option<Versioned<String>>, sqlx::Error> {
    sqlx::query_as(RENAME).bind(name).bind(id).fetch_optional(&db).await.map(versioned)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One connection, as each would have a database of its own in memory.
    let db = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query(CREATE).execute(&db).await?;
    sqlx::query("INSERT INTO users VALUES (7, 'Ada', 1)").execute(&db).await?;
    let redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    let policy = CachePolicy::ttl(Duration::from_secs(300));
    let names = cache.namespace::<String>("name", policy);

    let old = find(db.clone(), 7).await?;
    names.get(7, find(db.clone(), 7)).await?;
    let written = names.write(7, rename(db.clone(), 7, "Grace")).await?;
    println!("version {:?} is in the database: {:?}", written.version, written.effect);

    // A replica that lags still has the row from before the write.
    let lagging = names.lookup(7, async { Ok::<_, sqlx::Error>(old) }).await?;
    println!("version {:?} from a replica: {:?}", lagging.version, lagging.fill);

    let storing = names.with(policy.on_write(OnWrite::Store));
    storing.write(7, rename(db.clone(), 7, "Barbara")).await?;
    let lookup = names.lookup(7, find(db, 7)).await?;
    println!("{:?}, version {:?}, from {:?}", lookup.value, lookup.version, lookup.source);
    Ok(())
}
