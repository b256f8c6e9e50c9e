//! The origin of the measured value: a row of the real database, with a counter of loads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hitrate_cache::{Versioned, trace::Trace};

use crate::demo::{
    db::{Db, DbError},
    model::{LAPTOP, TrialProduct},
};

/// The tutorial's laptop, under the name of the experiment.
#[derive(Clone)]
pub struct CountingOrigin {
    pub db: Arc<Db>,
    pub name: String,
    pub delay: Duration,
    pub loads: Arc<Loads>,
}

/// The loads of one scenario.
#[derive(Debug, Default)]
pub struct Loads {
    started: AtomicU64,
    in_flight: AtomicU64,
}

/// A load in progress. Dropping it ends the load, which covers cancelled ones.
struct InFlight<'a>(&'a Loads);

impl Loads {
    /// Number of loads started.
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Acquire)
    }

    /// Number of loads in progress.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    fn begin(&self) -> InFlight<'_> {
        self.started.fetch_add(1, Ordering::AcqRel);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(self)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl hitrate_cache::Origin<TrialProduct> for CountingOrigin {
    type Error = DbError;

    async fn load(&self) -> Result<Option<Versioned<TrialProduct>>, DbError> {
        let _load = self.loads.begin();
        let found = self.db.product(LAPTOP, self.delay, &Trace::disabled()).await?;
        Ok(found.map(|row| Versioned {
            value: TrialProduct { name: self.name.clone(), product: row.value },
            version: row.version,
        }))
    }
}
