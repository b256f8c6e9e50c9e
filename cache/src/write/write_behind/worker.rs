//! The flush loop: read the stream, apply the writes to the sink, settle the
//! copies, acknowledge.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout};

use super::{
    claimed::{ClaimedWrite, latest, parse_entries},
    flush_error::{FlushError, FlushStep, report},
    sink::{ApplyResult, FlushPolicy, QueuedWrite, Sink},
};
use crate::{
    Cache, Failpoint,
    fetch::retry::Backoff,
    keys,
    redis::{Client, Command, RedisError, Value},
    scripts::{self, queue},
    time::millis,
    trace::Trace,
};

/// The consumer group of all processes. [`queue::ENQUEUE`] creates it.
const GROUP: &str = "flushers";
/// Entries claimed this long ago and not acknowledged are taken over.
const ABANDONED_AFTER: Duration = Duration::from_secs(3);
/// How many batches of pending entries to examine per step: entries of live
/// consumers come first and don't count.
const SCAN_FACTOR: usize = 10;
/// Interval of checks for abandoned entries and idle consumers.
const TAKE_OVER_INTERVAL: Duration = Duration::from_secs(1);
/// While this process queues nothing, Redis is polled this often for writes of
/// other processes.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A consumer that has been idle this long and holds no entries is removed.
const CONSUMER_EXPIRY: Duration = Duration::from_secs(600);
/// Attempts before a write that the sink rejects moves to the dead-letter stream.
const MAX_ATTEMPTS: u32 = 5;
/// Backoff between failed flushes.
const RETRY_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// The task of a [`Flusher`](super::Flusher).
pub struct FlushWorker<S> {
    cache: Cache,
    sink: Arc<S>,
    policy: FlushPolicy,
    consumer: String,
    attempts: HashMap<String, u32>,
    last_takeover: Option<Instant>,
    last_poll: Option<Instant>,
    /// Whether this consumer may have entries that it has not acknowledged.
    has_unacknowledged: bool,
}

impl<S: Sink> FlushWorker<S> {
    /// Creates a worker; [`Self::run`] starts it.
    pub fn new(cache: &Cache, sink: S, policy: FlushPolicy) -> Self {
        Self {
            cache: cache.clone(),
            sink: Arc::new(sink),
            policy,
            consumer: format!("{:016x}", rand::random::<u64>()),
            attempts: HashMap::new(),
            last_takeover: None,
            last_poll: None,
            has_unacknowledged: false,
        }
    }

    fn client(&self) -> &Client {
        &self.cache.connection.client
    }

    fn tombstone_ttl(&self) -> u64 {
        millis(self.cache.shared().max_tombstone_ttl())
    }

    /// Flushes until `stop` is notified, and then once more.
    pub async fn run(mut self, stop: Arc<Notify>) {
        let mut failures = 0;
        loop {
            let pause = match failures {
                0 => self.policy.interval,
                _ => self.policy.interval + RETRY_BACKOFF.random_delay(failures),
            };
            let stopped = tokio::select! {
                () = stop.notified() => true,
                () = self.wait_until_due(pause, failures > 0) => false,
            };
            match self.flush_all().await {
                // Redis was not asked: the condition is unchanged.
                Ok(false) => (),
                flushed => {
                    failures = if flushed.is_ok() { 0 } else { failures + 1 };
                    report(&self.cache.shared().write_queue.flushing, &flushed.map(|_| ()));
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// Waits until the interval is over, or enough writes are queued.
    async fn wait_until_due(&self, pause: Duration, failing: bool) {
        let queue = &self.cache.shared().write_queue;
        let full = async {
            while failing || queue.added_since_flush() < self.policy.size as u64 {
                queue.wait_for_write().await;
            }
        };
        let _ = timeout(pause, full).await;
    }

    /// Flushes all queued writes. Returns false if there was no reason to ask
    /// Redis.
    async fn flush_all(&mut self) -> Result<bool, FlushError> {
        if !self.should_poll() {
            return Ok(false);
        }
        self.cache.shared().write_queue.reset_added();
        if self.count_queued().await? == 0 {
            self.has_unacknowledged = false;
            self.cache.shared().write_queue.taking_over.recovered();
            return Ok(true);
        }
        let retried = self.retry_unacknowledged().await;
        if !matches!(retried, Err(FlushError::Sink(_))) {
            self.flush_new().await?;
        }
        self.count_queued().await?;
        retried.map(|()| true)
    }

    /// Retries the entries that this process claimed but could not flush.
    async fn retry_unacknowledged(&mut self) -> Result<(), FlushError> {
        let mut from = "0".to_owned();
        while self.has_unacknowledged {
            let writes = self.read(&from).await?;
            let Some(last) = writes.last() else {
                self.has_unacknowledged = false;
                break;
            };
            from.clone_from(&last.id);
            self.flush(writes).await?;
            // There may be more than one batch.
            self.has_unacknowledged = true;
        }
        Ok(())
    }

    async fn flush_new(&mut self) -> Result<(), FlushError> {
        loop {
            // If the reply is lost, its entries count as claimed.
            let had_unacknowledged = std::mem::replace(&mut self.has_unacknowledged, true);
            let writes = self.read(">").await?;
            self.has_unacknowledged = had_unacknowledged;
            let count = writes.len();
            self.flush(writes).await?;
            self.has_unacknowledged |= had_unacknowledged;
            self.take_over_when_due().await;
            if count < self.policy.size {
                return Ok(());
            }
        }
    }

    /// Updates the length of the queue.
    async fn count_queued(&self) -> Result<u64, FlushError> {
        let length = self.client().on("XLEN", &keys::write_behind());
        let waiting = self
            .client()
            .run(length, &Trace::disabled())
            .await
            .map_err(FlushStep::Count.error())?;
        self.cache.shared().write_queue.set_waiting(waiting);
        Ok(waiting)
    }

    fn should_poll(&mut self) -> bool {
        let queue = &self.cache.shared().write_queue;
        let is_busy =
            queue.added_since_flush() > 0 || queue.waiting() > 0 || self.has_unacknowledged;
        let is_due = self.last_poll.is_none_or(|at| at.elapsed() >= IDLE_POLL_INTERVAL);
        if is_due {
            self.last_poll = Some(Instant::now());
        }
        is_busy || is_due
    }

    /// Takes over abandoned entries at intervals. A failure is reported but holds
    /// up nothing else: usually there is nothing to take over, and new writes don't
    /// depend on it.
    async fn take_over_when_due(&mut self) {
        if self.last_takeover.is_some_and(|at| at.elapsed() < TAKE_OVER_INTERVAL) {
            return;
        }
        self.last_takeover = Some(Instant::now());
        let taken_over = self.take_over().await;
        report(&self.cache.shared().write_queue.taking_over, &taken_over);
    }

    /// Claims and flushes entries that other consumers never acknowledged, or that
    /// this one claimed and could not flush.
    async fn take_over(&mut self) -> Result<(), FlushError> {
        loop {
            let claim = self.client().script(&queue::TAKE_OVER, &keys::write_behind());
            let claim = claim.arg(GROUP).arg(&self.consumer).arg(millis(ABANDONED_AFTER));
            let claim = claim.arg(self.policy.size).arg(SCAN_FACTOR * self.policy.size);
            let entries = self.client().run(claim, &Trace::disabled()).await;
            let writes = parse_entries(entries.map_err(FlushStep::TakeOver.error())?);
            if writes.is_empty() {
                break;
            }
            self.flush(writes).await?;
        }
        let sweep = self.client().script(&queue::SWEEP, &keys::write_behind());
        let sweep = sweep.arg(GROUP).arg(millis(CONSUMER_EXPIRY));
        let swept = self.client().run::<i64>(sweep, &Trace::disabled()).await;
        swept.map(|_| ()).map_err(FlushStep::Sweep.error())
    }

    async fn read(&self, from: &str) -> Result<Vec<ClaimedWrite>, FlushError> {
        let writes = match self.read_group(from).await {
            // The group was removed, or the stream was created without it.
            Err(RedisError::Other(code)) if code == "NOGROUP" => match self.create_group().await {
                Ok(()) => self.read_group(from).await,
                Err(error) => Err(error),
            },
            writes => writes,
        };
        writes.map_err(FlushStep::Read.error())
    }

    async fn read_group(&self, from: &str) -> Result<Vec<ClaimedWrite>, RedisError> {
        let read = self.client().command("XREADGROUP").arg("GROUP").arg(GROUP).arg(&self.consumer);
        let read = read.arg("COUNT").arg(self.policy.size).arg("STREAMS");
        let read = read.arg(self.client().full_key(&keys::write_behind())).arg(from);
        let streams: Option<Vec<(Value, Value)>> =
            self.client().run(read, &Trace::disabled()).await?;
        let first = streams.and_then(|streams| streams.into_iter().next());
        Ok(first.map(|(_, entries)| parse_entries(entries)).unwrap_or_default())
    }

    async fn create_group(&self) -> Result<(), RedisError> {
        let name = self.client().full_key(&keys::write_behind());
        let make = self.client().command("XGROUP").arg("CREATE").arg(name).arg(GROUP).arg(0);
        match self.client().run::<Value>(make.arg("MKSTREAM"), &Trace::disabled()).await {
            Err(RedisError::Other(code)) if code == "BUSYGROUP" => Ok(()),
            created => created.map(|_| ()),
        }
    }

    /// Applies the writes to the origin, settles the copies, then acknowledges. Of
    /// several writes of a key only the latest is applied, as no one could observe
    /// the others. A write whose copy could not be settled is not acknowledged.
    async fn flush(&mut self, writes: Vec<ClaimedWrite>) -> Result<(), FlushError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.has_unacknowledged = true;
        let mut ids: Vec<_> =
            writes.iter().map(|it| (it.id.clone(), it.key().to_owned())).collect();
        if self.cache.shared().observer.failpoint(Failpoint::FlushForgets) {
            self.acknowledge(&ids).await?;
        }
        let mut stuck = Vec::new();
        for it in writes.iter().filter(|it| it.write.is_none() && !it.is_deleted) {
            if !self.move_to_dead_letters(&it.id, "the entry can't be decoded").await? {
                stuck.push(it.id.clone());
            }
        }
        ids.retain(|(id, _)| !stuck.contains(id));
        let all: Vec<_> = writes.into_iter().filter_map(|it| it.write).collect();
        let (written, applied) = self.apply_latest(all).await?;
        let unsettled = self.settle(&written, &applied).await?;
        let error = unsettled.first().map(|(_, error)| error.clone());
        ids.retain(|(_, key)| unsettled.iter().all(|(it, _)| it != key));
        self.acknowledge(&ids).await?;
        self.has_unacknowledged = error.is_some();
        error.map_or(Ok(()), |error| Err(FlushStep::Settle.error()(error)))
    }

    /// Applies the latest write of each key. If one is rejected, all are applied
    /// one by one, as the write before it was acknowledged too.
    async fn apply_latest(
        &mut self,
        all: Vec<QueuedWrite>,
    ) -> Result<(Arc<[QueuedWrite]>, Vec<ApplyResult>), FlushError> {
        let latest: Arc<[QueuedWrite]> = latest(all.iter().cloned()).into();
        let is_rejected = |it: &ApplyResult| matches!(it, ApplyResult::Rejected(_));
        match self.apply(&latest).await? {
            Ok(applied) if !applied.iter().any(is_rejected) => return Ok((latest, applied)),
            Err(error) if !self.sink.is_value_error(&error) => {
                return Err(FlushError::Sink(error.into().to_string()));
            }
            _ => (),
        }
        let applied = self.apply_one_by_one(&all).await?;
        Ok((all.into(), applied))
    }

    /// Applies the writes in a separate task, so that a panic of the sink is only a
    /// failed flush.
    async fn apply(
        &self,
        writes: &Arc<[QueuedWrite]>,
    ) -> Result<Result<Vec<ApplyResult>, S::Error>, FlushError> {
        let (sink, writes) = (Arc::clone(&self.sink), Arc::clone(writes));
        let applying = tokio::spawn(async move { sink.apply(&writes).await });
        applying
            .await
            .map_err(|_| FlushError::Sink("the flush to the origin was aborted".to_owned()))
    }

    /// Applies the writes one by one, to find the one that the sink rejects.
    async fn apply_one_by_one(
        &mut self,
        writes: &[QueuedWrite],
    ) -> Result<Vec<ApplyResult>, FlushError> {
        let mut applied = Vec::new();
        for write in writes {
            match self.apply(&[write.clone()].into()).await? {
                Ok(one) => applied.extend(one),
                Err(error) => {
                    let attempts = self.attempts.entry(write.id.clone()).or_default();
                    *attempts += 1;
                    if *attempts < MAX_ATTEMPTS || !self.sink.is_value_error(&error) {
                        return Err(FlushError::Sink(error.into().to_string()));
                    }
                    applied.push(ApplyResult::Rejected("the origin rejected it repeatedly"));
                }
            }
        }
        self.attempts.clear();
        Ok(applied)
    }

    /// Updates the copies in Redis. Returns the keys whose copies could not be
    /// updated, with the error.
    async fn settle(
        &self,
        writes: &[QueuedWrite],
        applied: &[ApplyResult],
    ) -> Result<Vec<(String, RedisError)>, FlushError> {
        let each =
            writes.iter().zip(applied).map(|(write, applied)| self.settle_command(write, applied));
        let replies =
            self.client().run_each(each.collect()).await.map_err(FlushStep::Settle.error())?;
        let mut unsettled = Vec::new();
        for (write, reply) in writes.iter().zip(replies) {
            unsettled.extend(reply.err().map(|error| (write.key.clone(), error)));
        }
        // Last, as this removes the write from the stream: a pending copy without
        // its write would never expire.
        for (write, applied) in writes.iter().zip(applied) {
            if let ApplyResult::Rejected(reason) = applied
                && unsettled.iter().all(|(key, _)| *key != write.key)
                && !self.move_to_dead_letters(&write.id, reason).await?
            {
                unsettled.push((write.key.clone(), RedisError::WrongType));
            }
        }
        Ok(unsettled)
    }

    /// Builds the command that updates the copy in Redis.
    fn settle_command(&self, write: &QueuedWrite, applied: &ApplyResult) -> Command {
        let (key, tombstone_ttl) =
            (self.client().prefix().to_owned() + &write.key, self.tombstone_ttl());
        let on = |script| self.client().script_on(script, std::slice::from_ref(&key));
        let discard =
            |version: u64| on(&queue::DISCARD).arg(write.stamp).arg(tombstone_ttl).arg(version);
        match applied {
            // The ordinary copy expires, and the next lookup loads it.
            ApplyResult::Applied(version) if *version == write.version => {
                on(&queue::SETTLE).arg(write.stamp)
            }
            ApplyResult::Applied(version) => {
                let invalidate =
                    on(&scripts::INVALIDATE).arg(version.cast_signed()).arg(tombstone_ttl);
                invalidate.arg(write.stamp + 1).arg(0).arg(0)
            }
            ApplyResult::Superseded(version) => discard(*version),
            ApplyResult::Rejected(_) => discard(0),
        }
    }

    async fn acknowledge(&self, ids: &[(String, String)]) -> Result<(), FlushError> {
        let ids: Vec<_> = ids.iter().map(|(id, _)| id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let stream = keys::write_behind();
        let done = [
            self.client().on("XACK", &stream).arg(GROUP).arg(&ids),
            self.client().on("XDEL", &stream).arg(&ids),
        ];
        let done = self.client().run_many(done.into()).await;
        done.map(|_| ()).map_err(FlushStep::Acknowledge.error())
    }

    /// Moves a write to the dead-letter stream. Returns false if that stream can't
    /// take it; the write then stays queued.
    async fn move_to_dead_letters(&self, id: &str, reason: &str) -> Result<bool, FlushError> {
        let (from, to) = (keys::write_behind(), keys::dead_letters());
        let command = self
            .client()
            .script_on(
                &queue::DEAD_LETTER,
                &[self.client().full_key(&from), self.client().full_key(&to)],
            )
            .arg(id)
            .arg(reason);
        let moved = self.client().run::<i64>(command, &Trace::disabled()).await;
        let is_moved = moved.map_err(FlushStep::DeadLetter.error())? >= 0;
        match is_moved {
            true => {
                log::error!("write-behind: write {id} moved to the dead-letter stream: {reason}")
            }
            false => {
                log::error!(
                    "write-behind: can't move write {id} to the dead-letter stream: {reason}"
                )
            }
        }
        Ok(is_moved)
    }
}
