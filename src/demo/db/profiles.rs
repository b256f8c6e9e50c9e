//! Statements on the table `profiles`.

use std::time::Duration;

use hitrate_cache::{
    Versioned,
    time::{millis, now_ms},
    trace::Trace,
};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::{Db, DbError, Statement, placeholders};
use crate::demo::model::{Profile, UserId};

/// An edit from the write-behind queue.
#[derive(Debug, Clone)]
pub struct QueuedEdit {
    /// The new row.
    pub profile: Profile,
    /// The version assigned when the edit was queued.
    pub version: u64,
    /// Time of the edit, in microseconds since 1970 by Redis's clock.
    pub stamp: u64,
}

/// Result of applying a [`QueuedEdit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditResult {
    /// The edit is in the row, which has this version.
    Applied(u64),
    /// The row has a later edit, and this version.
    Superseded(u64),
    /// The row does not exist.
    NoRow,
}

const SELECT_ONE: &str =
    "SELECT user_id, name, email, age, version FROM profiles WHERE user_id = $1";

/// Rows per INSERT. With five values each, they stay far below SQLite's limit of 32,766
/// placeholders.
const CHUNK: usize = 500;

impl Db {
    /// Reads one profile after the simulated latency `delay`.
    pub async fn profile(
        &self,
        id: &UserId,
        delay: Duration,
        trace: &Trace,
    ) -> Result<Option<Versioned<Profile>>, DbError> {
        let values = format!("  -- $1 = '{id}'");
        let statement = Statement { delay, ..Statement::read(SELECT_ONE, &values) };
        self.run(statement, trace, self.select_one(id), |row| rows(row.iter().len())).await
    }

    /// Reads one profile without latency, to display the row. Not counted as a query,
    /// because no lookup needs it.
    pub async fn inspect_profile(
        &self,
        id: &UserId,
    ) -> Result<Option<Versioned<Profile>>, DbError> {
        let statement = Statement { is_counted: false, ..Statement::read(SELECT_ONE, "") };
        self.run(statement, &Trace::disabled(), self.select_one(id), |_| String::new()).await
    }

    async fn select_one(&self, id: &UserId) -> Result<Option<Versioned<Profile>>, sqlx::Error> {
        sqlx::query(SELECT_ONE).bind(id.as_str()).try_map(profile).fetch_optional(&self.pool).await
    }

    /// Updates a profile and returns its new version and stamp; `None` if the row does not
    /// exist. The version is greater than `floor`, and the stamp greater than the previous
    /// one. `stamp` is the start of the write, in microseconds since 1970.
    pub async fn edit_profile(
        &self,
        profile: &Profile,
        floor: u64,
        stamp: u64,
        trace: &Trace,
    ) -> Result<Option<(u64, u64)>, DbError> {
        let sql = "UPDATE profiles SET name = $1, email = $2, age = $3, updated_at = $4, \
                   version = CASE WHEN version < $5 THEN $5 ELSE version END + 1, \
                   stamp = CASE WHEN stamp < $6 THEN $6 ELSE stamp + 1 END \
                   WHERE user_id = $7 RETURNING version, stamp";
        let values = format!("  -- $7 = '{}'", profile.user_id);
        let query = self.commit(async |connection| {
            let update = sqlx::query(sql).bind(&profile.name).bind(&profile.email);
            let update = update.bind(i64::from(profile.age)).bind(now_ms().cast_signed());
            let update = update.bind(floor.cast_signed()).bind(stamp.cast_signed());
            let update = update.bind(&profile.user_id).try_map(version_and_stamp);
            update.fetch_optional(connection).await
        });
        let statement = Statement::write(sql, &values);
        self.run(statement, trace, query, |row| rows(row.iter().len())).await
    }

    /// Applies queued edits in one transaction. An edit changes its row only if its stamp
    /// is later than the row's.
    pub async fn apply_queued_edits(
        &self,
        edits: &[QueuedEdit],
    ) -> Result<Vec<EditResult>, DbError> {
        let query = self.commit(async |connection| {
            let mut results = Vec::with_capacity(edits.len());
            for edit in edits {
                results.push(apply(connection, edit).await?);
            }
            Ok(results)
        });
        let statement = Statement::write("UPDATE profiles … (queued edits)", "");
        self.run(statement, &Trace::disabled(), query, |results: &Vec<_>| rows(results.len())).await
    }

    /// Ids, versions and stamps of up to `max` profiles edited less than `age` ago, latest
    /// first.
    pub async fn edited_within(
        &self,
        age: Duration,
        max: u32,
    ) -> Result<Vec<(Versioned<UserId>, u64)>, DbError> {
        let sql = "SELECT user_id, version, stamp FROM profiles \
                   WHERE version > 1 AND updated_at > $1 ORDER BY updated_at DESC LIMIT $2";
        let since = now_ms().saturating_sub(millis(age)).cast_signed();
        let query = async {
            let edited = sqlx::query(sql).bind(since).bind(i64::from(max));
            edited.try_map(id_version_and_stamp).fetch_all(&self.pool).await
        };
        let statement = Statement::read(sql, "");
        let edited =
            self.run(statement, &Trace::disabled(), query, |edited| rows(edited.len())).await?;
        Ok(edited.into_iter().flatten().collect())
    }

    /// The first `max` ids, shortest first, to suggest to a visitor.
    pub async fn first_ids(&self, max: u32) -> Result<Vec<UserId>, DbError> {
        let sql = "SELECT user_id FROM profiles ORDER BY length(user_id), user_id LIMIT $1";
        let query = async {
            sqlx::query_scalar::<_, String>(sql).bind(i64::from(max)).fetch_all(&self.pool).await
        };
        let found = self
            .run(Statement::read(sql, ""), &Trace::disabled(), query, |ids| rows(ids.len()))
            .await?;
        Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Number of profiles.
    pub async fn count_profiles(&self) -> Result<u64, DbError> {
        let sql = "SELECT COUNT(*) FROM profiles";
        let query = async { sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await };
        let show_reply = |count: &i64| count.to_string();
        let statement = Statement::read(sql, "");
        let count = self.run(statement, &Trace::disabled(), query, show_reply).await?;
        Ok(count.unsigned_abs())
    }

    /// Up to `max` profiles with ids after `last`, in order of their ids.
    pub async fn profiles_after(
        &self,
        last: &str,
        max: u32,
    ) -> Result<Vec<Versioned<Profile>>, DbError> {
        let sql = "SELECT user_id, name, email, age, version FROM profiles \
                   WHERE user_id > $1 ORDER BY user_id LIMIT $2";
        let query = async {
            let page = sqlx::query(sql).bind(last).bind(i64::from(max));
            page.try_map(profile).fetch_all(&self.pool).await
        };
        self.run(Statement::read(sql, ""), &Trace::disabled(), query, |page| rows(page.len())).await
    }

    /// Inserts profiles whose id does not exist yet, and returns their number. Existing
    /// rows stay unchanged.
    pub async fn add_profiles(&self, profiles: &[Profile]) -> Result<u64, DbError> {
        let mut added = 0;
        for chunk in profiles.chunks(CHUNK) {
            added += self.add_chunk(chunk).await?;
        }
        Ok(added)
    }

    async fn add_chunk(&self, chunk: &[Profile]) -> Result<u64, DbError> {
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

    /// Returns those of `ids` that exist.
    pub async fn existing_ids(&self, ids: &[&str]) -> Result<Vec<String>, DbError> {
        let mut found = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            found.extend(self.existing_chunk(chunk).await?);
        }
        Ok(found)
    }

    async fn existing_chunk(&self, chunk: &[&str]) -> Result<Vec<String>, DbError> {
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

async fn apply(
    connection: &mut AnyConnection,
    edit: &QueuedEdit,
) -> Result<EditResult, sqlx::Error> {
    let sql = "UPDATE profiles SET name = $1, email = $2, age = $3, updated_at = $4, \
               version = CASE WHEN version < $5 THEN $5 ELSE version + 1 END, stamp = $6 \
               WHERE user_id = $7 AND stamp < $6 RETURNING version";
    let profile = &edit.profile;
    let update = sqlx::query_scalar::<_, i64>(sql).bind(&profile.name).bind(&profile.email);
    let update = update.bind(i64::from(profile.age)).bind(now_ms().cast_signed());
    let update = update.bind(edit.version.cast_signed()).bind(edit.stamp.cast_signed());
    let changed = update.bind(&profile.user_id).fetch_optional(&mut *connection).await?;
    if let Some(version) = changed {
        return Ok(EditResult::Applied(version.unsigned_abs()));
    }
    let sql = "SELECT version, stamp FROM profiles WHERE user_id = $1";
    let row = sqlx::query(sql).bind(&profile.user_id).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(EditResult::NoRow) };
    // The same stamp: an earlier flush applied this edit, but did not acknowledge it.
    match row.try_get::<i64, _>("stamp")?.unsigned_abs() == edit.stamp {
        true => Ok(EditResult::Applied(version(&row)?)),
        false => Ok(EditResult::Superseded(version(&row)?)),
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

fn id_version_and_stamp(row: AnyRow) -> Result<Option<(Versioned<UserId>, u64)>, sqlx::Error> {
    let (id, version): (String, u64) = (row.try_get("user_id")?, version(&row)?);
    let stamp = row.try_get::<i64, _>("stamp")?.unsigned_abs();
    Ok(id.parse().ok().map(|value| (Versioned { value, version }, stamp)))
}

fn version_and_stamp(row: AnyRow) -> Result<(u64, u64), sqlx::Error> {
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
