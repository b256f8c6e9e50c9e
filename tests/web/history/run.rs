//! One run: clients and faults from a seed, then rest, then the judgement.

use std::{fmt, sync::atomic::AtomicU64, thread, time::Duration};

use rand::{SeedableRng, rngs::StdRng};

use super::{
    checker::{Violation, check, check_rest},
    clients::{CLIENTS, Client, KEYS},
    nemesis::{self, Outage, Planner},
    operation::{Door, INITIAL, Kind, Operation, Outcome},
    policy::CachePolicy,
    world::{PROCESSES, World},
};
use crate::harness::BUSY;

/// After all is healed, caches agree with the database within this.
const AGREED: Duration = Duration::from_secs(2);
/// How often each key is read through each cache at rest: more than there are
/// workers, each with a connection of its own.
const READS_AT_REST: usize = 6;
/// How many violations are told: the first ones say it.
const SHOWN: usize = 3;

/// What happens. The same seed decides the same; the times are those of the machine.
#[derive(Clone, Copy)]
pub struct Run {
    pub seed: u64,
    pub policy: CachePolicy,
    pub length: Duration,
    /// What breaks.
    pub faults: Planner,
    /// The name of a bug that hitrate has when asked for it.
    pub broken: Option<&'static str>,
}

/// What happened.
pub struct Record {
    pub history: Vec<Operation>,
    pub outages: Vec<Outage>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |meant: fn(&Kind) -> bool| {
            self.history.iter().filter(|operation| meant(&operation.kind)).count()
        };
        let of = |outcome: Outcome| {
            let is_it = |operation: &&Operation| matches!(operation.kind, Kind::Write { outcome: it, .. } if it == outcome);
            self.history.iter().filter(is_it).count()
        };
        write!(
            f,
            "{} faults; {} reads, {} visits; writes: {} acknowledged, {} untold, {} unknown",
            self.outages.len(),
            count(|kind| matches!(kind, Kind::Read { .. })),
            count(|kind| matches!(kind, Kind::Count(_))),
            of(Outcome::Acknowledged),
            of(Outcome::Untold),
            of(Outcome::Unknown),
        )
    }
}

impl Run {
    pub fn record(&self) -> Record {
        let world = World::begin(self.seed, self.broken);
        let values = AtomicU64::new(INITIAL + 1);
        let mut record = self.act(&world, &values);
        world.heal();
        record.history.extend(self.at_rest(&world, &values));
        record
    }

    /// Clients work and things break, side by side.
    fn act(&self, world: &World, values: &AtomicU64) -> Record {
        let plans = (self.faults)(&mut StdRng::seed_from_u64(self.seed), self.length);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..PROCESSES * CLIENTS.len())
                .map(|worker| {
                    let client = self.client(world, worker / CLIENTS.len(), worker, values);
                    let task = CLIENTS[worker % CLIENTS.len()];
                    scope.spawn(move || client.work(task, self.length))
                })
                .collect();
            let pulse = scope.spawn(|| nemesis::feel_the_pulse(world, self.length));
            let broken: Vec<_> = plans
                .iter()
                .map(|plan| scope.spawn(move || nemesis::carry_out(plan, world)))
                .chain([pulse])
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

    /// What everyone sees when it is over: asked again for as long as it may
    /// still change.
    fn at_rest(&self, world: &World, values: &AtomicU64) -> Vec<Operation> {
        let end = world.now() + AGREED * BUSY;
        let worker = PROCESSES * CLIENTS.len();
        let clients: Vec<_> =
            (0..PROCESSES).map(|process| self.client(world, process, worker, values)).collect();
        loop {
            let mut seen = read_all(&clients[0], Door::OriginAtRest);
            for client in &clients {
                seen.extend((0..READS_AT_REST).flat_map(|_| read_all(client, Door::CacheAtRest)));
            }
            if check_rest(&seen).is_empty() || world.now() >= end {
                seen.extend(clients[0].visit());
                return seen;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn judge(&self, record: &Record) -> Vec<Violation> {
        check(&record.history, |write, reader, door| {
            self.policy.visible(write, reader, door, &record.outages)
        })
    }
}

fn read_all(client: &Client<'_>, door: Door) -> Vec<Operation> {
    // On a busy machine a read may pass its deadline; then it is asked again.
    let ask = |key| (0..5).find_map(|_| client.read(key, door, 0));
    let read = |key| ask(key).expect("all is well, so reads are answered");
    KEYS.into_iter().map(read).collect()
}

/// What went wrong, in order and with what was broken meanwhile: a few lines.
pub fn report(run: &Run, record: &Record, violations: &[Violation]) -> String {
    let mut lines = vec![format!(
        "{}, seed {}: {} violations in {} operations",
        run.policy,
        run.seed,
        violations.len(),
        record.history.len()
    )];
    for violation in violations.iter().take(SHOWN) {
        lines.push(violation.to_string());
        let during =
            record.outages.iter().filter(|outage| violation.is_near(outage.start, outage.end));
        lines.extend(during.map(|outage| format!("  {outage}")));
    }
    lines.join("\n")
}
