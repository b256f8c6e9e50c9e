//! The ACL commands that README.md lists: no more and no less than the cache needs.

use std::{collections::BTreeSet, convert::Infallible, fs, path::Path, time::Duration};

use hitrate_cache::{
    Cache, CachePolicy, Loaded, OnWrite, Pattern, Refresh, test_util::TestRedis,
    write_behind::Flusher,
};

use crate::world::{FLUSH_POLICY, RowSink, SOON, World, named, within};

const README: &str = include_str!("../../README.md");
const MINUTE: Duration = Duration::from_secs(60);

/// The two ACL SETUSER commands of README.md.
fn set_user() -> Vec<Vec<&'static str>> {
    let lines = README.lines().filter(|line| line.starts_with("ACL SETUSER"));
    lines.map(|line| line.split(' ').collect()).collect()
}

/// A Redis with the user of README.md.
fn start() -> TestRedis {
    let redis = TestRedis::start().unwrap();
    let commands = set_user();
    assert_eq!(commands.len(), 2);
    for command in commands {
        assert_eq!(redis.command(&command), "OK");
    }
    redis
}

async fn connect(redis: &TestRedis) -> Cache {
    let url = format!("{}?user=shop&pass=password", redis.url());
    let cache = Cache::builder(&url).prefix("shop:").build().unwrap();
    cache.ready(SOON).await.unwrap();
    cache
}

async fn name() -> Result<Loaded<String>, Infallible> {
    Ok(Loaded::new(Some("Ada".to_owned())).tag("team"))
}

fn assert_nothing_is_denied(redis: &TestRedis) {
    assert_eq!(redis.command(&["ACL", "LOG"]), "");
}

#[tokio::test]
async fn the_listed_commands_suffice_for_a_cache() {
    let redis = start();
    let cache = connect(&redis).await;
    let policy = CachePolicy::ttl(MINUTE).refresh(Refresh::Off).near(MINUTE);
    let names = cache.namespace::<String>("name", policy);
    within(SOON, || cache.health().is_tracking).await;
    for _ in 0..2 {
        names.get(1, name()).await.unwrap();
    }
    // A lease that is renewed, and keys that hold something else.
    let slow = async {
        tokio::time::sleep(Duration::from_millis(90)).await;
        name().await
    };
    names.with(policy.lease(Some(Duration::from_millis(60)))).get(2, slow).await.unwrap();
    redis.command(&["RPUSH", "shop:lease:{shop:name:3}", "x"]);
    redis.command(&["SET", "shop:name:4", "x"]);
    for id in [3, 4] {
        names.get(id, name()).await.unwrap();
    }
    // A copy past its TTL.
    let short = names.with(policy.with_ttl(Duration::from_millis(1)));
    short.get(5, name()).await.unwrap();
    while short.peek(5).await.is_some() {}
    short.get(5, name()).await.unwrap();
    names.write(1, name()).await.unwrap();
    names.with(policy.on_write(OnWrite::Store)).write(1, name()).await.unwrap();
    assert_eq!(names.put_all([(6, "Ada".to_owned())]).await, Ok(1));
    let all = Pattern::parse("*").unwrap();
    for dry_run in [true, false] {
        let scan = names.invalidate_matching(&all, dry_run, |_| ()).await.unwrap();
        assert!(scan.found > 0);
    }
    let _ = (names.invalidate(1).await, names.invalidate_all().await);
    let _ = cache.invalidate_tag("team").await;
    assert_nothing_is_denied(&redis);
}

#[tokio::test]
async fn the_listed_commands_suffice_for_write_behind() {
    let world = World::on(start());
    world.origin.put("1", 30);
    let cache = connect(&world.redis).await;
    let sink = RowSink(std::sync::Arc::clone(&world.origin));
    let flusher = Flusher::start(&cache, sink, FLUSH_POLICY);
    world.write(&cache, "1", 31, &named("write-behind")).await;
    within(SOON, || world.origin.age("1") == 31).await;
    flusher.stop().await;
    assert_nothing_is_denied(&world.redis);
}

/// Whatever the tests above did not run is found in the sources.
#[test]
fn the_lists_contain_what_the_sources_call() {
    let mut called = BTreeSet::from(["EVAL", "EVALSHA"].map(str::to_owned));
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut called);
    let words = set_user().concat();
    let commands = words.iter().filter_map(|word| word.strip_prefix('+'));
    let listed: BTreeSet<_> =
        commands.map(|it| it.split('|').next().unwrap().to_uppercase()).collect();
    assert_eq!(listed, called);
}

/// Collects the commands in scripts, and in sources up to their tests. `redis/` also has
/// commands for the users of its client.
fn collect(folder: &Path, called: &mut BTreeSet<String>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("test_util") {
                collect(&path, called);
            }
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let is_client = ["info.rs", "dedicated.rs", "subscription.rs", "memory.rs"];
        if is_client.iter().any(|name| path.ends_with(Path::new("redis").join(name))) {
            continue;
        }
        let text = text.split("#[cfg(test)]").next().unwrap();
        let starts = ["redis.call('", "redis.pcall('", "command(\"", ".on(\"", "redis::cmd(\""];
        for start in starts {
            for call in text.split(start).skip(1) {
                let is_upper = |c: &char| c.is_ascii_uppercase();
                called.insert(call.chars().take_while(is_upper).collect());
            }
        }
    }
}
