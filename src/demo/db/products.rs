//! Statements on the table `products`.

use std::time::Duration;

use hitrate_cache::{Versioned, trace::Trace};
use sqlx::{Row, any::AnyRow};

use super::{Db, DbError, Statement, profiles::rows};
use crate::demo::model::Product;

impl Db {
    /// Reads one product after the simulated latency `delay`.
    pub async fn product(
        &self,
        id: u32,
        delay: Duration,
        trace: &Trace,
    ) -> Result<Option<Versioned<Product>>, DbError> {
        let sql = "SELECT id, name, price_cents FROM products WHERE id = $1";
        let values = format!("  -- $1 = {id}");
        let query = async {
            sqlx::query(sql).bind(i64::from(id)).try_map(product).fetch_optional(&self.pool).await
        };
        let statement = Statement { delay, ..Statement::read(sql, &values) };
        self.run(statement, trace, query, |row| rows(row.iter().len())).await
    }
}

/// Products are never edited, so the version is always 1.
fn product(row: AnyRow) -> Result<Versioned<Product>, sqlx::Error> {
    let id: i64 = row.try_get("id")?;
    let cents: i64 = row.try_get("price_cents")?;
    let value = Product {
        id: u32::try_from(id).unwrap_or_default(),
        name: row.try_get("name")?,
        price: cents as f64 / 100.0,
    };
    Ok(Versioned { value, version: 1 })
}
