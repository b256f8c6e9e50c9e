//! The SQL database, the system of record behind the cache. All SQL is in this module.
//!
//! SQLite serializes writes, so writers share one connection and readers have a pool:
//! a writer that waits for a lock never blocks a reader. sqlx's `Any` driver, `$1`
//! placeholders and plain types keep the SQL portable to PostgreSQL; only SQLite is
//! compiled in.

mod error;
pub mod import;
mod products;
mod profiles;

use std::{
    borrow::Cow,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    condition::Condition,
    trace::{RoundTrip, Target, Trace},
};
use prometheus_client::metrics::counter::Counter;
use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, SqlSafeStr,
    any::{AnyPoolOptions, install_default_drivers},
    migrate::{Migration, MigrationType, Migrator},
};
use tokio::time::{sleep, timeout};

pub use self::{
    error::DbError,
    profiles::{EditResult, QueuedEdit},
};

/// Deadline of a read, including the wait for a connection. A read takes microseconds
/// unless another program locks the file.
const READ_TIMEOUT: Duration = Duration::from_millis(400);
/// SQLite's `busy_timeout`. It is shorter than [`READ_TIMEOUT`], so that the error is
/// "locked" and not "timed out".
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);
/// Wait for the write connection. Together with [`BUSY_TIMEOUT`] it is as long as
/// [`READ_TIMEOUT`].
const WRITER_TIMEOUT: Duration = Duration::from_millis(150);
/// Timeout of bulk work and of the start, when no visitor is waiting.
const BULK_TIMEOUT: Duration = Duration::from_secs(5);
/// Size of the pool for reads. SQLite reads in parallel, and statements are short.
const READ_CONNECTIONS: u32 = 4;

/// Handle to the database. Clones share the connections.
#[derive(Clone)]
pub struct Db {
    pool: AnyPool,
    /// Pool of one connection.
    writers: AnyPool,
    read_only_url: String,
    timeout: Duration,
    queries: Counter,
    conditions: Arc<Conditions>,
}

/// Conditions of the database; the log records their changes.
struct Conditions {
    reads: Condition<DbError>,
    writes: Condition<DbError>,
    opening: Condition<DbError>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            reads: Condition::healthy("Database reads"),
            writes: Condition::healthy("Database writes"),
            opening: Condition::healthy("Database file (not ready)"),
        }
    }
}

/// A statement to run, and its text in the trace.
struct Statement<'a> {
    sql: &'static str,
    /// Bound values, for display only.
    values: &'a str,
    is_write: bool,
    /// Whether the statement counts as a database query in the metrics.
    is_counted: bool,
    /// Simulated latency before the statement, so that it reads current data.
    delay: Duration,
}

impl<'a> Statement<'a> {
    fn read(sql: &'static str, values: &'a str) -> Self {
        Self { sql, values, is_write: false, is_counted: true, delay: Duration::ZERO }
    }

    fn write(sql: &'static str, values: &'a str) -> Self {
        Self { is_write: true, ..Self::read(sql, values) }
    }
}

impl Db {
    /// Opens the database for requests, with short timeouts, and runs the migrations.
    pub async fn open(url: &str, queries: Counter) -> Result<Self, DbError> {
        Self::open_with(url, queries, BUSY_TIMEOUT, READ_TIMEOUT).await
    }

    /// Opens the database for bulk work, with long timeouts, and runs the migrations.
    pub async fn open_for_bulk(url: &str, queries: Counter) -> Result<Self, DbError> {
        Self::open_with(url, queries, BULK_TIMEOUT, BULK_TIMEOUT * 4).await
    }

    /// Opens an existing database read-only.
    pub async fn open_read_only(url: &str, queries: Counter) -> Result<Self, DbError> {
        let url = read_only(url);
        install_default_drivers();
        let pool = connect(&url, BUSY_TIMEOUT, BUSY_TIMEOUT, 1).await?;
        Ok(Self::on(pool.clone(), pool, url, READ_TIMEOUT, queries))
    }

    async fn open_with(
        url: &str,
        queries: Counter,
        busy: Duration,
        timeout: Duration,
    ) -> Result<Self, DbError> {
        let url = file_url(url)?;
        install_default_drivers();
        migrate(&url).await?;
        let pool = connect_with_retry(&url, busy, busy, READ_CONNECTIONS).await?;
        let acquire = if busy == BUSY_TIMEOUT { WRITER_TIMEOUT } else { busy };
        let writers = connect_with_retry(&url, busy, acquire, 1).await?;
        Ok(Self::on(pool, writers, read_only(&url), timeout, queries))
    }

    fn on(
        pool: AnyPool,
        writers: AnyPool,
        read_only_url: String,
        timeout: Duration,
        queries: Counter,
    ) -> Self {
        Self { pool, writers, read_only_url, timeout, queries, conditions: Arc::default() }
    }

    /// Checks that the database can be opened and read. Uses a new connection, because
    /// an open one may keep answering from memory after the file is gone. Not counted
    /// as a query.
    pub async fn ping(&self) -> Result<(), DbError> {
        let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM profiles LIMIT 1) AS one";
        let run = async {
            let mut connection = AnyConnection::connect(&self.read_only_url).await?;
            let _: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            connection.close().await
        };
        let result = timeout(self.timeout, run).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let result = result.map_err(|error| DbError::from(&error));
        update_condition(&self.conditions.opening, &result);
        result
    }

    /// Runs one statement after its simulated latency and within the deadline; updates
    /// the query counter, the condition and the trace.
    async fn run<T>(
        &self,
        statement: Statement<'_>,
        trace: &Trace,
        query: impl Future<Output = Result<T, sqlx::Error>>,
        show_reply: impl FnOnce(&T) -> String,
    ) -> Result<T, DbError> {
        let sent = Instant::now();
        if !statement.delay.is_zero() {
            sleep(statement.delay).await;
        }
        let simulated = sent.elapsed();
        if statement.is_counted {
            self.queries.inc();
        }
        // SQLite completes a write even if nobody waits for it. Writes therefore have no
        // deadline here, and callers set theirs.
        let result = match statement.is_write {
            true => query.await,
            false => timeout(self.timeout, query).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)),
        };
        let result = result.map_err(|error| DbError::from(&error));
        let Conditions { reads, writes, .. } = &*self.conditions;
        update_condition(if statement.is_write { writes } else { reads }, &result);
        let simulated = if statement.delay.is_zero() { Duration::ZERO } else { simulated };
        trace.record(
            RoundTrip { target: Target::Database, sent, took: sent.elapsed(), simulated },
            || {
                let reply =
                    result.as_ref().map_or_else(|error| format!("(error) {error}"), show_reply);
                vec![(format!("{}{}", statement.sql, statement.values), reply)]
            },
        );
        result
    }

    /// Runs `work` in one transaction and returns after the commit. All writes go through
    /// this method: a statement with RETURNING yields its row before SQLite commits, so
    /// without a transaction an error of the commit (disk full, quota, I/O) would be lost.
    async fn commit<T>(
        &self,
        work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut connection = self.writers.acquire().await?;
        let result = commit_on(&mut connection, work).await;
        if result.is_err() {
            // SQLite may have rolled back already (sqlite.org/lang_transaction.html, 3.2).
            // sqlx does not notice and would open savepoints in a transaction that no
            // longer exists, so the connection is closed.
            connection.close_on_drop();
        }
        result
    }
}

async fn commit_on<T>(
    connection: &mut AnyConnection,
    work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let value = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(value)
}

fn update_condition<T>(condition: &Condition<DbError>, result: &Result<T, DbError>) {
    match result {
        Ok(_) => condition.recovered(),
        Err(error) => condition.failing(error),
    }
}

/// The URL with SQLite's option to create the file. Creates its directory.
fn file_url(url: &str) -> Result<String, DbError> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Err(DbError::Unsupported);
    };
    let path = rest.trim_start_matches("//").split('?').next().unwrap_or_default();
    if path.is_empty() || path.contains(":memory:") {
        return Err(DbError::Unsupported);
    }
    if let Some(parent) = Path::new(path).parent() {
        fs::create_dir_all(parent).map_err(|error| DbError::Unusable(error.to_string()))?;
    }
    Ok(match (url.contains("mode="), url.contains('?')) {
        (true, _) => url.to_owned(),
        (false, true) => format!("{url}&mode=rwc"),
        (false, false) => format!("{url}?mode=rwc"),
    })
}

fn read_only(url: &str) -> String {
    format!("{}?mode=ro", url.split('?').next().unwrap_or_default())
}

/// [`connect`], repeated after timeouts for up to [`BULK_TIMEOUT`]: the timeouts of
/// requests are too short for a start on a busy machine.
async fn connect_with_retry(
    url: &str,
    busy: Duration,
    acquire: Duration,
    max: u32,
) -> Result<AnyPool, DbError> {
    let end = Instant::now() + BULK_TIMEOUT;
    loop {
        match connect(url, busy, acquire, max).await {
            Err(DbError::TimedOut) if Instant::now() < end => (),
            result => return result,
        }
    }
}

/// Opens a pool of up to `max` connections. A statement waits up to `busy` for a lock, and
/// up to `acquire` for a connection.
async fn connect(
    url: &str,
    busy: Duration,
    acquire: Duration,
    max: u32,
) -> Result<AnyPool, DbError> {
    // With synchronous = FULL an acknowledged edit survives a power failure.
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON;",
        busy.as_millis()
    );
    let pragmas = sqlx::AssertSqlSafe(pragmas).into_sql_str();
    AnyPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(acquire)
        .after_connect(move |connection, _| {
            let pragmas = pragmas.clone();
            Box::pin(async move { connection.execute(pragmas).await.map(|_| ()) })
        })
        .connect(url)
        .await
        .map_err(|error| match DbError::from(&error) {
            DbError::Other(_) => DbError::Unusable(error.to_string()),
            known => known,
        })
}

/// Runs the embedded migrations on a separate connection with a long timeout.
async fn migrate(url: &str) -> Result<(), DbError> {
    let migration = |version, name: &'static str, sql: &'static str| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    let migrator = Migrator::with_migrations(vec![
        migration(1, "profiles", include_str!("migrations/0001_profiles.sql")),
        migration(2, "products", include_str!("migrations/0002_products.sql")),
        migration(3, "stamps", include_str!("migrations/0003_stamps.sql")),
    ]);
    let pool = connect(url, BULK_TIMEOUT, BULK_TIMEOUT, 1).await?;
    let result = migrator.run(&pool).await;
    pool.close().await;
    result.map_err(|error| DbError::Unusable(error.to_string()))
}

/// `($1, $2), ($3, $4)`: `rows` groups of `columns` placeholders.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = |r: usize| {
        let names: Vec<_> = (1..=columns).map(|c| format!("${}", r * columns + c)).collect();
        format!("({})", names.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_across_rows() {
        assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
    }

    #[test]
    fn only_sqlite_files_are_supported() {
        for bad in ["postgres://localhost/x", "sqlite::memory:", "sqlite://", "nonsense"] {
            assert_eq!(file_url(bad).unwrap_err(), DbError::Unsupported, "{bad}");
        }
        assert_eq!(file_url("sqlite://a.db").unwrap(), "sqlite://a.db?mode=rwc");
        assert_eq!(file_url("sqlite://a.db?mode=ro").unwrap(), "sqlite://a.db?mode=ro");
    }
}
