//! The server of the tests: it does what it is told, and never outlives them.

use std::{
    env, fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write, stdin},
    os::unix::{fs::symlink, net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hitrate_cache::test_util::{TestRedis, TestRedisError};

use crate::timing::eventually;

/// Asserts that no server is left on this socket.
fn assert_gone(socket: &Path) {
    let error = UnixStream::connect(socket).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound), "{error}");
}

/// A process of its own that runs one of the ignored tests.
fn spawn(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", &format!("test_redis::{test}")]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a server in a process with this variable. Returns its reply to a `PING`, or
/// why there is none.
fn ping_with(name: &str, value: &Path) -> String {
    let output = spawn("starts_a_server").env(name, value).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
#[ignore = "other tests run it in a process of its own"]
fn starts_a_server() {
    match TestRedis::start() {
        Ok(redis) => eprintln!("{}", redis.command(&["PING"])),
        Err(error) => eprintln!("{error}"),
    }
}

#[test]
fn each_server_is_empty_and_private() {
    let (one, other) = (TestRedis::start().unwrap(), TestRedis::start().unwrap());
    one.command(&["SET", "key", "value"]);
    assert_eq!((one.command(&["DBSIZE"]), other.command(&["DBSIZE"])), ("1".into(), "0".into()));
    assert_ne!(one.url(), other.url());
    assert_eq!(one.command(&["CONFIG", "GET", "port"]), "port\n0", "no TCP port");
    one.flush();
    assert_eq!(one.command(&["DBSIZE"]), "0");
}

#[test]
fn no_server_and_no_folder_are_left_after_the_drop() {
    for is_frozen in [false, true] {
        let redis = TestRedis::start().unwrap();
        let socket = redis.socket().to_owned();
        if is_frozen {
            redis.freeze();
        }
        drop(redis);
        assert_gone(&socket);
        assert!(!socket.parent().unwrap().exists());
    }
}

#[test]
fn a_frozen_server_accepts_connections_and_answers_when_thawed() {
    let redis = TestRedis::start().unwrap();
    redis.freeze();
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut reply = [0; 7];
    assert_eq!(stream.read(&mut reply).unwrap_err().kind(), ErrorKind::WouldBlock);
    redis.thaw();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn a_killed_server_refuses_connections_and_comes_back_empty() {
    let mut redis = TestRedis::start().unwrap();
    let url = redis.url();
    redis.command(&["SET", "key", "value"]);
    redis.kill();
    redis.kill();
    assert_gone(redis.socket());
    redis.restart();
    assert_eq!((redis.url(), redis.command(&["DBSIZE"])), (url, "0".to_owned()));
}

#[test]
fn a_server_that_ended_by_itself_can_be_restarted() {
    let mut redis = TestRedis::start().unwrap();
    // The server ends instead of replying.
    catch_unwind(AssertUnwindSafe(|| redis.command(&["SHUTDOWN", "NOSAVE"]))).unwrap_err();
    redis.restart();
    assert_eq!(redis.command(&["PING"]), "PONG");
}

#[test]
fn a_restart_keeps_the_arguments_and_what_they_make_persistent() {
    let mut redis =
        TestRedis::with_args(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    redis.command(&["SET", "key", "value"]);
    redis.restart();
    assert_eq!(redis.command(&["GET", "key"]), "value");
    redis.restart_with_args(&[]);
    assert_eq!(redis.command(&["CONFIG", "GET", "appendonly"]), "appendonly\nno");
}

#[test]
fn a_server_with_a_password_is_ready() {
    let redis = TestRedis::with_args(&["--requirepass", "sesame"]).unwrap();
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.write_all(b"AUTH sesame\r\n").unwrap();
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+OK\r\n");
}

#[test]
fn replies_are_as_redis_cli_prints_them_raw() {
    let redis = TestRedis::start().unwrap();
    let nested = ["EVAL", "return {1, 'two', {false, redis.status_reply('OK')}}", "0"];
    assert_eq!(redis.command(&nested), "1\ntwo\n\nOK");
    assert_eq!(redis.command(&["KEYS", "*"]), "");
    assert_eq!(redis.command(&["EVAL", r"return '\255'", "0"]), "\u{fffd}");
}

#[test]
#[should_panic(expected = "INCR key: ")]
fn an_error_reply_fails_the_test() {
    let redis = TestRedis::start().unwrap();
    redis.command(&["SET", "key", "not a number"]);
    redis.command(&["INCR", "key"]);
}

#[test]
#[should_panic(expected = "the test server was killed and not restarted")]
fn a_killed_server_can_not_be_frozen() {
    let mut redis = TestRedis::start().unwrap();
    redis.kill();
    redis.freeze();
}

#[test]
fn a_failed_start_says_what_the_server_said() {
    let error = TestRedis::with_args(&["--maxmemory", "plenty"]).unwrap_err();
    assert!(matches!(error, TestRedisError::Exited(..)), "{error}");
    assert!(error.to_string().contains("maxmemory"), "{error}");
}

/// After `kill -9` nothing is dropped.
#[test]
fn the_server_ends_with_the_test_process() {
    for name in ["waits_with_a_server", "waits_with_a_frozen_server"] {
        let (mut test, socket) = start_waiting(name);
        UnixStream::connect(&socket).unwrap();
        test.kill().unwrap();
        test.wait().unwrap();
        eventually(Duration::from_secs(5), "the server ends", || {
            UnixStream::connect(&socket).is_err()
        });
        assert_gone(&socket);
        fs::remove_dir_all(socket.parent().unwrap()).unwrap();
    }
}

/// Starts one of the two tests below, and returns the socket of its server.
fn start_waiting(test: &str) -> (Child, PathBuf) {
    let mut child = spawn(test).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let socket = lines.filter_map(|line| Some(line.strip_prefix("redis+unix://")?.into())).next();
    (child, socket.expect("the test says its address"))
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn waits_with_a_server() {
    let redis = TestRedis::start().unwrap();
    wait_with(&redis);
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn waits_with_a_frozen_server() {
    let redis = TestRedis::start().unwrap();
    redis.freeze();
    wait_with(&redis);
}

/// Says the address, and waits until the standard input ends.
fn wait_with(redis: &TestRedis) {
    eprintln!("{}", redis.url());
    stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_missing_program_is_named_and_how_to_install_it() {
    let empty = tempfile::tempdir().unwrap();
    let said = ping_with("PATH", empty.path());
    for part in [
        "neither redis-server nor valkey-server is on PATH",
        "sudo apt-get install redis-server",
        "brew install redis",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Both take the same arguments, so that the name is all there is to test.
#[test]
fn a_server_may_be_called_valkey_server() {
    let dir = tempfile::tempdir().unwrap();
    for (name, programs) in [("valkey-server", "redis-server valkey-server"), ("sh", "sh")] {
        let find = format!("command -v {programs} | head -n 1");
        let found = Command::new("sh").args(["-c", &find]).output().unwrap().stdout;
        let found = String::from_utf8(found).unwrap();
        symlink(found.trim(), dir.path().join(name)).unwrap();
    }
    assert_eq!(ping_with("PATH", dir.path()).trim(), "PONG");
}

#[test]
fn a_temporary_folder_with_too_long_a_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("n".repeat(100));
    fs::create_dir(&long).unwrap();
    let said = ping_with("TMPDIR", &long);
    assert!(said.contains("the temporary folder of the test server can't be used: "), "{said}");
}
