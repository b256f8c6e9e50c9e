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
    model::{LAPTOP, Product},
};

/// The tutorial's laptop.
#[derive(Clone)]
pub struct CountingOrigin {
    pub db: Arc<Db>,
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

impl hitrate_cache::Origin<String, Product> for CountingOrigin {
    type Loaded = Option<Versioned<Product>>;
    type Error = DbError;

    async fn load(&self, _: String) -> Result<Option<Versioned<Product>>, DbError> {
        let _load = self.loads.begin();
        self.db.product(LAPTOP, self.delay, &Trace::disabled()).await
    }
}
