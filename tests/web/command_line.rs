use std::{
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use crate::harness::{Hitrate, TestRedis, command, run, setup, text};

fn settings(redis: &TestRedis) -> Vec<(&'static str, String)> {
    vec![
        ("REDIS_URL", redis.url()),
        ("HITRATE_DATABASE_DELAY", "0".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
    ]
}

fn ok(dir: &Path, redis: &TestRedis, args: &[&str]) -> String {
    let done = run(dir, &settings(redis), args);
    assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn seed_and_warm_fill_database_and_cache() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    assert!(ok(dir.path(), &redis, &["seed", "--users", "978"]).contains("978 profiles added"));
    assert!(
        ok(dir.path(), &redis, &["seed", "--users", "978"])
            .contains("0 profiles added, 978 already existed")
    );

    // 978 synthetic ones and the file's 22 are a thousand.
    let told = ok(dir.path(), &redis, &["warm", "--batch", "100"]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "Progress: 10.0% (100/1000 records)");
    assert_eq!(lines[9], "Progress: 100.0% (1000/1000 records)");
    assert_eq!(lines[10], "1000 profiles are in the cache");
    assert_eq!(redis.command(&["DBSIZE"]), "1001", "and the tag");
    let ttl: i64 = redis.command(&["TTL", "hitrate:profile:user-1"]).parse().unwrap();
    assert!((265..=300).contains(&ttl), "up to a tenth shorter than 300 s: {ttl}");

    let hitrate = setup().in_dir(dir.path()).redis(&redis).start();
    let told = hitrate.json("/profiles?id=user-978");
    assert_eq!(told["source"], "cache");
    let name = told["profile"]["name"].as_str().unwrap();
    assert!(name.len() == 8 && name.bytes().all(|b| b.is_ascii_alphanumeric()), "{name}");
}

#[test]
fn a_hundred_thousand_users_are_seeded_and_warmed() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    assert!(
        ok(dir.path(), &redis, &["seed", "--users", "100000"]).contains("100000 profiles added")
    );
    let told = ok(dir.path(), &redis, &["warm", "--batch", "1000"]);
    assert!(told.contains("100022 profiles are in the cache"), "{}", told.lines().last().unwrap());
}

#[test]
fn lookup_prints_the_documents_two_lines() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    let fetched = "Fetched user profile: {'user_id': '123', 'name': 'Shaunak Dhande', \
                   'email': 'shaunak.dhande@example.com', 'age': 22}\n";
    let miss =
        "User profile for 123 not found in cache. Fetched from the database and stored in Redis.\n";
    let hit = "User profile for 123 found in Redis cache.\n";
    assert_eq!(ok(dir.path(), &redis, &["lookup", "123"]), format!("{miss}{fetched}"));
    assert_eq!(ok(dir.path(), &redis, &["lookup", "123"]), format!("{hit}{fetched}"));

    let mut asked = command(dir.path(), &settings(&redis));
    let mut asked =
        asked.arg("lookup").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    asked.stdin.take().unwrap().write_all(b"123\n").unwrap();
    let told = text(&asked.wait_with_output().unwrap().stdout);
    assert_eq!(told, format!("Enter user-id: {hit}{fetched}"));
}

#[test]
fn lookup_of_nobody_or_nonsense_fails_in_one_line() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    for (id, told) in [("nobody", "no profile has the id nobody"), ("a:b", "An id is 1 to 64")] {
        let ended = run(dir.path(), &settings(&redis), &["lookup", id]);
        assert_eq!(ended.status.code(), Some(1));
        assert!(text(&ended.stderr).contains(told), "{}", text(&ended.stderr));
    }
}

#[test]
fn lookup_works_without_redis() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        ("HITRATE_DATABASE_DELAY", "0".to_owned()),
    ];
    let done = run(dir.path(), &settings, &["lookup", "123"]);
    assert!(done.status.success());
    assert!(text(&done.stdout).contains("It was not stored in Redis: Redis can't be reached"));
    assert!(text(&done.stdout).contains("'name': 'Shaunak Dhande'"));
}

#[test]
fn commands_share_the_own_redis_of_a_running_hitrate() {
    let hitrate = Hitrate::start();
    let settings = [("HITRATE_DATABASE_DELAY", "0".to_owned())];
    assert!(run(&hitrate.dir, &settings, &["lookup", "123"]).status.success());
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache");
    let checked = run(&hitrate.dir, &settings, &["check"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
}

#[test]
fn a_command_alone_starts_and_ends_a_redis_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let done = run(dir.path(), &[("HITRATE_DATABASE_DELAY", "0".to_owned())], &["warm"]);
    assert!(text(&done.stdout).contains("22 profiles are in the cache"), "{}", text(&done.stderr));
    let hitrate = setup().in_dir(dir.path()).start();
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache", "kept by its append-only file");
}

fn lines(checked: &Output) -> Vec<String> {
    text(&checked.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn check_tells_each_dependency() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().in_dir(dir.path()).redis(&redis).start();
    let settings = [("REDIS_URL", redis.url()), ("HITRATE_BIND", hitrate.address.clone())];
    let checked = run(dir.path(), &settings, &["check"]);
    assert!(checked.status.success());
    assert!(lines(&checked)[0].starts_with("✅ Redis is healthy"), "{checked:?}");
    assert!(lines(&checked)[1].starts_with("✅ Database is healthy"));
    assert!(run(dir.path(), &settings, &["check", "--ready"]).status.success());

    redis.kill();
    let checked = run(dir.path(), &settings, &["check"]);
    assert!(!checked.status.success());
    assert_eq!(lines(&checked)[0], "❌ Redis connection failed: Redis can't be reached");
    let ready = run(dir.path(), &settings, &["check", "--ready"]);
    assert!(ready.status.success(), "hitrate serves without Redis: {ready:?}");
    assert!(text(&ready.stdout).contains("❌ Redis is down"));

    drop(hitrate);
    assert!(!run(dir.path(), &settings, &["check", "--ready"]).status.success());
    let empty = tempfile::tempdir().unwrap();
    let checked = run(empty.path(), &[], &["check"]);
    assert!(!checked.status.success() && lines(&checked).iter().all(|line| line.starts_with('❌')));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn help_names_every_setting() {
    let dir = tempfile::tempdir().unwrap();
    let help = text(&run(dir.path(), &[], &["--help"]).stdout);
    for name in [
        "HITRATE_BIND",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "DATABASE_URL",
        "HITRATE_DATA_DIR",
        "HITRATE_KEY_PREFIX",
        "HITRATE_DATABASE_DELAY",
        "HITRATE_PROFILE_TTL",
        "HITRATE_PRODUCT_TTL",
        "HITRATE_PROFILES",
    ] {
        assert!(help.contains(name), "{name}");
    }
    for bad in [["seed", "--users", "0"], ["warm", "--batch", "-1"], ["warm", "--batch", "1000000"]]
    {
        assert_eq!(run(dir.path(), &[], &bad).status.code(), Some(2), "{bad:?}");
    }
}
