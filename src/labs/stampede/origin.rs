//! The origin of the one value: a row of the real database, with every load counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hitrate_cache::{Versioned, trace::Trace};

use crate::demo::{
    db::{self, Db},
    model::{LAPTOP, Trial},
};

/// The documents' Laptop, under the name of an experiment.
#[derive(Clone)]
pub struct Origin {
    pub db: Arc<Db>,
    pub name: String,
    pub delay: Duration,
    pub loads: Arc<Loads>,
}

/// Loads of one stage.
#[derive(Debug, Default)]
pub struct Loads {
    begun: AtomicU64,
    under_way: AtomicU64,
}

/// A load under way, until dropped: a load that is given up ends, too.
struct UnderWay<'a>(&'a Loads);

impl Loads {
    /// How many were begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// How many are not at their end.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Acquire)
    }

    fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(self)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl hitrate_cache::Origin<Trial> for Origin {
    type Error = db::Error;

    async fn load(&self) -> Result<Option<Versioned<Trial>>, db::Error> {
        let _load = self.loads.begin();
        let found = self.db.product(LAPTOP, self.delay, &Trace::disabled()).await?;
        Ok(found.map(|row| Versioned {
            value: Trial { name: self.name.clone(), product: row.value },
            version: row.version,
        }))
    }
}
