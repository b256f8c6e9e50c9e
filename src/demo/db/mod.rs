//! The one door to the SQL database, the origin of everything that is cached.
//!
//! SQLite has a pool for readers and one connection for writers: it writes one
//! after the other anyway, and writers who wait for a lock keep no reader waiting.
//! sqlx's `Any` driver, `$1` placeholders and plain types let one text of SQL serve
//! SQLite and PostgreSQL; only SQLite is built in.

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
    error::Error,
    profiles::{CaughtUp, Late},
};

/// How long a statement may take, the wait for a connection included. It is
/// answered in microseconds unless somebody holds the file.
const DEADLINE: Duration = Duration::from_millis(400);
/// How long SQLite itself waits for another writer: less than [`DEADLINE`],
/// so that the answer says "locked" and not "slow".
const BUSY: Duration = Duration::from_millis(250);
/// How long a writer waits for the one connection that writes: with [`BUSY`]
/// together as long as a read may take.
const TURN: Duration = Duration::from_millis(150);
/// Bulk work and the start have no visitor waiting.
const PATIENT: Duration = Duration::from_secs(5);
/// Connections. SQLite reads in parallel; a few serve many short statements.
const CONNECTIONS: u32 = 4;

/// A handle to the database. Clones use the same connections.
#[derive(Clone)]
pub struct Db {
    pool: AnyPool,
    /// One connection: SQLite writes one after the other, and writers who wait
    /// for a lock shall not keep readers waiting.
    writers: AnyPool,
    read_only_url: String,
    timeout: Duration,
    queries: Counter,
    moods: Arc<Moods>,
}

/// What the log knows of the database.
struct Moods {
    reads: Condition<Error>,
    writes: Condition<Error>,
    opening: Condition<Error>,
}

impl Default for Moods {
    fn default() -> Self {
        Self {
            reads: Condition::healthy("Database reads"),
            writes: Condition::healthy("Database writes"),
            opening: Condition::healthy("Database file (not ready)"),
        }
    }
}

/// A statement that is about to run, as the trace will show it.
struct Statement<'a> {
    sql: &'static str,
    /// Bound values, for the eye.
    values: &'a str,
    writes: bool,
    /// Whether it is one of the queries that a cache is there to avoid.
    counts: bool,
    /// Simulated latency, waited before the statement: what it then reads is fresh.
    delay: Duration,
}

impl<'a> Statement<'a> {
    fn read(sql: &'static str, values: &'a str) -> Self {
        Self { sql, values, writes: false, counts: true, delay: Duration::ZERO }
    }

    fn write(sql: &'static str, values: &'a str) -> Self {
        Self { writes: true, ..Self::read(sql, values) }
    }
}

impl Db {
    /// Opens the database for visitors, who don't wait for locks, and brings
    /// its tables up to date.
    pub async fn open(url: &str, queries: Counter) -> Result<Self, Error> {
        Self::open_with(url, queries, BUSY, DEADLINE).await
    }

    /// Opens the database for bulk work, which waits its turn.
    pub async fn open_patiently(url: &str, queries: Counter) -> Result<Self, Error> {
        Self::open_with(url, queries, PATIENT, PATIENT * 4).await
    }

    /// Opens the database as it is; creates and changes nothing.
    pub async fn look_at(url: &str, queries: Counter) -> Result<Self, Error> {
        let url = read_only(url);
        install_default_drivers();
        let pool = connect(&url, BUSY, BUSY, 1).await?;
        Ok(Self::on(pool.clone(), pool, url, DEADLINE, queries))
    }

    async fn open_with(
        url: &str,
        queries: Counter,
        busy: Duration,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let url = file_url(url)?;
        install_default_drivers();
        migrate(&url).await?;
        let pool = connect_patiently(&url, busy, busy, CONNECTIONS).await?;
        let turn = if busy == BUSY { TURN } else { busy };
        let writers = connect_patiently(&url, busy, turn, 1).await?;
        Ok(Self::on(pool, writers, read_only(&url), timeout, queries))
    }

    fn on(
        pool: AnyPool,
        writers: AnyPool,
        read_only_url: String,
        timeout: Duration,
        queries: Counter,
    ) -> Self {
        Self { pool, writers, read_only_url, timeout, queries, moods: Arc::default() }
    }

    /// Whether the database can be opened and read now. By a connection of its
    /// own: an open one may answer from memory long after its file is gone.
    /// Not counted among the queries: no visitor asked for it.
    pub async fn ping(&self) -> Result<(), Error> {
        let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM profiles LIMIT 1) AS one";
        let run = async {
            let mut connection = AnyConnection::connect(&self.read_only_url).await?;
            let _: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            connection.close().await
        };
        let answer = timeout(self.timeout, run).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let answer = answer.map_err(|error| Error::from(&error));
        noted(&self.moods.opening, &answer);
        answer
    }

    /// Runs one statement: waits the simulated latency, counts it, holds it to
    /// the deadline, remembers how the database is doing, and records it.
    async fn run<T>(
        &self,
        statement: Statement<'_>,
        trace: &Trace,
        query: impl Future<Output = Result<T, sqlx::Error>>,
        shown: impl FnOnce(&T) -> String,
    ) -> Result<T, Error> {
        let sent = Instant::now();
        if !statement.delay.is_zero() {
            sleep(statement.delay).await;
        }
        let simulated = sent.elapsed();
        if statement.counts {
            self.queries.inc();
        }
        // A write that is given up may still be made, as SQLite goes on with it: so
        // it is waited for, by callers who have a deadline of their own.
        let answer = match statement.writes {
            true => query.await,
            false => timeout(self.timeout, query).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)),
        };
        let answer = answer.map_err(|error| Error::from(&error));
        let moods = &self.moods;
        noted(if statement.writes { &moods.writes } else { &moods.reads }, &answer);
        let simulated = if statement.delay.is_zero() { Duration::ZERO } else { simulated };
        trace.record(
            RoundTrip { target: Target::Database, sent, took: sent.elapsed(), simulated },
            || {
                let reply = answer.as_ref().map_or_else(|error| format!("(error) {error}"), shown);
                vec![(format!("{}{}", statement.sql, statement.values), reply)]
            },
        );
        answer
    }

    /// Runs statements that write in one transaction, and returns only when it is
    /// committed. Every write goes this way. A statement with RETURNING hands its
    /// row out before SQLite commits, so outside a transaction an error of the
    /// commit (disk full, quota, I/O) would reach nobody.
    async fn commit<T>(
        &self,
        work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut connection = self.writers.acquire().await?;
        let outcome = commit_on(&mut connection, work).await;
        if outcome.is_err() {
            // SQLite may have rolled back by itself (sqlite.org/lang_transaction.html,
            // 3.2). sqlx does not see that and would open savepoints inside a
            // transaction that is gone, so this connection is not used again.
            connection.close_on_drop();
        }
        outcome
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

fn noted<T>(condition: &Condition<Error>, answer: &Result<T, Error>) {
    match answer {
        Ok(_) => condition.recovered(),
        Err(error) => condition.failing(error),
    }
}

/// SQLite's own URL, told to create the file; its directory is created here.
fn file_url(url: &str) -> Result<String, Error> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Err(Error::Unsupported);
    };
    let path = rest.trim_start_matches("//").split('?').next().unwrap_or_default();
    if path.is_empty() || path.contains(":memory:") {
        return Err(Error::Unsupported);
    }
    if let Some(parent) = Path::new(path).parent() {
        fs::create_dir_all(parent).map_err(|error| Error::Unusable(error.to_string()))?;
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

/// As [`connect`], again while it takes too long: visitors don't wait, but a start on
/// a machine with much to do does.
async fn connect_patiently(
    url: &str,
    busy: Duration,
    turn: Duration,
    max: u32,
) -> Result<AnyPool, Error> {
    let end = Instant::now() + PATIENT;
    loop {
        match connect(url, busy, turn, max).await {
            Err(Error::Slow) if Instant::now() < end => (),
            outcome => return outcome,
        }
    }
}

/// Waits up to `busy` for a lock, and up to `turn` for a connection.
async fn connect(url: &str, busy: Duration, turn: Duration, max: u32) -> Result<AnyPool, Error> {
    // FULL: an edit that was acknowledged survives a power cut, too.
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON;",
        busy.as_millis()
    );
    let pragmas = sqlx::AssertSqlSafe(pragmas).into_sql_str();
    AnyPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(turn)
        .after_connect(move |connection, _| {
            let pragmas = pragmas.clone();
            Box::pin(async move { connection.execute(pragmas).await.map(|_| ()) })
        })
        .connect(url)
        .await
        .map_err(|error| match Error::from(&error) {
            Error::Other(_) => Error::Unusable(error.to_string()),
            known => known,
        })
}

/// Embedded migrations, run by a connection of their own: they may wait.
async fn migrate(url: &str) -> Result<(), Error> {
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
    let pool = connect(url, PATIENT, PATIENT, 1).await?;
    let outcome = migrator.run(&pool).await;
    pool.close().await;
    outcome.map_err(|error| Error::Unusable(error.to_string()))
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
    fn placeholders_are_numbered_through() {
        assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
    }

    #[test]
    fn only_a_file_is_a_database_here() {
        for bad in ["postgres://localhost/x", "sqlite::memory:", "sqlite://", "nonsense"] {
            assert_eq!(file_url(bad).unwrap_err(), Error::Unsupported, "{bad}");
        }
        assert_eq!(file_url("sqlite://a.db").unwrap(), "sqlite://a.db?mode=rwc");
        assert_eq!(file_url("sqlite://a.db?mode=ro").unwrap(), "sqlite://a.db?mode=ro");
    }
}
