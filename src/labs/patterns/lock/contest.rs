//! The trial of the lock: many contenders, leases that expire too early, and counts of
//! the consequences.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use hitrate_cache::redis::RedisError;
use rand::RngExt as _;
use tokio::time::sleep;

use super::{
    super::{trial::Count, trial_run::TrialRun},
    ACQUIRE, FENCED, RELEASE, random,
};
use crate::labs::support::visitor_keys::KEY_TTL;

/// Duration of a lease in the trial.
const LEASE: Duration = Duration::from_millis(20);
/// Duration of the work, and of the work of an actor that pauses.
const WORK: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(60);
/// Actors without the lock give up after this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the lock is released.
#[derive(Clone, Copy)]
pub(super) enum Release {
    /// By DEL, regardless of the holder.
    Blindly,
    /// By a script that compares the token.
    OwnOnly,
}

/// Counters of all actors of a variant.
#[derive(Default)]
struct Tallies {
    inside: AtomicU64,
    overlaps: AtomicU64,
    stolen: AtomicU64,
    refused: AtomicU64,
    gave_up: AtomicU64,
}

pub(super) async fn run(
    trial_run: &Arc<TrialRun>,
    release: Release,
    fenced: bool,
) -> Result<Count, RedisError> {
    let tallies = Arc::new(Tallies::default());
    let written = trial_run
        .all(|trial_run, n| {
            let tallies = Arc::clone(&tallies);
            async move { worker(&trial_run, n, &tallies, release, fenced).await }
        })
        .await?;
    let report = trial_run.store(0).on("HGET", &trial_run.key("report")).arg("value");
    let value: Option<u64> = trial_run.run(0, report).await?;
    let written = written.into_iter().filter(|it| *it).count() as u64;
    let of = |count: &AtomicU64| count.load(SeqCst);
    let counted = Count::new(written, value.unwrap_or_default())
        .with_violation(
            "stolen",
            "Locks deleted by an actor that did not hold them",
            of(&tallies.stolen),
        )
        .with_extra(
            "overlaps",
            "Times an actor started while another was working",
            of(&tallies.overlaps),
        )
        .with_extra("refused", "Late writes rejected by the resource", of(&tallies.refused));
    Ok(match of(&tallies.gave_up) {
        0 => counted,
        gave_up => counted.with_extra("gave_up", "Gave up waiting", gave_up),
    })
}

/// Acquires the lock, works and releases it. Returns whether its write was acknowledged.
async fn worker(
    trial_run: &TrialRun,
    n: u64,
    tallies: &Tallies,
    release: Release,
    fenced: bool,
) -> Result<bool, RedisError> {
    let token = random();
    let Some(fence) = lease(trial_run, n, &token).await? else {
        tallies.gave_up.fetch_add(1, SeqCst);
        return Ok(false);
    };
    if tallies.inside.fetch_add(1, SeqCst) > 0 {
        tallies.overlaps.fetch_add(1, SeqCst);
    }
    let pause = if n % 5 == 4 { PAUSE } else { WORK };
    let written = match fenced {
        true => write_fenced(trial_run, n, fence, pause).await,
        false => write_unfenced(trial_run, n, pause).await,
    };
    tallies.inside.fetch_sub(1, SeqCst);
    let written = written?;
    tallies.refused.fetch_add(u64::from(!written), SeqCst);
    let stolen = release_lock(trial_run, n, &token, release).await?;
    tallies.stolen.fetch_add(u64::from(stolen), SeqCst);
    Ok(written)
}

/// Waits for the lock and returns the fencing token.
async fn lease(trial_run: &TrialRun, n: u64, token: &str) -> Result<Option<u64>, RedisError> {
    let (lock, fence) = (trial_run.key("lock:report"), trial_run.key("lock:report:fence"));
    let since = Instant::now();
    while since.elapsed() < TIMEOUT {
        let store = trial_run.store(n);
        let acquire = store.script_on(&ACQUIRE, &[store.full_key(&lock), store.full_key(&fence)]);
        let acquire = acquire.arg(token).arg(LEASE.as_millis() as u64).arg(KEY_TTL.as_secs());
        match trial_run.run::<u64>(n, acquire).await? {
            0 => sleep(retry_delay()).await,
            fence => return Ok(Some(fence)),
        }
    }
    Ok(None)
}

/// Random delay between two attempts, so that not all actors retry at once.
fn retry_delay() -> Duration {
    Duration::from_millis(rand::rng().random_range(5..40))
}

/// Reads, works, and writes to a resource that accepts every write.
async fn write_unfenced(trial_run: &TrialRun, n: u64, work: Duration) -> Result<bool, RedisError> {
    let (store, report) = (trial_run.store(n), trial_run.key("report"));
    let value: Option<u64> = trial_run.run(n, store.on("HGET", &report).arg("value")).await?;
    sleep(work).await;
    let more = value.unwrap_or_default() + 1;
    let set = store.on("HSET", &report).arg("value").arg(more);
    trial_run.run_all(n, vec![set, trial_run.expire(n, &report)]).await?;
    Ok(true)
}

/// Reads, works, and writes to a resource that rejects older fencing tokens.
async fn write_fenced(
    trial_run: &TrialRun,
    n: u64,
    fence: u64,
    work: Duration,
) -> Result<bool, RedisError> {
    let ask = |text: String| {
        trial_run
            .store(n)
            .script(&FENCED, &trial_run.key("report"))
            .arg(fence)
            .arg(text)
            .arg(KEY_TTL.as_secs())
    };
    let (taken, value): (bool, String) = trial_run.run(n, ask(String::new())).await?;
    if !taken {
        return Ok(false);
    }
    sleep(work).await;
    let more = value.parse::<u64>().unwrap_or_default() + 1;
    let (taken, _): (bool, String) = trial_run.run(n, ask(more.to_string())).await?;
    Ok(taken)
}

/// Releases the lock. Returns whether it deleted another actor's lock.
async fn release_lock(
    trial_run: &TrialRun,
    n: u64,
    token: &str,
    how: Release,
) -> Result<bool, RedisError> {
    let (store, lock) = (trial_run.store(n), trial_run.key("lock:report"));
    match how {
        Release::OwnOnly => {
            trial_run.run::<bool>(n, store.script(&RELEASE, &lock).arg(token)).await?;
            Ok(false)
        }
        // GETDEL is a DEL that returns the deleted value.
        Release::Blindly => {
            let held: Option<String> = trial_run.run(n, store.on("GETDEL", &lock)).await?;
            Ok(held.is_some_and(|held| held != token))
        }
    }
}
