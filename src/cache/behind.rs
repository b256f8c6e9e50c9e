//! Write-behind: what takes the waiting writes to the origin.
//!
//! Writes wait in a Redis stream with a consumer group (redis.io/docs: "Redis
//! Streams"). Every process has a flusher. It takes writes off the stream by
//! size or by interval, gives them to the [`Sink`] in one transaction, settles
//! the copies, and only then acknowledges them. So each write arrives at least
//! once; the stamp makes the second time do nothing. What a dead process had
//! taken is taken over; what the sink refuses for good is set aside.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use super::{Cache, Engine, backoff::Backoff, failure::Fault, scripts, writing::MARK_TTL};
use crate::{
    broken::{self, Broken},
    clock::millis,
    keys,
    mood::Mood,
    store::{Command, Store, Trouble, Value, typed},
    wire::Wire,
};

/// The consumer group: one for all processes. [`scripts::ENQUEUE`] makes it.
const GROUP: &str = "flushers";
/// What was taken this long ago and not acknowledged is taken over.
const ABANDONED: Duration = Duration::from_secs(3);
/// Time between two looks for abandoned writes and for consumers who are gone.
const ROUNDS: Duration = Duration::from_secs(1);
/// While nobody writes behind, Redis is only asked now and then whether some
/// other process left something.
const IDLE: Duration = Duration::from_secs(2);
/// A consumer that was not heard of for so long, and holds nothing, is removed.
const GONE: Duration = Duration::from_secs(600);
/// A write that the sink refuses so many times is set aside.
const ATTEMPTS: u32 = 5;
/// Between two attempts.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), most: Duration::from_secs(1) };
/// How long the last round may take when hitrate stops.
const LAST: Duration = Duration::from_secs(1);

/// One write that the origin does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its id in the stream.
    pub id: String,
    /// The key, without prefix.
    pub key: String,
    /// The version that the copy in Redis has.
    pub version: u64,
    /// When it was acknowledged, in microseconds since 1970 by Redis's clock;
    /// no two writes of one key have the same.
    pub stamp: u64,
    /// The value as JSON.
    pub value: String,
}

/// What became of a write at the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The origin has it, under this version.
    As(u64),
    /// The origin has something later.
    Superseded,
    /// It can never have it.
    Refused(&'static str),
}

/// Where waiting writes go.
pub trait Sink: Send + Sync + 'static {
    /// What goes wrong there.
    type Error: Fault;

    /// Writes all of them, in this order, in one transaction: each only where
    /// its stamp is later than that of the row. What is there already with the
    /// same stamp counts as written.
    fn apply(
        &self,
        writes: &[Pending],
    ) -> impl Future<Output = Result<Vec<Applied>, Self::Error>> + Send;
}

/// When waiting writes are flushed.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// As soon as so many wait, and never more at once.
    pub size: usize,
    /// At the latest after this long.
    pub interval: Duration,
}

/// What a process knows of the waiting writes.
#[derive(Debug, Default)]
pub struct Queue {
    added: AtomicU64,
    full: Notify,
    waiting: AtomicU64,
}

impl Queue {
    /// One more waits.
    pub(super) fn added(&self) {
        self.added.fetch_add(1, Ordering::AcqRel);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.full.notify_one();
    }

    /// How many wait, in all processes, as of the last look.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }
}

/// Takes waiting writes to the origin until it is stopped.
pub struct Flusher {
    task: JoinHandle<()>,
    stop: Arc<Notify>,
}

impl Flusher {
    /// Starts flushing, on the calling runtime.
    pub fn start(cache: &Cache, sink: impl Sink, pace: Pace) -> Self {
        let stop = Arc::new(Notify::new());
        let round = Round::new(cache, sink, pace);
        Self { task: tokio::spawn(round.keep(Arc::clone(&stop))), stop }
    }

    /// Flushes a last time, within a bound; what stays waits in Redis.
    pub async fn stop(self) {
        self.stop.notify_one();
        let _ = timeout(LAST, self.task).await;
    }
}

/// Why a round ended early.
enum Stuck {
    /// At the sink.
    At(String),
    /// At Redis.
    Redis(Trouble),
}

impl From<Trouble> for Stuck {
    fn from(trouble: Trouble) -> Self {
        Self::Redis(trouble)
    }
}

struct Round<S> {
    store: Store,
    engine: Arc<Engine>,
    sink: S,
    pace: Pace,
    consumer: String,
    mood: Mood<String>,
    refused: HashMap<String, u32>,
    looked: Option<Instant>,
    asked: Option<Instant>,
}

impl<S: Sink> Round<S> {
    fn new(cache: &Cache, sink: S, pace: Pace) -> Self {
        Self {
            store: cache.store.clone(),
            engine: Arc::clone(&cache.engine),
            sink,
            pace,
            consumer: format!("{:016x}", rand::random::<u64>()),
            mood: Mood::good("Write-behind (acknowledged writes wait in Redis)"),
            refused: HashMap::new(),
            looked: None,
            asked: None,
        }
    }

    async fn keep(mut self, stop: Arc<Notify>) {
        let mut failures = 0;
        loop {
            let pause = match failures {
                0 => self.pace.interval,
                _ => self.pace.interval + AGAIN.draw(failures),
            };
            let stopped = tokio::select! {
                () = stop.notified() => true,
                () = self.due(pause, failures > 0) => false,
            };
            match self.flush_all().await {
                Ok(()) => {
                    failures = 0;
                    self.mood.well();
                }
                Err(Stuck::At(what)) => {
                    failures += 1;
                    self.mood.bad(&what);
                }
                // Its connection tells that itself.
                Err(Stuck::Redis(trouble)) => {
                    failures += 1;
                    log::debug!("write-behind: {trouble}");
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// The interval is over, or enough writes wait.
    async fn due(&self, pause: Duration, failing: bool) {
        let queue = &self.engine.pending;
        let full = async {
            while failing || queue.added.load(Ordering::Acquire) < self.pace.size as u64 {
                queue.full.notified().await;
            }
        };
        let _ = timeout(pause, full).await;
    }

    async fn flush_all(&mut self) -> Result<(), Stuck> {
        if !self.is_worth_a_look() {
            return Ok(());
        }
        let length = self.store.read("XLEN", &keys::write_behind());
        if self.store.run::<u64>(length, &Wire::off()).await? == 0 {
            self.engine.pending.waiting.store(0, Ordering::Release);
            return Ok(());
        }
        if self.looked.is_none_or(|at| at.elapsed() >= ROUNDS) {
            self.take_over().await?;
            self.looked = Some(Instant::now());
        }
        loop {
            let writes = self.take(">").await?;
            let count = writes.len();
            self.flush(writes).await?;
            if count < self.pace.size {
                break;
            }
        }
        let length = self.store.read("XLEN", &keys::write_behind());
        let waiting = self.store.run(length, &Wire::off()).await?;
        self.engine.pending.waiting.store(waiting, Ordering::Release);
        Ok(())
    }

    fn is_worth_a_look(&mut self) -> bool {
        let queue = &self.engine.pending;
        let is_busy = queue.added.load(Ordering::Acquire) > 0 || queue.waiting() > 0;
        let is_time = self.asked.is_none_or(|at| at.elapsed() >= IDLE);
        if is_time {
            self.asked = Some(Instant::now());
        }
        is_busy || is_time
    }

    /// What others took and never acknowledged, and what we took before and
    /// could not flush.
    async fn take_over(&mut self) -> Result<(), Stuck> {
        loop {
            let claim = self.store.write("XAUTOCLAIM", &keys::write_behind());
            let claim = claim.arg(GROUP).arg(&self.consumer).arg(millis(ABANDONED)).arg("0-0");
            let claim = claim.arg("COUNT").arg(self.pace.size);
            let reply: Vec<Value> = match self.store.run(claim, &Wire::off()).await {
                Err(Trouble::Other(code)) if code == "NOGROUP" => return Ok(()),
                reply => reply?,
            };
            let writes = reply.into_iter().nth(1).map(entries).unwrap_or_default();
            if writes.is_empty() {
                break;
            }
            self.flush(writes).await?;
        }
        let sweep = self.store.removing_script(scripts::SWEEP, &keys::write_behind());
        let sweep = sweep.arg(GROUP).arg(millis(GONE));
        self.store.run::<i64>(sweep, &Wire::off()).await?;
        Ok(())
    }

    async fn take(&self, from: &str) -> Result<Vec<(String, Option<Pending>)>, Trouble> {
        let read = self.store.command("XREADGROUP").arg("GROUP").arg(GROUP).arg(&self.consumer);
        let read = read.arg("COUNT").arg(self.pace.size).arg("STREAMS");
        let read = read.arg(self.store.name(&keys::write_behind())).arg(from);
        match self.store.run::<Option<Vec<(Value, Value)>>>(read, &Wire::off()).await {
            Ok(Some(streams)) => {
                Ok(streams.into_iter().next().map(|(_, it)| entries(it)).unwrap_or_default())
            }
            Ok(None) => Ok(Vec::new()),
            // The first write makes it.
            Err(Trouble::Other(code)) if code == "NOGROUP" => Ok(Vec::new()),
            Err(trouble) => Err(trouble),
        }
    }

    /// To the origin, then off the stream. Of several writes of one key only
    /// the latest is written: nobody could see the others in between.
    async fn flush(&mut self, taken: Vec<(String, Option<Pending>)>) -> Result<(), Stuck> {
        if taken.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = taken.iter().map(|(id, _)| id.clone()).collect();
        if broken::is(Broken::FlushForgets) {
            self.acknowledge(&ids, Vec::new()).await?;
        }
        for (id, _) in taken.iter().filter(|(_, write)| write.is_none()) {
            self.set_aside(id, "it can't be read").await?;
        }
        let latest = latest(taken.into_iter().filter_map(|(_, write)| write));
        let applied = match self.sink.apply(&latest).await {
            Ok(applied) => applied,
            Err(fault) if fault.is_about_the_value() => self.one_by_one(&latest).await?,
            Err(fault) => return Err(Stuck::At(fault.to_string())),
        };
        let mut settle = Vec::new();
        for (write, applied) in latest.iter().zip(&applied) {
            match applied {
                Applied::Refused(why) => self.set_aside(&write.id, why).await?,
                applied => settle.extend(self.settling(write, applied)),
            }
        }
        Ok(self.acknowledge(&ids, settle).await?)
    }

    /// Finds the one that the sink refuses.
    async fn one_by_one(&mut self, writes: &[Pending]) -> Result<Vec<Applied>, Stuck> {
        let mut applied = Vec::new();
        for write in writes {
            match self.sink.apply(std::slice::from_ref(write)).await {
                Ok(one) => applied.extend(one),
                Err(fault) => {
                    let attempts = self.refused.entry(write.id.clone()).or_default();
                    *attempts += 1;
                    if *attempts < ATTEMPTS || !fault.is_about_the_value() {
                        return Err(Stuck::At(fault.to_string()));
                    }
                    applied.push(Applied::Refused("the database refused it again and again"));
                }
            }
        }
        self.refused.clear();
        Ok(applied)
    }

    /// What the copy in Redis becomes.
    fn settling(&self, write: &Pending, applied: &Applied) -> Option<Command> {
        let (key, mark) = (self.store.prefix().to_owned() + &write.key, millis(MARK_TTL));
        let on = |script| self.store.removing_script_on(script, &key);
        match applied {
            // An ordinary copy ends some time; the next lookup loads it then.
            Applied::As(version) if *version == write.version => {
                Some(on(scripts::SETTLE).arg(write.stamp))
            }
            Applied::As(version) => Some(
                on(scripts::FORGET)
                    .arg(version.cast_signed())
                    .arg(mark)
                    .arg(write.stamp + 1)
                    .arg(0),
            ),
            Applied::Superseded => Some(on(scripts::DISCARD).arg(write.stamp).arg(mark)),
            Applied::Refused(_) => None,
        }
    }

    async fn acknowledge(&self, ids: &[String], mut before: Vec<Command>) -> Result<(), Trouble> {
        let stream = keys::write_behind();
        before.push(self.store.remove("XACK", &stream).arg(GROUP).arg(ids));
        before.push(self.store.remove("XDEL", &stream).arg(ids));
        self.store.run_many(before).await.map(|_| ())
    }

    async fn set_aside(&self, id: &str, why: &str) -> Result<(), Trouble> {
        log::error!("write-behind: a write is set aside, {why}: {id}");
        let (from, to) = (keys::write_behind(), keys::write_behind_aside());
        let set = self.store.script_on_two(scripts::SET_ASIDE, &from, &to).arg(id).arg(why);
        self.store.run::<Value>(set, &Wire::off()).await.map(|_| ())
    }
}

/// The last write of each key, in the order of the stream.
fn latest(writes: impl Iterator<Item = Pending>) -> Vec<Pending> {
    let mut latest: Vec<Pending> = Vec::new();
    for write in writes {
        latest.retain(|it| it.key != write.key || it.stamp > write.stamp);
        if latest.iter().all(|it| it.key != write.key) {
            latest.push(write);
        }
    }
    latest
}

/// Entries of a stream: id, and the write if it can be read.
fn entries(value: Value) -> Vec<(String, Option<Pending>)> {
    let entries: Vec<(String, Option<HashMap<String, String>>)> = typed(value).unwrap_or_default();
    let read = |(id, fields): (String, Option<HashMap<String, String>>)| {
        // Nil fields: it was deleted after it was taken, so nothing waits.
        let fields = fields?;
        let write = pending(&id, &fields);
        Some((id, write))
    };
    entries.into_iter().filter_map(read).collect()
}

fn pending(id: &str, fields: &HashMap<String, String>) -> Option<Pending> {
    let number = |name| fields.get(name)?.parse().ok();
    Some(Pending {
        id: id.to_owned(),
        key: fields.get("key")?.clone(),
        version: number("version")?,
        stamp: number("stamp")?,
        value: fields.get("value")?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, stamp: u64) -> Pending {
        let (id, key) = (stamp.to_string(), key.to_owned());
        Pending { id, key, version: stamp, stamp, value: String::new() }
    }

    #[test]
    fn of_several_writes_of_a_key_the_latest_is_left() {
        let writes = [write("a", 1), write("b", 2), write("a", 4), write("a", 3)];
        let left: Vec<_> = latest(writes.into_iter()).iter().map(|it| it.stamp).collect();
        assert_eq!(left, [2, 4]);
    }
}
