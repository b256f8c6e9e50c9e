use std::{sync::atomic::Ordering, time::Duration};

use hitrate_cache::{
    Cache, CachePolicy, Effect,
    test_util::TestRedis,
    write_behind::{Backlog, FlushPolicy, Flusher},
};
use tokio::time::sleep;

use crate::world::{FLUSH_POLICY, RowSink, SOON, World, age, default, named, within};

fn flusher(world: &World, cache: &Cache, policy: FlushPolicy) -> Flusher {
    Flusher::start(cache, RowSink(std::sync::Arc::clone(&world.origin)), policy)
}

fn queued(world: &World) -> i64 {
    world.redis.command(&["XLEN", "test:write-behind"]).parse().unwrap()
}

/// Reads all queued entries as a consumer that never acknowledges them.
fn claim_by_dead_process(world: &World) {
    let read = ["XREADGROUP", "GROUP", "flushers", "dead", "STREAMS", "test:write-behind", ">"];
    world.redis.command(&read);
}

/// A world in which row 1 has age 30, with a cache and the write-behind policy.
async fn one_row() -> (World, Cache, CachePolicy) {
    let world = World::new();
    world.origin.put("1", 30);
    let cache = world.cache().await;
    (world, cache, named("write-behind"))
}

#[tokio::test]
async fn a_write_is_acknowledged_by_redis_and_reaches_the_origin_later() {
    let (world, cache, policy) = one_row().await;
    let written = world.write(&cache, "1", 31, &policy).await;
    assert_eq!((written.version, written.effect), (Some(2), Effect::Queued));
    assert_eq!((world.origin.age("1"), queued(&world), cache.backlog().pending), (30, 1, 1));
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31);

    let flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON, || queued(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 31);
    let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&lookup), lookup.version), (31, Some(2)));
    assert!(lookup.ttl.is_some(), "an ordinary copy");
    flusher.stop().await;
    assert_eq!(cache.backlog().pending, 0);
}

#[tokio::test]
async fn a_full_batch_is_flushed_before_the_interval_is_over() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    let _flusher =
        flusher(&world, &cache, FlushPolicy { size: 5, interval: Duration::from_secs(60) });
    for n in 0..5 {
        world.origin.put(&n.to_string(), 30);
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    within(SOON, || (0..5).all(|n| world.origin.age(&n.to_string()) == 31)).await;
}

#[tokio::test]
async fn the_last_of_many_writes_of_a_key_wins() {
    let world = World::new();
    world.origin.put("1", 0);
    let (one, other) = (world.cache().await, world.cache().await);
    let policy = named("write-behind");
    let _flushers = [flusher(&world, &one, FLUSH_POLICY), flusher(&world, &other, FLUSH_POLICY)];
    for n in 1..=100 {
        let cache = if n % 2 == 0 { &one } else { &other };
        world.write(cache, "1", n, &policy).await;
        assert_eq!(age(&world.fetch(&other, "1", &policy).await.unwrap()), n);
    }
    within(SOON, || queued(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 100);
    assert_eq!(age(&world.fetch(&one, "1", &default()).await.unwrap()), 100);
}

#[tokio::test]
async fn writes_of_different_policies_keep_their_order() {
    let world = World::new();
    world.origin.put("1", 0);
    let cache = world.cache().await;
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    let policies =
        ["write-behind", "write-through", "write-behind", "read-through", "write-around"];
    for n in 1..=60 {
        let policy = named(policies[n as usize % policies.len()]);
        world.write(&cache, "1", n, &policy).await;
        assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), n, "{policy:?}");
        if n % 7 == 0 {
            within(SOON, || queued(&world) == 0).await;
            assert_eq!(world.origin.age("1"), n);
        }
    }
    within(SOON, || queued(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 60);
}

#[tokio::test]
async fn entries_claimed_by_a_dead_process_are_taken_over() {
    let (world, cache, policy) = one_row().await;
    world.write(&cache, "1", 31, &policy).await;
    claim_by_dead_process(&world);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON * 2, || world.origin.age("1") == 31 && queued(&world) == 0).await;
}

/// Redis 6.0 has no XAUTOCLAIM, and some services disable commands.
#[tokio::test]
async fn a_server_without_xautoclaim_loses_no_write() {
    let mut world = World::new();
    // A command that does not exist, as in Redis 6.0, can't be renamed.
    let known = world.redis.command(&["COMMAND", "INFO", "XAUTOCLAIM"]);
    if !known.is_empty() {
        world = World::on(TestRedis::with_args(&["--rename-command", "XAUTOCLAIM", ""]).unwrap());
    }
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.origin.put("1", 30);
    world.write(&cache, "1", 31, &policy).await;
    claim_by_dead_process(&world);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    world.origin.put("2", 30);
    world.write(&cache, "2", 31, &policy).await;
    within(SOON, || world.origin.age("2") == 31).await;
    within(SOON * 3, || world.origin.age("1") == 31 && queued(&world) == 0).await;
    assert_eq!(cache.write_behind_failure(), None);
}

/// The entries of a dead process can't be claimed; new ones can be read.
#[tokio::test]
async fn a_failing_takeover_does_not_block_new_writes() {
    let world = World::on(TestRedis::with_args(&["--rename-command", "XCLAIM", ""]).unwrap());
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.origin.put("1", 30);
    world.write(&cache, "1", 31, &policy).await;
    claim_by_dead_process(&world);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON * 3, || cache.write_behind_failure().is_some()).await;
    for n in 2..20 {
        let id = n.to_string();
        world.origin.put(&id, 30);
        world.write(&cache, &id, 31, &policy).await;
        within(SOON, || world.origin.age(&id) == 31).await;
    }
    let (error, _) = cache.write_behind_failure().unwrap();
    assert!(error.contains("XCLAIM"), "{error}");
    // The last write is acknowledged a moment after the origin has it.
    within(SOON, || queued(&world) == 1).await;
    assert_eq!(world.origin.age("1"), 30, "the write stays queued");
}

/// Before Redis 7, an entry deleted after its delivery stays in the group's pending
/// list.
#[tokio::test]
async fn a_deleted_entry_is_taken_over_only_once() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for id in ["1", "2"] {
        world.origin.put(id, 30);
        world.write(&cache, id, 31, &policy).await;
    }
    claim_by_dead_process(&world);
    let first = ["EVAL", "return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]", "1"];
    let first = world.redis.command(&[&first[..], &["test:write-behind"]].concat());
    world.redis.command(&["XDEL", "test:write-behind", &first]);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON * 3, || world.origin.age("2") == 31).await;
    within(SOON, || {
        let pending = ["XPENDING", "test:write-behind", "flushers", "-", "+", "10"];
        world.redis.command(&pending).is_empty()
    })
    .await;
    assert_eq!(world.origin.age("1"), 30);
}

#[tokio::test]
async fn a_failing_origin_is_retried_and_yields_no_dead_letters() {
    let (world, cache, policy) = one_row().await;
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    world.write(&cache, "1", 31, &policy).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    world.write(&cache, "1", 32, &policy).await;
    within(SOON, || cache.write_behind_failure().is_some()).await;
    world.origin.fails.store(false, Ordering::SeqCst);
    within(SOON * 2, || world.origin.age("1") == 32 && queued(&world) == 0).await;
    assert_eq!(world.redis.command(&["XLEN", "test:write-behind:dead-letters"]), "0");
}

#[tokio::test]
async fn a_repeatedly_rejected_write_becomes_a_dead_letter_and_the_rest_continues() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for id in ["1", "2", "3"] {
        world.origin.put(id, 30);
        world.write(&cache, id, 31, &policy).await;
    }
    *world.origin.rejects.lock().unwrap() = Some("profile:2".to_owned());
    let undecodable = ["XADD", "test:write-behind", "*", "field", "value"];
    world.redis.command(&undecodable);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(Duration::from_secs(15), || queued(&world) == 0).await;
    assert_eq!(["1", "2", "3"].map(|id| world.origin.age(id)), [31, 30, 31]);
    assert_eq!(world.redis.command(&["XLEN", "test:write-behind:dead-letters"]), "2");
    assert_eq!(cache.count_backlog().await, Backlog { pending: 0, dead_letters: 2 });
}

#[tokio::test]
async fn a_redis_restart_with_an_append_only_file_loses_no_write() {
    let args = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut world = World::on(TestRedis::with_args(&args).unwrap());
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for n in 0..50 {
        world.origin.put(&n.to_string(), 30);
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    world.redis.restart();
    cache.ready(SOON).await.unwrap();
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON * 2, || (0..50).all(|n| world.origin.age(&n.to_string()) == 31)).await;
}

#[tokio::test]
async fn without_redis_a_write_goes_to_the_origin() {
    let mut world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.redis.kill();
    let written = world.write(&cache, "1", 31, &policy).await;
    assert!(matches!(written.effect, Effect::Deferred(_)), "{written:?}");
    assert_eq!(world.origin.age("1"), 31);
}

/// A frozen Redis runs the script when it resumes, long after that write and a
/// later one went to the origin: it must not bring the first value back.
#[tokio::test]
async fn a_write_that_redis_runs_too_late_does_nothing() {
    let (world, cache, policy) = one_row().await;
    world.fetch(&cache, "1", &policy).await.unwrap();
    world.redis.freeze();
    world.write(&cache, "1", 31, &policy).await;
    world.write(&cache, "1", 32, &policy).await;
    world.redis.thaw();
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    // Wait for many intervals: there is no event that shows that nothing was applied.
    sleep(FLUSH_POLICY.interval * 15).await;
    assert_eq!(world.origin.age("1"), 32);
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 32);
}

#[tokio::test]
async fn a_missing_consumer_group_is_created() {
    let (world, cache, policy) = one_row().await;
    world.redis.command(&["XADD", "test:write-behind", "*", "a", "b"]);
    world.write(&cache, "1", 31, &policy).await;
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON, || world.origin.age("1") == 31 && queued(&world) == 0).await;
    world.redis.command(&["XGROUP", "DESTROY", "test:write-behind", "flushers"]);
    world.write(&cache, "1", 32, &policy).await;
    within(SOON, || world.origin.age("1") == 32 && queued(&world) == 0).await;
}

#[tokio::test]
async fn an_entry_that_is_not_utf8_does_not_block_the_others() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for id in ["1", "2"] {
        world.origin.put(id, 30);
        world.write(&cache, id, 31, &policy).await;
        let add = r"return redis.call('XADD', KEYS[1], '*', '\255\254', '\255')";
        world.redis.command(&["EVAL", add, "1", "test:write-behind"]);
    }
    // The dead-letter stream is blocked as well.
    world.redis.command(&["SET", "test:write-behind:dead-letters", "in the way"]);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON, || ["1", "2"].iter().all(|id| world.origin.age(id) == 31)).await;
    within(SOON, || queued(&world) == 2).await;
    world.redis.command(&["DEL", "test:write-behind:dead-letters"]);
    within(SOON * 3, || queued(&world) == 0).await;
}

fn commands(world: &World) -> u64 {
    let info = world.redis.command(&["INFO", "stats"]);
    let line = info.lines().find_map(|it| it.strip_prefix("total_commands_processed:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn an_idle_flusher_sends_few_commands() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    for n in 0..FLUSH_POLICY.size + 5 {
        world.origin.put(&n.to_string(), 30);
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    within(SOON, || queued(&world) == 0).await;
    // Let the last flush finish before the idle second starts.
    sleep(Duration::from_millis(200)).await;
    let before = commands(&world);
    sleep(Duration::from_millis(1_000)).await;
    let sent = commands(&world) - before;
    assert!(sent < 20, "{sent} commands in an idle second");
}

#[tokio::test]
async fn settling_a_copy_is_retried() {
    let (world, cache, policy) = one_row().await;
    world.write(&cache, "1", 31, &policy).await;
    world.redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(SOON, || world.origin.age("1") == 31).await;
    // Time for a few failed attempts.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(queued(&world), 1, "not settled yet");
    world.redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    within(SOON, || queued(&world) == 0).await;
    let lookup = world.fetch(&cache, "1", &policy).await.unwrap();
    assert!(lookup.ttl.is_some(), "an ordinary copy");
}

#[tokio::test]
async fn a_dead_letter_is_no_longer_read() {
    let (world, cache, policy) = one_row().await;
    world.write(&cache, "1", 31, &policy).await;
    *world.origin.rejects.lock().unwrap() = Some("profile:1".to_owned());
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(Duration::from_secs(15), || queued(&world) == 0).await;
    assert_eq!(age(&world.fetch(&cache, "1", &default()).await.unwrap()), 30);
}

/// Both writes were acknowledged. The second is rejected, which must not lose the
/// first.
#[tokio::test]
async fn the_write_before_a_rejected_one_is_applied() {
    let (world, cache, policy) = one_row().await;
    world.write(&cache, "1", 31, &policy).await;
    world.write(&cache, "1", 99, &policy).await;
    *world.origin.rejects.lock().unwrap() = Some("\"age\":99".to_owned());
    let _flusher = flusher(&world, &cache, FLUSH_POLICY);
    within(Duration::from_secs(15), || queued(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 31);
    assert_eq!(age(&world.fetch(&cache, "1", &default()).await.unwrap()), 31);
}
