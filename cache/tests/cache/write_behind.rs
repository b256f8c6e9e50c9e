use std::{sync::atomic::Ordering, time::Duration};

use hitrate_cache::{
    Cache, Effect,
    write_behind::{Backlog, FlushPolicy, Flusher},
};
use tokio::time::sleep;

use crate::{
    redis_server::Redis,
    world::{Behind, PACE, SOON, World, age, default, named, within},
};

fn flusher(world: &World, cache: &Cache, policy: FlushPolicy) -> Flusher {
    Flusher::start(cache, Behind(std::sync::Arc::clone(&world.origin)), policy)
}

fn waiting(world: &World) -> i64 {
    redis::from_redis_value(world.redis.run(&["XLEN", "test:write-behind"])).unwrap()
}

#[tokio::test]
async fn a_write_is_done_when_redis_has_it_and_the_origin_gets_it_later() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    let written = world.write(&cache, "1", 31, &policy).await;
    assert_eq!((written.version, written.effect), (Some(2), Effect::Queued));
    assert_eq!(
        (world.origin.age("1"), waiting(&world), cache.engine().backlog().pending),
        (30, 1, 1)
    );
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 31);

    let flusher = flusher(&world, &cache, PACE);
    within(SOON, || waiting(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 31);
    let seen = world.fetch(&cache, "1", &policy).await.unwrap();
    assert_eq!((age(&seen), seen.version), (31, Some(2)));
    assert!(seen.ttl.is_some(), "an ordinary copy now");
    flusher.stop().await;
    assert_eq!(cache.engine().backlog().pending, 0);
}

#[tokio::test]
async fn enough_writes_are_flushed_before_the_interval_is_over() {
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
async fn the_last_of_many_writes_of_a_key_is_what_stays() {
    let world = World::new();
    world.origin.put("1", 0);
    let (one, other) = (world.cache().await, world.cache().await);
    let policy = named("write-behind");
    let _flushers = [flusher(&world, &one, PACE), flusher(&world, &other, PACE)];
    for n in 1..=100 {
        let cache = if n % 2 == 0 { &one } else { &other };
        world.write(cache, "1", n, &policy).await;
        assert_eq!(age(&world.fetch(&other, "1", &policy).await.unwrap()), n);
    }
    within(SOON, || waiting(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 100);
    assert_eq!(age(&world.fetch(&one, "1", &default()).await.unwrap()), 100);
}

#[tokio::test]
async fn writes_of_other_policys_and_of_this_one_keep_their_order() {
    let world = World::new();
    world.origin.put("1", 0);
    let cache = world.cache().await;
    let _flusher = flusher(&world, &cache, PACE);
    let policies =
        ["write-behind", "write-through", "write-behind", "read-through", "write-around"];
    for n in 1..=60 {
        let policy = named(policies[n as usize % policies.len()]);
        world.write(&cache, "1", n, &policy).await;
        assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), n, "{}", policy.name);
        if n % 7 == 0 {
            within(SOON, || waiting(&world) == 0).await;
            assert_eq!(world.origin.age("1"), n);
        }
    }
    within(SOON, || waiting(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 60);
}

#[tokio::test]
async fn what_a_dead_process_had_taken_is_taken_over() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.write(&cache, "1", 31, &policy).await;
    let taken = ["XREADGROUP", "GROUP", "flushers", "dead", "STREAMS", "test:write-behind", ">"];
    world.redis.run(&taken);
    let _flusher = flusher(&world, &cache, PACE);
    within(SOON * 2, || world.origin.age("1") == 31 && waiting(&world) == 0).await;
}

/// Redis 6.0 has no XAUTOCLAIM, and some services take commands away.
#[tokio::test]
async fn a_server_without_xautoclaim_loses_no_write() {
    let mut world = World::new();
    // Where it never was, as in 6.0, it can't be taken away.
    let known = world.redis.run(&["COMMAND", "INFO", "XAUTOCLAIM"]);
    if known != redis::Value::Array(vec![redis::Value::Nil]) {
        world = World::on(Redis::with(&["--rename-command", "XAUTOCLAIM", ""]));
    }
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.origin.put("1", 30);
    world.write(&cache, "1", 31, &policy).await;
    let taken = ["XREADGROUP", "GROUP", "flushers", "dead", "STREAMS", "test:write-behind", ">"];
    world.redis.run(&taken);
    let _flusher = flusher(&world, &cache, PACE);
    world.origin.put("2", 30);
    world.write(&cache, "2", 31, &policy).await;
    within(SOON, || world.origin.age("2") == 31).await;
    within(SOON * 3, || world.origin.age("1") == 31 && waiting(&world) == 0).await;
    assert_eq!(cache.engine().write_behind_failure(), None);
}

/// What a dead process left behind can't be had; what is new can.
#[tokio::test]
async fn taking_over_may_fail_for_ever_and_holds_up_nothing() {
    let world = World::on(Redis::with(&["--rename-command", "XCLAIM", ""]));
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.origin.put("1", 30);
    world.write(&cache, "1", 31, &policy).await;
    let taken = ["XREADGROUP", "GROUP", "flushers", "dead", "STREAMS", "test:write-behind", ">"];
    world.redis.run(&taken);
    let _flusher = flusher(&world, &cache, PACE);
    within(SOON * 3, || cache.engine().write_behind_failure().is_some()).await;
    for n in 2..20 {
        let id = n.to_string();
        world.origin.put(&id, 30);
        world.write(&cache, &id, 31, &policy).await;
        within(SOON, || world.origin.age(&id) == 31).await;
    }
    let (error, _) = cache.engine().write_behind_failure().unwrap();
    assert!(error.contains("XCLAIM"), "{error}");
    assert_eq!((world.origin.age("1"), waiting(&world)), (30, 1), "it waits, and nothing is lost");
}

/// As an earlier Redis than 7 leaves it: an entry deleted after it was delivered.
#[tokio::test]
async fn a_deleted_entry_is_not_taken_over_again_and_again() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for id in ["1", "2"] {
        world.origin.put(id, 30);
        world.write(&cache, id, 31, &policy).await;
    }
    let taken = ["XREADGROUP", "GROUP", "flushers", "dead", "STREAMS", "test:write-behind", ">"];
    world.redis.run(&taken);
    let first = ["EVAL", "return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]", "1"];
    let first: String =
        redis::from_redis_value(world.redis.run(&[&first[..], &["test:write-behind"]].concat()))
            .unwrap();
    world.redis.run(&["XDEL", "test:write-behind", &first]);
    let _flusher = flusher(&world, &cache, PACE);
    within(SOON * 3, || world.origin.age("2") == 31).await;
    within(SOON, || {
        let pending = ["XPENDING", "test:write-behind", "flushers", "-", "+", "10"];
        world.redis.run(&pending) == redis::Value::Array(Vec::new())
    })
    .await;
    assert_eq!(world.origin.age("1"), 30);
}

#[tokio::test]
async fn a_failing_origin_is_tried_again_and_nothing_is_set_aside() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    let _flusher = flusher(&world, &cache, PACE);
    world.write(&cache, "1", 31, &policy).await;
    world.origin.fails.store(true, Ordering::SeqCst);
    world.write(&cache, "1", 32, &policy).await;
    within(SOON, || cache.engine().write_behind_failure().is_some()).await;
    world.origin.fails.store(false, Ordering::SeqCst);
    within(SOON * 2, || world.origin.age("1") == 32 && waiting(&world) == 0).await;
    assert_eq!(world.redis.run(&["XLEN", "test:write-behind:aside"]), redis::Value::Int(0));
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_set_aside_and_the_rest_goes_on() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for id in ["1", "2", "3"] {
        world.origin.put(id, 30);
        world.write(&cache, id, 31, &policy).await;
    }
    *world.origin.refuses.lock().unwrap() = Some("profile:2".to_owned());
    let nonsense = ["XADD", "test:write-behind", "*", "what", "ever"];
    world.redis.run(&nonsense);
    let _flusher = flusher(&world, &cache, PACE);
    within(Duration::from_secs(15), || waiting(&world) == 0).await;
    assert_eq!(["1", "2", "3"].map(|id| world.origin.age(id)), [31, 30, 31]);
    assert_eq!(world.redis.run(&["XLEN", "test:write-behind:aside"]), redis::Value::Int(2));
    assert_eq!(cache.count_backlog().await, Backlog { pending: 0, dead_letters: 2 });
}

#[tokio::test]
async fn redis_restarted_with_its_file_loses_none() {
    let args = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut world = World::on(Redis::with(&args));
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for n in 0..50 {
        world.origin.put(&n.to_string(), 30);
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    world.redis.restart(&args);
    cache.store().ready(SOON).await.unwrap();
    let _flusher = flusher(&world, &cache, PACE);
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

/// A frozen Redis runs the script when it thaws, long after the write went to
/// the origin and a later one did, too: it must not bring the first back.
#[tokio::test]
async fn a_write_that_redis_runs_too_late_does_nothing() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.fetch(&cache, "1", &policy).await.unwrap();
    world.redis.signal("STOP");
    world.write(&cache, "1", 31, &policy).await;
    world.write(&cache, "1", 32, &policy).await;
    world.redis.signal("CONT");
    let _flusher = flusher(&world, &cache, PACE);
    // Nothing happens, and nothing tells that it did not: many intervals pass.
    sleep(PACE.interval * 15).await;
    assert_eq!(world.origin.age("1"), 32);
    assert_eq!(age(&world.fetch(&cache, "1", &policy).await.unwrap()), 32);
}

#[tokio::test]
async fn a_stream_without_its_group_gets_one() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.redis.run(&["XADD", "test:write-behind", "*", "a", "b"]);
    world.write(&cache, "1", 31, &policy).await;
    let _flusher = flusher(&world, &cache, PACE);
    within(SOON, || world.origin.age("1") == 31 && waiting(&world) == 0).await;
    world.redis.run(&["XGROUP", "DESTROY", "test:write-behind", "flushers"]);
    world.write(&cache, "1", 32, &policy).await;
    within(SOON, || world.origin.age("1") == 32 && waiting(&world) == 0).await;
}

#[tokio::test]
async fn one_entry_that_is_no_text_keeps_none_of_the_others() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    for id in ["1", "2"] {
        world.origin.put(id, 30);
        world.write(&cache, id, 31, &policy).await;
        redis::cmd("XADD")
            .arg("test:write-behind")
            .arg("*")
            .arg(b"\xff\xfe")
            .arg(b"\xff")
            .query::<String>(&mut world.redis.connection())
            .unwrap();
    }
    // There is no place to set anything aside, either.
    world.redis.run(&["SET", "test:write-behind:aside", "in the way"]);
    let _flusher = flusher(&world, &cache, PACE);
    within(SOON, || ["1", "2"].iter().all(|id| world.origin.age(id) == 31)).await;
    within(SOON, || waiting(&world) == 2).await;
    world.redis.run(&["DEL", "test:write-behind:aside"]);
    within(SOON * 3, || waiting(&world) == 0).await;
}

fn commands(world: &World) -> u64 {
    let info: String = redis::from_redis_value(world.redis.run(&["INFO", "stats"])).unwrap();
    let line = info.lines().find_map(|it| it.strip_prefix("total_commands_processed:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_flusher_with_nothing_to_do_asks_for_nothing() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, named("write-behind"));
    let _flusher = flusher(&world, &cache, PACE);
    for n in 0..PACE.size + 5 {
        world.origin.put(&n.to_string(), 30);
        world.write(&cache, &n.to_string(), 31, &policy).await;
    }
    within(SOON, || waiting(&world) == 0).await;
    // What the last flush has still to ask, and then the idle second itself.
    sleep(Duration::from_millis(200)).await;
    let before = commands(&world);
    sleep(Duration::from_millis(1_000)).await;
    let asked = commands(&world) - before;
    assert!(asked < 20, "{asked} commands in an idle second");
}

#[tokio::test]
async fn a_copy_that_could_not_be_settled_is_settled_later() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.write(&cache, "1", 31, &policy).await;
    world.redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let _flusher = flusher(&world, &cache, PACE);
    within(SOON, || world.origin.age("1") == 31).await;
    // Time for a few tries in vain.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(waiting(&world), 1, "not done yet");
    world.redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    within(SOON, || waiting(&world) == 0).await;
    let seen = world.fetch(&cache, "1", &policy).await.unwrap();
    assert!(seen.ttl.is_some(), "an ordinary copy");
}

#[tokio::test]
async fn a_write_that_was_set_aside_is_not_read_for_ever() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.write(&cache, "1", 31, &policy).await;
    *world.origin.refuses.lock().unwrap() = Some("profile:1".to_owned());
    let _flusher = flusher(&world, &cache, PACE);
    within(Duration::from_secs(15), || waiting(&world) == 0).await;
    assert_eq!(age(&world.fetch(&cache, "1", &default()).await.unwrap()), 30);
}

/// Both were acknowledged; the second can't be kept, and the first is not lost
/// with it.
#[tokio::test]
async fn the_write_before_one_that_is_refused_is_written() {
    let world = World::new();
    world.origin.put("1", 30);
    let (cache, policy) = (world.cache().await, named("write-behind"));
    world.write(&cache, "1", 31, &policy).await;
    world.write(&cache, "1", 99, &policy).await;
    *world.origin.refuses.lock().unwrap() = Some("\"age\":99".to_owned());
    let _flusher = flusher(&world, &cache, PACE);
    within(Duration::from_secs(15), || waiting(&world) == 0).await;
    assert_eq!(world.origin.age("1"), 31);
    assert_eq!(age(&world.fetch(&cache, "1", &default()).await.unwrap()), 31);
}
