//! One run: clients and faults from a seed, then recovery, then the check.

use std::{fmt, sync::atomic::AtomicU64, thread, time::Duration};

use rand::{SeedableRng, rngs::StdRng};

use super::{
    checker::{Violation, check, check_rest},
    clients::{CLIENTS, Client, KEYS},
    nemesis::{self, Outage, Planner},
    operation::{INITIAL, Kind, Operation, Outcome, Route},
    policy::CachePolicy,
    world::{PROCESSES, World},
};
use crate::harness::BUSY;

/// Maximum time after recovery until all caches agree with the database.
const CONVERGENCE_LIMIT: Duration = Duration::from_secs(2);
/// Reads of each key through each process after recovery: more than there are workers,
/// as each has its own connection.
const READS_AT_REST: usize = 6;
/// Maximum number of reported violations; the first ones are the most useful.
const REPORTED_MAX: usize = 3;

/// Parameters of a run. A seed determines all decisions, but not the timing.
#[derive(Clone, Copy)]
pub struct Run {
    pub seed: u64,
    pub policy: CachePolicy,
    pub length: Duration,
    /// The generator of the fault plans.
    pub faults: Planner,
    /// The failpoint to enable in hitrate, if any.
    pub broken: Option<&'static str>,
}

/// Operations and outages of a run.
pub struct Record {
    pub history: Vec<Operation>,
    pub outages: Vec<Outage>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |matches: fn(&Kind) -> bool| {
            self.history.iter().filter(|operation| matches(&operation.kind)).count()
        };
        let of = |outcome: Outcome| {
            let is_it = |operation: &&Operation| matches!(operation.kind, Kind::Write { outcome: it, .. } if it == outcome);
            self.history.iter().filter(is_it).count()
        };
        write!(
            f,
            "{} faults; {} reads, {} visits; writes: {} acknowledged, {} deferred, {} unknown",
            self.outages.len(),
            count(|kind| matches!(kind, Kind::Read { .. })),
            count(|kind| matches!(kind, Kind::Count(_))),
            of(Outcome::Acknowledged),
            of(Outcome::Deferred),
            of(Outcome::Unknown),
        )
    }
}

impl Run {
    pub fn record(&self) -> Record {
        let world = World::start(self.seed, self.broken);
        let values = AtomicU64::new(INITIAL + 1);
        let mut record = self.drive(&world, &values);
        world.recover();
        record.history.extend(self.at_rest(&world, &values));
        record
    }

    /// Runs all clients and fault plans concurrently.
    fn drive(&self, world: &World, values: &AtomicU64) -> Record {
        let plans = (self.faults)(&mut StdRng::seed_from_u64(self.seed), self.length);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..PROCESSES * CLIENTS.len())
                .map(|worker| {
                    let client = self.client(world, worker / CLIENTS.len(), worker, values);
                    let task = CLIENTS[worker % CLIENTS.len()];
                    scope.spawn(move || client.work(task, self.length))
                })
                .collect();
            let stalls = scope.spawn(|| nemesis::detect_stalls(world, self.length));
            let broken: Vec<_> = plans
                .iter()
                .map(|plan| scope.spawn(move || nemesis::execute(plan, world)))
                .chain([stalls])
                .collect();
            Record {
                history: clients.into_iter().flat_map(|it| it.join().unwrap()).collect(),
                outages: broken.into_iter().flat_map(|it| it.join().unwrap()).collect(),
            }
        })
    }

    fn client<'a>(
        &'a self,
        world: &'a World,
        process: usize,
        worker: usize,
        values: &'a AtomicU64,
    ) -> Client<'a> {
        Client::new(world, &self.policy, process, worker, self.seed, values)
    }

    /// Reads every key after recovery, repeatedly until all caches agree with the
    /// database or [`CONVERGENCE_LIMIT`] has passed.
    fn at_rest(&self, world: &World, values: &AtomicU64) -> Vec<Operation> {
        let end = world.now() + CONVERGENCE_LIMIT * BUSY;
        let worker = PROCESSES * CLIENTS.len();
        let clients: Vec<_> =
            (0..PROCESSES).map(|process| self.client(world, process, worker, values)).collect();
        loop {
            let mut seen = read_all(&clients[0], Route::OriginAtRest);
            for client in &clients {
                seen.extend((0..READS_AT_REST).flat_map(|_| read_all(client, Route::CacheAtRest)));
            }
            if check_rest(&seen).is_empty() || world.now() >= end {
                seen.extend(clients[0].visit());
                return seen;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn judge(&self, record: &Record) -> Vec<Violation> {
        check(&record.history, |write, reader, route| {
            self.policy.visible(write, reader, route, &record.outages)
        })
    }
}

fn read_all(client: &Client<'_>, route: Route) -> Vec<Operation> {
    // On a busy machine a read may time out, and is retried.
    let ask = |key| (0..5).find_map(|_| client.read(key, route, 0));
    let read = |key| ask(key).expect("reads succeed after recovery");
    KEYS.into_iter().map(read).collect()
}

/// A short report of the first violations, with the outages around each.
pub fn report(run: &Run, record: &Record, violations: &[Violation]) -> String {
    let mut lines = vec![format!(
        "{}, seed {}: {} violations in {} operations",
        run.policy,
        run.seed,
        violations.len(),
        record.history.len()
    )];
    for violation in violations.iter().take(REPORTED_MAX) {
        lines.push(violation.to_string());
        let during =
            record.outages.iter().filter(|outage| violation.is_near(outage.start, outage.end));
        lines.extend(during.map(|outage| format!("  {outage}")));
    }
    lines.join("\n")
}
