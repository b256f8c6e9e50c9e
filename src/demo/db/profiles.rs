//! Statements on the table `profiles`.

use std::time::Duration;

use hitrate_cache::{
    Versioned,
    time::{millis, now_ms},
    trace::Trace,
};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::{Db, Error, Statement, placeholders};
use crate::demo::model::{Profile, UserId};

/// A write that waited before it came here.
#[derive(Debug, Clone)]
pub struct Late {
    /// The whole row.
    pub profile: Profile,
    /// The version it was promised.
    pub version: u64,
    /// When it was made, in microseconds since 1970.
    pub stamp: u64,
}

/// What became of a [`Late`] write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaughtUp {
    /// The row is this write's, and has this version.
    As(u64),
    /// The row is of a later write, and has this version.
    Superseded(u64),
    /// There is no such row.
    NoRow,
}

/// The row of one profile.
const ONE: &str = "SELECT user_id, name, email, age, version FROM profiles WHERE user_id = $1";

/// Rows in one INSERT: five values each stay far below SQLite's 32,766.
const ROWS: usize = 500;

impl Db {
    /// One profile, after the simulated latency.
    pub async fn profile(
        &self,
        id: &UserId,
        delay: Duration,
        trace: &Trace,
    ) -> Result<Option<Versioned<Profile>>, Error> {
        let values = format!("  -- $1 = '{id}'");
        let statement = Statement { delay, ..Statement::read(ONE, &values) };
        self.run(statement, trace, self.one(id), |row| rows(row.iter().len())).await
    }

    /// One profile as it is at the moment, for a page that shows the row
    /// itself. Not counted among the queries: no lookup needed it.
    pub async fn inspect_profile(&self, id: &UserId) -> Result<Option<Versioned<Profile>>, Error> {
        let statement = Statement { counts: false, ..Statement::read(ONE, "") };
        self.run(statement, &Trace::disabled(), self.one(id), |_| String::new()).await
    }

    async fn one(&self, id: &UserId) -> Result<Option<Versioned<Profile>>, sqlx::Error> {
        sqlx::query(ONE).bind(id.as_str()).try_map(profile).fetch_optional(&self.pool).await
    }

    /// Changes a profile, and returns its new version, which is above `floor`,
    /// and its stamp, which is above any before; `None` when there is none.
    /// `stamp` is when the write began, in microseconds since 1970.
    pub async fn edit_profile(
        &self,
        profile: &Profile,
        floor: u64,
        stamp: u64,
        trace: &Trace,
    ) -> Result<Option<(u64, u64)>, Error> {
        let sql = "UPDATE profiles SET name = $1, email = $2, age = $3, updated_at = $4, \
                   version = CASE WHEN version < $5 THEN $5 ELSE version END + 1, \
                   stamp = CASE WHEN stamp < $6 THEN $6 ELSE stamp + 1 END \
                   WHERE user_id = $7 RETURNING version, stamp";
        let values = format!("  -- $7 = '{}'", profile.user_id);
        let query = self.commit(async |connection| {
            let update = sqlx::query(sql).bind(&profile.name).bind(&profile.email);
            let update = update.bind(i64::from(profile.age)).bind(now_ms().cast_signed());
            let update = update.bind(floor.cast_signed()).bind(stamp.cast_signed());
            let update = update.bind(&profile.user_id).try_map(written);
            update.fetch_optional(connection).await
        });
        let statement = Statement::write(sql, &values);
        self.run(statement, trace, query, |row| rows(row.iter().len())).await
    }

    /// Brings writes that waited elsewhere, in one transaction: each changes
    /// its row only if it is later than what is there.
    pub async fn catch_up_profiles(&self, writes: &[Late]) -> Result<Vec<CaughtUp>, Error> {
        let query = self.commit(async |connection| {
            let mut caught_up = Vec::with_capacity(writes.len());
            for late in writes {
                caught_up.push(catch_up(connection, late).await?);
            }
            Ok(caught_up)
        });
        let statement = Statement::write("UPDATE profiles … (those that waited)", "");
        self.run(statement, &Trace::disabled(), query, |done: &Vec<_>| rows(done.len())).await
    }

    /// Ids, versions and stamps of the profiles edited less than `age` ago, the
    /// latest first.
    pub async fn edited_within(
        &self,
        age: Duration,
        max: u32,
    ) -> Result<Vec<(Versioned<UserId>, u64)>, Error> {
        let sql = "SELECT user_id, version, stamp FROM profiles \
                   WHERE version > 1 AND updated_at > $1 ORDER BY updated_at DESC LIMIT $2";
        let since = now_ms().saturating_sub(millis(age)).cast_signed();
        let query = async {
            let edited = sqlx::query(sql).bind(since).bind(i64::from(max));
            edited.try_map(edition).fetch_all(&self.pool).await
        };
        let statement = Statement::read(sql, "");
        let edited =
            self.run(statement, &Trace::disabled(), query, |rows_| rows(rows_.len())).await?;
        Ok(edited.into_iter().flatten().collect())
    }

    /// The first ids in order, to suggest to a visitor.
    pub async fn some_ids(&self, max: u32) -> Result<Vec<UserId>, Error> {
        let sql = "SELECT user_id FROM profiles ORDER BY length(user_id), user_id LIMIT $1";
        let query = async {
            sqlx::query_scalar::<_, String>(sql).bind(i64::from(max)).fetch_all(&self.pool).await
        };
        let found = self
            .run(Statement::read(sql, ""), &Trace::disabled(), query, |ids| rows(ids.len()))
            .await?;
        Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// How many profiles there are.
    pub async fn count_profiles(&self) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM profiles";
        let query = async { sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await };
        let shown = |count: &i64| count.to_string();
        let count = self.run(Statement::read(sql, ""), &Trace::disabled(), query, shown).await?;
        Ok(count.unsigned_abs())
    }

    /// The next page of profiles in the order of their ids, for bulk reading.
    pub async fn profiles_after(
        &self,
        last: &str,
        max: u32,
    ) -> Result<Vec<Versioned<Profile>>, Error> {
        let sql = "SELECT user_id, name, email, age, version FROM profiles \
                   WHERE user_id > $1 ORDER BY user_id LIMIT $2";
        let query = async {
            let page = sqlx::query(sql).bind(last).bind(i64::from(max));
            page.try_map(profile).fetch_all(&self.pool).await
        };
        self.run(Statement::read(sql, ""), &Trace::disabled(), query, |page| rows(page.len())).await
    }

    /// Inserts those that are not there yet, and returns how many were. Rows
    /// that exist stay as they are, edited or not.
    pub async fn add_profiles(&self, profiles: &[Profile]) -> Result<u64, Error> {
        let mut added = 0;
        for chunk in profiles.chunks(ROWS) {
            added += self.add_chunk(chunk).await?;
        }
        Ok(added)
    }

    async fn add_chunk(&self, chunk: &[Profile]) -> Result<u64, Error> {
        let sql = format!(
            "INSERT INTO profiles (user_id, name, email, age, updated_at) VALUES {} \
             ON CONFLICT (user_id) DO NOTHING",
            placeholders(chunk.len(), 5)
        );
        let now = now_ms().cast_signed();
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for row in chunk {
            insert = insert.bind(&row.user_id).bind(&row.name).bind(&row.email);
            insert = insert.bind(i64::from(row.age)).bind(now);
        }
        let query = self.commit(async |connection| {
            insert.execute(connection).await.map(|done| done.rows_affected())
        });
        let statement = Statement::write("INSERT INTO profiles …", "");
        self.run(statement, &Trace::disabled(), query, |added| rows(*added as usize)).await
    }

    /// Which of these ids exist.
    pub async fn existing_ids(&self, ids: &[&str]) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for chunk in ids.chunks(ROWS) {
            found.extend(self.existing_chunk(chunk).await?);
        }
        Ok(found)
    }

    async fn existing_chunk(&self, chunk: &[&str]) -> Result<Vec<String>, Error> {
        let list = placeholders(1, chunk.len());
        let sql = format!("SELECT user_id FROM profiles WHERE user_id IN {list}");
        let mut select = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
        for id in chunk {
            select = select.bind(*id);
        }
        let statement = Statement::read("SELECT user_id FROM profiles WHERE user_id IN …", "");
        let query = select.fetch_all(&self.pool);
        self.run(statement, &Trace::disabled(), query, |found| rows(found.len())).await
    }
}

async fn catch_up(connection: &mut AnyConnection, late: &Late) -> Result<CaughtUp, sqlx::Error> {
    let sql = "UPDATE profiles SET name = $1, email = $2, age = $3, updated_at = $4, \
               version = CASE WHEN version < $5 THEN $5 ELSE version + 1 END, stamp = $6 \
               WHERE user_id = $7 AND stamp < $6 RETURNING version";
    let profile = &late.profile;
    let update = sqlx::query_scalar::<_, i64>(sql).bind(&profile.name).bind(&profile.email);
    let update = update.bind(i64::from(profile.age)).bind(now_ms().cast_signed());
    let update = update.bind(late.version.cast_signed()).bind(late.stamp.cast_signed());
    let changed = update.bind(&profile.user_id).fetch_optional(&mut *connection).await?;
    if let Some(version) = changed {
        return Ok(CaughtUp::As(version.unsigned_abs()));
    }
    let sql = "SELECT version, stamp FROM profiles WHERE user_id = $1";
    let row = sqlx::query(sql).bind(&profile.user_id).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(CaughtUp::NoRow) };
    // It came before, and its flusher died before it could say so.
    match row.try_get::<i64, _>("stamp")?.unsigned_abs() == late.stamp {
        true => Ok(CaughtUp::As(version(&row)?)),
        false => Ok(CaughtUp::Superseded(version(&row)?)),
    }
}

fn profile(row: AnyRow) -> Result<Versioned<Profile>, sqlx::Error> {
    let age: i64 = row.try_get("age")?;
    let value = Profile {
        user_id: row.try_get("user_id")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        age: u32::try_from(age).unwrap_or_default(),
    };
    Ok(Versioned { value, version: version(&row)? })
}

fn edition(row: AnyRow) -> Result<Option<(Versioned<UserId>, u64)>, sqlx::Error> {
    let (id, version): (String, u64) = (row.try_get("user_id")?, version(&row)?);
    let stamp = row.try_get::<i64, _>("stamp")?.unsigned_abs();
    Ok(id.parse().ok().map(|value| (Versioned { value, version }, stamp)))
}

fn written(row: AnyRow) -> Result<(u64, u64), sqlx::Error> {
    Ok((version(&row)?, row.try_get::<i64, _>("stamp")?.unsigned_abs()))
}

fn version(row: &AnyRow) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>("version").map(i64::unsigned_abs)
}

pub(super) fn rows(count: usize) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    }
}
