//! The environment of a run: one Redis behind a proxy, one database, and two hitrate
//! processes that share both.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    faults::assert_no_panic,
    harness::{Hitrate, TestRedis, eventually, setup},
    proxy::{Mode, Proxy},
};

pub const PROCESSES: usize = 2;
/// Arguments with which Redis keeps every acknowledged write through `kill -9`.
const REDIS_ARGS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
/// Maximum time from the repair of all faults to full recovery.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);

pub struct World {
    processes: Vec<Process>,
    pub proxy: Proxy,
    pub redis: Mutex<TestRedis>,
    database: TempDir,
    broken: Option<&'static str>,
    start: Instant,
}

/// A directory for a hitrate process and its successors.
struct Process {
    dir: TempDir,
    running: Mutex<Option<Arc<Hitrate>>>,
}

impl World {
    /// Starts everything. `broken` is the failpoint to enable, if any.
    pub fn start(seed: u64, broken: Option<&'static str>) -> Self {
        let redis = TestRedis::with_args(REDIS_ARGS).unwrap();
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
        (0..PROCESSES).for_each(|process| world.restart(process));
        world.start = Instant::now();
        world
    }

    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The current process, which may just have been killed.
    pub fn process(&self, process: usize) -> Arc<Hitrate> {
        let running = self.processes[process].running.lock().unwrap();
        Arc::clone(running.as_ref().expect("every process is started with the world"))
    }

    pub fn restart(&self, process: usize) {
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

    /// Repairs the network, and waits until every process has Redis and no write is queued.
    pub fn recover(&self) {
        self.proxy.set(Mode::Pass);
        for process in 0..PROCESSES {
            let hitrate = self.process(process);
            let redis = self.redis.lock().unwrap();
            eventually(RECOVERY_LIMIT, "Redis is back and all writes are flushed", || {
                is_at_rest(&hitrate, &redis)
            });
            assert_no_panic(&hitrate);
        }
    }
}

/// Whether this process has Redis, and no write is queued.
fn is_at_rest(hitrate: &Hitrate, redis: &TestRedis) -> bool {
    hitrate.get("/readyz").body.contains("\"redis\":\"up\"")
        && redis.command(&["XLEN", "hitrate:write-behind"]) == "0"
}
