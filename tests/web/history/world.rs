//! What a run takes place in: one Redis behind a proxy, one database, and two
//! processes that share both.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    faults::assert_no_panic,
    harness::{Hitrate, Redis, eventually, setup},
    proxy::{Mode, Proxy},
};

pub const PROCESSES: usize = 2;
/// What Redis acknowledged it must still have after `kill -9`.
pub const REDIS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
/// How long healing may take until everything is as if nothing had been.
const HEALED: Duration = Duration::from_secs(10);

pub struct World {
    processes: Vec<Process>,
    pub proxy: Proxy,
    pub redis: Mutex<Redis>,
    database: TempDir,
    broken: Option<&'static str>,
    start: Instant,
}

/// A place for a hitrate, where one follows the other.
struct Process {
    dir: TempDir,
    running: Mutex<Option<Arc<Hitrate>>>,
}

impl World {
    /// `broken` is the name of a bug to switch on.
    pub fn begin(seed: u64, broken: Option<&'static str>) -> Self {
        let redis = Redis::with(REDIS);
        let dir = || tempfile::tempdir().unwrap();
        let process = || Process { dir: dir(), running: Mutex::default() };
        let mut world = Self {
            processes: (0..PROCESSES).map(|_| process()).collect(),
            proxy: Proxy::seeded(&redis, seed),
            redis: Mutex::new(redis),
            database: dir(),
            broken,
            start: Instant::now(),
        };
        (0..PROCESSES).for_each(|process| world.start_again(process));
        world.start = Instant::now();
        world
    }

    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The one that runs there now, or ran until a moment ago.
    pub fn process(&self, process: usize) -> Arc<Hitrate> {
        let running = self.processes[process].running.lock().unwrap();
        Arc::clone(running.as_ref().expect("one is started at the beginning"))
    }

    pub fn start_again(&self, process: usize) {
        let Process { dir, running } = &self.processes[process];
        let mut setup = setup().in_dir(dir.path()).set("REDIS_URL", self.proxy.url());
        setup = setup.set("DATABASE_URL", self.database_url());
        if let Some(broken) = self.broken {
            setup = setup.set("HITRATE_FAILPOINT", broken);
        }
        let started = Arc::new(setup.start());
        *running.lock().unwrap() = Some(started);
    }

    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.database.path().join("hitrate.db").display())
    }

    /// Waits until nothing is broken and nothing is deferred any more.
    pub fn heal(&self) {
        self.proxy.set(Mode::Pass);
        for process in 0..PROCESSES {
            let hitrate = self.process(process);
            let redis = self.redis.lock().unwrap();
            eventually(HEALED, "all is well again, and written", || is_at_rest(&hitrate, &redis));
            assert_no_panic(&hitrate);
        }
    }
}

/// Whether this process has Redis, and no acknowledged write waits any more.
fn is_at_rest(hitrate: &Hitrate, redis: &Redis) -> bool {
    hitrate.get("/readyz").body.contains("\"redis\":\"up\"")
        && redis.run(&["XLEN", "hitrate:write-behind"]) == redis::Value::Int(0)
}
