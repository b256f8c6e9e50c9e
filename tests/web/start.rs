//! How it starts and ends, with its own Redis.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    harness::{Hitrate, TestRedis, eventually, is_alive, run, send_signal, setup, text},
    proxy::Proxy,
};

#[test]
fn an_own_redis_listens_on_a_private_socket_only() {
    let hitrate = Hitrate::start();
    let socket = fs::metadata(hitrate.dir.join("var/redis.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o700);
    assert_eq!(socket.uid(), fs::metadata(&hitrate.dir).unwrap().uid());
    let port: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("port").query(&mut hitrate.own_redis()).unwrap();
    assert_eq!(port[1], "0", "no TCP port");
    let log = hitrate.log();
    for told in [
        "redis-cli -s /",
        "var/redis.sock",
        "sqlite://var/hitrate.db",
        "http://127.0.0.1:",
        "Redis connected successfully",
    ] {
        assert!(log.contains(told), "{told} is missing in\n{log}");
    }
}

#[test]
fn the_counter_survives_a_clean_restart() {
    let dir = tempfile::tempdir().unwrap();
    let hitrate = setup().in_dir(dir.path()).start();
    for _ in 0..3 {
        hitrate.get("/");
    }
    let redis = hitrate.own_redis_pid();
    assert!(hitrate.end("INT").success(), "Ctrl-C is a clean end");
    assert!(!is_alive(redis), "the own Redis ended first");
    assert_eq!(setup().in_dir(dir.path()).start().json("/")["hits"], 4);
}

#[test]
fn the_counter_survives_kill_9_and_so_does_no_child() {
    let dir = tempfile::tempdir().unwrap();
    let mut hits = 0;
    for _ in 0..2 {
        let hitrate = setup().in_dir(dir.path()).start();
        for _ in 0..25 {
            hits += 1;
            assert_eq!(hitrate.json("/")["hits"], hits);
        }
        let redis = hitrate.own_redis_pid();
        assert!(!hitrate.end("KILL").success());
        eventually(Duration::from_secs(5), "the own Redis ends, too", || !is_alive(redis));
    }
    assert_eq!(setup().in_dir(dir.path()).start().json("/")["hits"], hits + 1);
}

#[test]
fn an_own_redis_that_is_killed_comes_back_with_its_data() {
    let hitrate = Hitrate::start();
    for _ in 0..5 {
        hitrate.get("/");
    }
    send_signal(hitrate.own_redis_pid(), "KILL");
    eventually(Duration::from_secs(3), "visits are counted again", || {
        hitrate.json("/")["hits"].is_u64()
    });
    assert!(hitrate.json("/")["hits"].as_u64().unwrap() >= 7);
    assert_eq!(hitrate.logged("the managed Redis exited"), 1);
}

#[test]
fn a_second_hitrate_on_the_same_directory_says_so() {
    let hitrate = Hitrate::start();
    let settings = [("HITRATE_BIND", "127.0.0.1:0".to_owned())];
    let second = run(&hitrate.dir, &settings, &[]);
    assert!(!second.status.success());
    let told = text(&second.stderr);
    assert!(
        told.contains(&format!(
            "another hitrate (process {}) is using the data directory var",
            hitrate.pid()
        )),
        "{told}"
    );
    assert_eq!(hitrate.get("/").status, 200, "the first goes on");
}

#[test]
fn looking_does_not_keep_a_hitrate_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    run(dir.path(), &[], &["check"]);
                }
            });
        }
        for _ in 0..4 {
            assert!(setup().in_dir(dir.path()).start().end("TERM").success());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_directory_with_a_space_and_empty_variables_are_fine() {
    let dir = tempfile::tempdir().unwrap();
    let hitrate = setup()
        .in_dir(dir.path())
        .set("HITRATE_DATA_DIR", "my data")
        .set("REDIS_URL", "")
        .set("REDIS_HOST", "")
        .set("REDIS_PORT", "")
        .set("DATABASE_URL", "")
        .start();
    assert_eq!(hitrate.json("/")["hits"], 1);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["age"], 22);
    assert!(dir.path().join("my data/hitrate.db").exists());
}

#[test]
fn hitrate_can_be_stopped_while_it_retries_the_connection_to_redis() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        ("HITRATE_BIND", "127.0.0.1:0".to_owned()),
    ];
    let mut child = crate::harness::command(dir.path(), &settings);
    let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("retrying in 3 s")));
    send_signal(child.id(), "TERM");
    let start = Instant::now();
    assert!(child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_millis(2_500), "it did not try again first");
}

#[test]
fn requests_in_flight_finish_when_it_is_told_to_stop() {
    let hitrate = setup().set("HITRATE_DATABASE_DELAY", "700ms").start();
    let mut stream = hitrate.connect();
    write!(
        stream,
        "GET /profiles?id=123 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        hitrate.address
    )
    .unwrap();
    let mut viewer = hitrate.connect();
    write!(viewer, "GET /stats/live HTTP/1.1\r\nHost: {}\r\n\r\n", hitrate.address).unwrap();
    let lease = || -> bool {
        let exists = redis::cmd("EXISTS").arg("hitrate:lease:{hitrate:profile:123}").to_owned();
        exists.query(&mut hitrate.own_redis()).unwrap()
    };
    eventually(Duration::from_secs(1), "it loads", lease);
    viewer.read_exact(&mut [0; 16]).unwrap();
    let redis = hitrate.own_redis_pid();
    let start = Instant::now();
    assert!(hitrate.end("TERM").success());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Shaunak Dhande"), "{answer}");
    assert!(answer.contains("stored in Redis"), "Redis was there until the last request");
    assert!(!is_alive(redis));
}

/// A PATH on which there is a shell, and no server.
fn path_without_servers(dir: &Path) -> String {
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["sh", "cat", "kill"] {
        symlink(Path::new("/bin").join(tool), bin.join(tool)).unwrap();
    }
    bin.display().to_string()
}

#[test]
fn without_a_server_binary_it_says_what_to_install_and_serves() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_without_servers(dir.path());
    let hitrate = setup().in_dir(dir.path()).set("PATH", path).start();
    for told in [
        "sudo apt-get install redis-server",
        "sudo dnf install valkey",
        "sudo apk add redis",
        "brew install redis",
        "REDIS_URL",
    ] {
        assert_eq!(hitrate.logged(told), 1, "{told}:\n{}", hitrate.log());
    }
    assert!(hitrate.get("/").body.contains("This visit was not counted"));
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["age"], 22);
}

#[test]
fn host_and_port_name_a_redis_as_well() {
    let redis = TestRedis::start().unwrap();
    let proxy = Proxy::before(&redis);
    let hitrate =
        setup().set("REDIS_HOST", "localhost").set("REDIS_PORT", proxy.port.to_string()).start();
    assert_eq!(hitrate.json("/")["hits"], 1);
    assert_eq!(redis.command(&["GET", "hitrate:page_hits"]), "1");
    assert!(!hitrate.dir.join("var/redis.sock").exists(), "no own one");
}

#[test]
fn a_bad_setting_stops_the_start_and_names_itself() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("HITRATE_BIND", "nowhere"),
        ("HITRATE_DATABASE_DELAY", "fast"),
        ("HITRATE_PROFILE_TTL", "0"),
        ("HITRATE_PRODUCT_TTL", "-5s"),
        ("HITRATE_KEY_PREFIX", "a*"),
        ("REDIS_URL", "http://me:sesame@localhost"),
        ("REDIS_PORT", "99999"),
        ("REDIS_PORT", "x"),
        ("DATABASE_URL", "mysql://me:sesame@localhost/x"),
    ] {
        let ended = run(dir.path(), &[(name, value.to_owned())], &[]);
        let told = text(&ended.stderr);
        assert!(!ended.status.success() && told.contains(name), "{name}: {told}");
        assert!(!told.contains("sesame") && !told.contains("panicked"), "{told}");
    }
    let long = "d".repeat(120);
    let ended = run(dir.path(), &[("HITRATE_DATA_DIR", long)], &[]);
    assert!(
        text(&ended.stderr).contains("HITRATE_DATA_DIR is too long"),
        "{}",
        text(&ended.stderr)
    );
}

#[test]
fn a_malformed_profiles_file_stops_the_start_and_names_line_and_field() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let row = "{\n  \"1\": {\n    \"user_id\": \"1\",\n    \"name\": \"A\",\n    \"email\": \"a@example.com\",\n    \"age\": \"old\"\n  }\n}";
    fs::write(dir.path().join("data/user_profiles.json"), row).unwrap();
    let ended = run(dir.path(), &[], &[]);
    let told = text(&ended.stderr);
    assert!(!ended.status.success());
    assert!(told.contains("data/user_profiles.json, line 6, field 1.age: invalid value"), "{told}");
}

#[test]
fn a_profiles_file_of_ones_own_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let row = r#"{"abc": {"user_id": "abc", "name": "Ann", "email": "ann@example.com", "age": 5}}"#;
    fs::write(dir.path().join("mine.json"), row).unwrap();
    let hitrate = setup().in_dir(dir.path()).set("HITRATE_PROFILES", "mine.json").start();
    assert_eq!(hitrate.json("/profiles?id=abc")["profile"]["name"], "Ann");
    assert_eq!(hitrate.get("/profiles?id=123").status, 404, "only these");
    drop(hitrate);
    let ended = run(dir.path(), &[("HITRATE_PROFILES", "gone.json".to_owned())], &[]);
    assert!(text(&ended.stderr).contains("gone.json can't be read"));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let hitrate = Hitrate::start();
    let dir = tempfile::tempdir().unwrap();
    let ended = run(dir.path(), &[("HITRATE_BIND", hitrate.address.clone())], &[]);
    assert!(!ended.status.success());
    assert!(
        text(&ended.stderr).contains(&format!("HITRATE_BIND {} can't be used", hitrate.address))
    );
}
