//! One connection to Redis that looks after itself.
//!
//! A request never waits for a reconnect. A task of the link's own connects,
//! pings once a second and whenever a command failed, and connects again; in
//! the meantime each command fails at once. So a dead Redis costs a request
//! nothing, a frozen one costs the first request the deadline and the others
//! nothing, and recovery needs no request at all.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, Pipeline, Value};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::redis::{
    address::Address,
    breaker::{Breaker, SLOW},
    connection::{Connection, Reply, parts, unwrapped},
    deferred::Debt,
    error::Trouble,
    health::Health,
    script::is_unknown,
};

/// How long a command may take. A visitor waits for a frozen Redis at most
/// this long, once; a busy one on loopback answers a thousand times faster.
pub const DEADLINE: Duration = Duration::from_millis(250);
/// How long a large pipeline may take, with no visitor waiting.
pub const BULK_DEADLINE: Duration = Duration::from_secs(5);
/// How long connecting may take: in the background, so a distant server with TLS fits.
pub const CONNECT: Duration = Duration::from_secs(1);
/// Deferred invalidations that go out together.
const BATCH: usize = 1_000;
/// How often an idle connection is tried, so that a silent death is noticed.
const TICK: Duration = Duration::from_secs(1);
/// How often Redis is asked for its time: in between clocks drift by microseconds.
const TIME_TICK: Duration = Duration::from_secs(10);

/// A multiplexed connection and the task that keeps it up.
pub struct Link {
    address: Address,
    health: Arc<Health>,
    state: watch::Sender<State>,
    breaker: Mutex<Breaker>,
    /// Whether some of the last calls were slow; else a quick one changes nothing.
    tainted: AtomicBool,
    doubt: Notify,
    /// Calls were slow, for whatever reason.
    sluggish: Notify,
}

#[derive(Clone)]
enum State {
    Starting,
    /// The breaker is closed.
    Up(Connection),
    /// Something failed; the next ping decides.
    Doubtful(Trouble),
    Down(Trouble),
}

impl Link {
    /// Starts connecting, on the runtime that calls this; drives the
    /// connection there, too. Ends when the last user lets go of it.
    pub fn open(address: &Address, health: Arc<Health>) -> Arc<Self> {
        let link = Arc::new(Self {
            address: address.clone(),
            health,
            state: watch::Sender::new(State::Starting),
            breaker: Mutex::new(Breaker::new(Instant::now())),
            tainted: AtomicBool::new(false),
            doubt: Notify::new(),
            sluggish: Notify::new(),
        });
        tokio::spawn(keep(Arc::downgrade(&link)));
        link
    }

    /// The connection, if it is up. Waits only for the very first attempt.
    pub async fn connection(&self) -> Result<Connection, Trouble> {
        if let Some(answer) = self.usable() {
            return answer;
        }
        // In a box, so that no other request carries room for it.
        Box::pin(self.started()).await;
        self.usable().unwrap_or(Err(Trouble::Away))
    }

    async fn started(&self) {
        let mut states = self.state.subscribe();
        let started = states.wait_for(|state| !matches!(state, State::Starting));
        let _ = timeout(DEADLINE, started).await;
    }

    /// A command ended after this long, by `trouble` if it failed. The breaker
    /// may open on that.
    pub fn called(&self, took: Duration, trouble: Option<&Trouble>) {
        match trouble {
            Some(trouble) if trouble.is_about_the_connection() => self.suspect(trouble),
            _ if took > SLOW || self.tainted.load(Ordering::Relaxed) => self.weigh(took),
            _ => (),
        }
    }

    fn weigh(&self, took: Duration) {
        let mut breaker = self.breaker();
        if breaker.answered(took) {
            self.sluggish.notify_one();
        }
        self.tainted.store(breaker.is_tainted(), Ordering::Relaxed);
    }

    /// Changes the breaker, and tells `Health` if its state changed.
    fn turn(&self, change: impl FnOnce(&mut Breaker)) {
        let mut breaker = self.breaker();
        let before = breaker.state();
        change(&mut breaker);
        self.health.turned(before, breaker.state());
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().expect("a breaker does not panic")
    }

    /// A command failed by `trouble`: nobody else shall run into it.
    fn suspect(&self, trouble: &Trouble) {
        self.turn(|breaker| {
            breaker.failed(Instant::now());
        });
        self.doubt(trouble);
    }

    fn doubt(&self, trouble: &Trouble) {
        self.state.send_if_modified(|state| {
            let was_up = matches!(state, State::Up(_));
            if was_up {
                *state = State::Doubtful(trouble.clone());
            }
            was_up
        });
        self.doubt.notify_one();
    }

    fn usable(&self) -> Option<Result<Connection, Trouble>> {
        match &*self.state.borrow() {
            State::Up(connection) => Some(Ok(connection.clone())),
            State::Doubtful(trouble) | State::Down(trouble) => Some(Err(trouble.to_the_next())),
            State::Starting => None,
        }
    }

    /// Connects, checks that the server answers, and replays what was deferred.
    async fn connect(&self) -> Result<Connection, Trouble> {
        let connection = Connection::open(&self.address, CONNECT).await?;
        ping(&connection).await?;
        self.ask_time(&connection).await?;
        self.replay(&connection).await?;
        Ok(connection)
    }

    /// What time it is there, to date copies by. A server that denies TIME is
    /// dated by our own clock.
    async fn ask_time(&self, connection: &Connection) -> Result<(), Trouble> {
        let Reply { value, sent, .. } = connection.one(&redis::cmd("TIME"), DEADLINE).await;
        let time = unwrapped(value?).map(redis::from_redis_value::<(u64, u64)>);
        if let Ok(Ok((seconds, micros))) = time {
            self.health.clock.set(seconds * 1_000_000 + micros, sent);
        }
        Ok(())
    }

    /// Runs the deferred invalidations, pipelined, on one connection at a time; the
    /// others go on meanwhile, as nobody uses the keys. Those that Redis refuses
    /// stay deferred and hold up no others, unless it refuses all writes.
    async fn replay(&self, connection: &Connection) -> Result<(), Trouble> {
        if !self.health.debts.any() {
            return Ok(());
        }
        let Ok(mut not_before) = self.health.replay.try_lock() else { return Ok(()) };
        if not_before.is_some_and(|it| Instant::now() < it) {
            return Ok(());
        }
        let mut refusal = None;
        for deferred in self.health.debts.all().chunks(BATCH) {
            let by_digest = |debt: &Debt| Some(debt.call());
            let (unknown, refused) = self.replay_batch(connection, deferred, by_digest).await?;
            // Redis restarted, or forgot its scripts.
            let (_, others) = self.replay_batch(connection, &unknown, Debt::by_text).await?;
            refusal = refusal.or(refused).or(others);
            if refusal.as_ref().is_some_and(Trouble::is_refused_write) {
                break;
            }
        }
        *not_before = refusal.is_some().then(|| Instant::now() + TICK);
        self.health.replayed(refusal.as_ref());
        Ok(())
    }

    /// One round trip. Returns those whose script Redis does not know, and the
    /// first refusal.
    async fn replay_batch(
        &self,
        connection: &Connection,
        deferred: &[(String, Debt)],
        call: impl Fn(&Debt) -> Option<Cmd>,
    ) -> Result<(Vec<(String, Debt)>, Option<Trouble>), Trouble> {
        let (mut pipeline, mut sent) = (Pipeline::with_capacity(deferred.len()), Vec::new());
        for (key, debt) in deferred {
            if let Some(call) = call(debt) {
                pipeline.add_command(call);
                sent.push((key, debt));
            }
        }
        let replies = parts(connection.many(&pipeline, BULK_DEADLINE).await.value?)?;
        let (mut unknown, mut refusal) = (Vec::new(), None);
        for ((key, debt), reply) in sent.into_iter().zip(replies) {
            if is_unknown(&reply) {
                unknown.push((key.clone(), debt.clone()));
                continue;
            }
            match unwrapped(reply) {
                Ok(_) => self.health.debts.paid(key, debt),
                Err(trouble) => refusal = refusal.or(Some(trouble)),
            }
        }
        Ok((unknown, refusal))
    }

    fn set(&self, state: State) {
        let was_down = matches!(*self.state.borrow(), State::Down(_));
        match &state {
            State::Down(trouble) => {
                let denied = *trouble == Trouble::Denied;
                self.turn(|breaker| breaker.missed(denied, rand::random(), Instant::now()));
                if was_down { self.health.still_lost(trouble) } else { self.health.lost(trouble) }
            }
            State::Up(_) => {
                self.turn(Breaker::close);
                self.tainted.store(false, Ordering::Relaxed);
                if was_down {
                    self.health.regained();
                }
            }
            _ => (),
        }
        self.state.send_replace(state);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.turn(Breaker::close);
        if matches!(*self.state.borrow(), State::Down(_)) {
            self.health.let_go();
        }
    }
}

/// The life of a link: connect, hold, and again.
async fn keep(link: Weak<Link>) {
    loop {
        let Some(held) = link.upgrade() else { return };
        held.turn(Breaker::probe);
        let trouble = match held.connect().await {
            Ok(connection) => {
                held.set(State::Up(connection.clone()));
                drop(held);
                hold(&link, connection).await
            }
            Err(trouble) => trouble,
        };
        let Some(held) = link.upgrade() else { return };
        held.set(State::Down(trouble.before_any()));
        let rest = held.breaker().rest(Instant::now());
        drop(held);
        sleep(rest).await;
    }
}

/// Returns what went wrong, when something does.
async fn hold(link: &Weak<Link>, connection: Connection) -> Trouble {
    let Some(mut losses) = link.upgrade().map(|held| held.health.losses()) else {
        return Trouble::Away;
    };
    let mut asked_time = Instant::now();
    loop {
        let Some(held) = link.upgrade() else { return Trouble::Away };
        let (doubted, suspected) = tokio::select! {
            () = held.doubt.notified() => (true, true),
            () = held.sluggish.notified() => (false, true),
            _ = losses.changed() => (false, false),
            () = sleep(TICK) => (false, false),
        };
        if doubted {
            let rest = held.breaker().rest(Instant::now());
            sleep(rest).await;
            held.turn(Breaker::probe);
        }
        let took = match ping(&connection).await {
            Ok(took) => took,
            Err(trouble) => return trouble,
        };
        if let Err(trouble) = held.replay(&connection).await {
            return trouble;
        }
        if asked_time.elapsed() >= TIME_TICK {
            let _ = held.ask_time(&connection).await;
            asked_time = Instant::now();
        }
        if suspected && took > SLOW && is_slow(&connection).await {
            // Alive, but no use yet: probe again after a rest.
            held.set(State::Down(Trouble::Slow));
            held.doubt.notify_one();
        } else if doubted {
            held.set(State::Up(connection.clone()));
        }
    }
}

/// Whether Redis is slow after all: it may just have thawed, or this thread
/// may have more to do than it can, so that everything is slow.
async fn is_slow(connection: &Connection) -> bool {
    let lag = own_lag().await;
    ping(connection).await.is_ok_and(|took| took > SLOW && took > 4 * lag)
}

/// How long this thread keeps a task waiting that is due: a reply waits as
/// long, whatever Redis does.
async fn own_lag() -> Duration {
    let nap = Duration::from_millis(2);
    let start = Instant::now();
    sleep(nap).await;
    start.elapsed().saturating_sub(nap)
}

/// How long a sign of life took.
async fn ping(connection: &Connection) -> Result<Duration, Trouble> {
    let Reply { value, took, .. } = connection.one(&redis::cmd("PING"), DEADLINE).await;
    match unwrapped(value?) {
        // A Redis that can't save says so even to a ping, and still reads.
        Err(trouble) if !trouble.is_refused_write() => Err(trouble),
        _ => Ok(took),
    }
}

/// One command, held to the deadline. A refusal is a reply like any other.
pub async fn send(link: &Link, command: &Cmd) -> Reply {
    let connection = match link.connection().await {
        Ok(connection) => connection,
        Err(trouble) => {
            return Reply { value: Err(trouble), sent: Instant::now(), took: Duration::ZERO };
        }
    };
    let reply = connection.one(command, DEADLINE).await;
    link.called(reply.took, reply.value.as_ref().err());
    reply
}

/// Several commands in one round trip. A refusal is a reply like any other.
pub async fn send_all(
    link: &Link,
    pipeline: &Pipeline,
    deadline: Duration,
) -> Result<Vec<Value>, Trouble> {
    let Reply { value, took, .. } = link.connection().await?.many(pipeline, deadline).await;
    // Bulk work may well take its time.
    let took = if deadline == DEADLINE { took } else { Duration::ZERO };
    link.called(took, value.as_ref().err());
    parts(value?)
}
