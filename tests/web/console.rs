use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Hitrate, Redis, eventually, setup};

const JSON: (&str, &str) = ("accept", "application/json");

/// Someone at the console.
struct Visitor<'a> {
    hitrate: &'a Hitrate,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// Who typed `PING` and so has a cookie.
    fn new(hitrate: &'a Hitrate) -> Self {
        let first = hitrate.post("/console", "command=PING");
        assert_eq!(first.status, 303, "{first:?}");
        Self { hitrate, cookie: first.cookie().to_owned() }
    }

    fn post(&self, command: &str) -> Answer {
        let body = json!({ "command": command }).to_string();
        let headers = [JSON, ("content-type", "application/json"), ("cookie", &self.cookie)];
        self.hitrate.send("POST", "/console", &headers, &body)
    }

    /// The reply to a command that runs.
    fn run(&self, command: &str) -> String {
        let answer = self.post(command);
        assert_eq!(answer.status, 200, "{command}: {answer:?}");
        answer.json()["reply"].as_str().unwrap().to_owned()
    }

    /// Why a command was not sent.
    fn refused(&self, command: &str) -> String {
        let answer = self.post(command);
        assert_eq!(answer.status, 422, "{command}: {answer:?}");
        let told = answer.json();
        assert_eq!((&told["sent"], &told["reply"]), (&Value::Null, &Value::Null), "{command}");
        told["refused"].as_str().unwrap_or_else(|| panic!("{command} was sent: {told}")).to_owned()
    }

    fn page(&self) -> String {
        self.hitrate.get_with("/console", &[("cookie", &self.cookie)]).body
    }

    fn prefix(&self) -> String {
        let headers = [JSON, ("cookie", self.cookie.as_str())];
        let told = self.hitrate.get_with("/console", &headers).json();
        told["prefix"].as_str().unwrap().to_owned()
    }
}

#[test]
fn the_making_of_its_user_is_nobodys_business() {
    let hitrate = Hitrate::start();
    let body = json!({ "command": "SET greeting hello" }).to_string();
    let headers = [JSON, ("content-type", "application/json")];
    let first = hitrate.send("POST", "/console", &headers, &body);
    let users: Vec<String> =
        redis::cmd("ACL").arg("USERS").query(&mut hitrate.own_redis()).unwrap();
    assert!(users.contains(&"hitrate-console".to_owned()), "it was made: {users:?}");
    assert_eq!(first.json()["reply"], "OK", "{first:?}");
    assert!(!first.body.contains("SETUSER"), "{first:?}");
}

/// Every key of a server with its value as DUMP has it, but for what visitors keep.
fn others(redis: &mut redis::Connection, but: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(redis).unwrap();
    keys.retain(|key| !key.starts_with(but.as_bytes()));
    keys.sort();
    let value = |key: Vec<u8>| {
        let dump: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query(redis).unwrap();
        (key, dump.unwrap_or_default())
    };
    keys.into_iter().map(value).collect()
}

#[test]
fn the_documents_commands_answer_as_in_redis_cli() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for (command, reply) in [
        ("PING", "PONG"),
        ("SET greeting \"Hello from Redis\"", "OK"),
        ("GET greeting", "\"Hello from Redis\""),
        ("SET student_name 'Ada'", "OK"),
        ("get STUDENT_NAME", "(nil)"),
        ("get student_name", "\"Ada\""),
        ("INCR counter", "(integer) 1"),
        ("SET \"a key\" \"\\x00\\xff\\n\"", "OK"),
        ("GET 'a key'", "\"\\x00\\xff\\n\""),
        ("HSET user:42 name Alice age 30", "(integer) 2"),
        ("HGETALL user:42", "1) \"name\"\n2) \"Alice\"\n3) \"age\"\n4) \"30\""),
        ("LRANGE nothing 0 -1", "(empty array)"),
        ("ZADD a 1 x 2 y", "(integer) 2"),
        ("ZUNION 2 a a WITHSCORES", "1) \"x\"\n2) \"2\"\n3) \"y\"\n4) \"4\""),
        ("ZUNIONSTORE b 2 a a WEIGHTS 1 2", "(integer) 2"),
        ("GEOADD places 13.361389 38.115556 Palermo", "(integer) 1"),
        ("GEORADIUS places 15 37 200 km", "1) \"Palermo\""),
        ("XADD s 1-1 k v", "\"1-1\""),
        (
            "XREAD COUNT 1 STREAMS s 0",
            "1) 1) \"PREFIXs\"\n   2) 1) 1) \"1-1\"\n         2) 1) \"k\"\n            2) \"v\"",
        ),
        ("OBJECT ENCODING counter", "\"int\""),
        ("TYPE places", "zset"),
        ("MSETNX one 1 two 2", "(integer) 1"),
        ("COPY one three", "(integer) 1"),
        ("RENAME three four", "OK"),
        ("BITOP AND five one two", "(integer) 1"),
        ("DEL one two four five", "(integer) 4"),
    ] {
        let reply = reply.replace("PREFIX", &visitor.prefix());
        assert_eq!(visitor.run(command), reply, "{command}");
    }
    let told = visitor.post("GEORADIUS places 15 37 200 km").json();
    assert!(told["replaced_by"].as_str().unwrap().contains("GEOSEARCH"), "{told}");
    let told = visitor.post("SETEX token 10 x").json();
    assert!(told["replaced_by"].as_str().unwrap().contains("SET with"), "{told}");
    assert_eq!(told["complexity"], "O(1)");
    assert!(told["summary"].as_str().unwrap().to_lowercase().contains("set the value"));
    assert!(told["elapsed_us"].as_u64().unwrap() > 0);
    assert_eq!(told["sent"], format!("SETEX {}token 10 x", visitor.prefix()));
    let history = told["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["typed"]), (20, &json!("SETEX token 10 x")));
}

#[test]
fn redis_s_own_words_come_back_with_422() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET greeting hello");
    for (command, words) in [
        ("INCR greeting", "(error) ERR value is not an integer or out of range"),
        ("LPUSH greeting a", "(error) WRONGTYPE Operation against a key"),
        ("SET greeting", "(error) ERR wrong number of arguments for 'set' command"),
        ("GET a b c", "(error) ERR wrong number of arguments for 'get' command"),
        ("SET greeting x NX XX", "(error) ERR syntax error"),
    ] {
        let answer = visitor.post(command);
        let told = answer.json();
        assert_eq!((answer.status, &told["is_error"]), (422, &json!(true)), "{told}");
        assert!(told["reply"].as_str().unwrap().starts_with(words), "{told}");
        assert_eq!(told["refused"], Value::Null);
        let page = visitor.page();
        assert!(page.contains(words.trim_start_matches("(error) ").split('\'').next().unwrap()));
    }
    assert_eq!(visitor.run("GET greeting"), "\"hello\"");
    let html =
        hitrate.post_with("/console", "command=INCR+greeting", &[("cookie", &visitor.cookie)]);
    assert!(html.status == 422 && html.body.contains("ERR value is not an integer"), "{html:?}");
}

/// Each of them is refused before it is sent.
const HOSTILE: &[&str] = &[
    "FLUSHALL",
    "FLUSHDB ASYNC",
    "flushall",
    "FlUsHaLl",
    "\"FLUSH\"\"ALL\"",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "DBSIZE",
    "SWAPDB 0 1",
    "SELECT 1",
    "MOVE a 1",
    "COPY a b DB 1",
    "COPY a b db 1 REPLACE",
    "EVAL \"return redis.call('GET','hitrate:page_hits')\" 0",
    "EVAL_RO \"return 1\" 0",
    "EVALSHA x 0",
    "SCRIPT LOAD x",
    "SCRIPT KILL",
    "FUNCTION LIST",
    "FUNCTION LOAD x",
    "FCALL f 0",
    "FCALL_RO f 0",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "CONFIG REWRITE",
    "DEBUG SLEEP 10",
    "DEBUG SEGFAULT",
    "DEBUG JMAP",
    "MONITOR",
    "SYNC",
    "PSYNC ? -1",
    "REPLICAOF localhost 1",
    "SLAVEOF NO ONE",
    "FAILOVER",
    "CLUSTER RESET",
    "MODULE LOAD /tmp/x.so",
    "ACL SETUSER x on nopass +@all",
    "ACL WHOAMI",
    "AUTH x",
    "HELLO 3",
    "RESET",
    "QUIT",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 10000",
    "CLIENT LIST",
    "COMMAND",
    "COMMAND GETKEYS GET a",
    "INFO",
    "LATENCY RESET",
    "SLOWLOG GET",
    "MEMORY DOCTOR",
    "MEMORY PURGE",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "SHUTDOWN NOSAVE",
    "LASTSAVE",
    "ROLE",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH a",
    "UNWATCH",
    "SUBSCRIBE a",
    "PSUBSCRIBE *",
    "SSUBSCRIBE a",
    "PUBLISH a b",
    "SPUBLISH a b",
    "PUBSUB CHANNELS",
    "BLPOP a 0",
    "BRPOP a 0",
    "BLMOVE a b LEFT RIGHT 0",
    "BRPOPLPUSH a b 0",
    "BLMPOP 0 1 a LEFT",
    "BZPOPMIN a 0",
    "BZMPOP 0 1 a MIN",
    "XREAD BLOCK 0 STREAMS a $",
    "XREAD COUNT 1 bLoCk 0 STREAMS a $",
    "XREADGROUP GROUP g c BLOCK 0 STREAMS a >",
    "WAIT 1 0",
    "SORT a BY hitrate:*->f GET hitrate:page_hits",
    "SORT a STORE hitrate:page_hits",
    "SORT_RO a BY nosort GET hitrate:page_hits",
    "GEORADIUS a 15 37 200 km STORE hitrate:page_hits",
    "GEORADIUS a 15 37 200 km storedist hitrate:page_hits",
    "GEORADIUSBYMEMBER a m 200 km STORE hitrate:page_hits",
    "MIGRATE localhost 1 a 0 1000",
    "MIGRATE localhost 1 \"\" 0 1000 KEYS a b",
    "RESTORE a 0 x",
    "RESTORE-ASKING a 0 x",
    "DUMP a",
    "LCS a b",
    "PFDEBUG GETREG a",
    "PFSELFTEST",
    "OBJECT",
    "LOLWUT",
    "SETRANGE k 536870911 x",
    "SETBIT k 4294967295 1",
    "SETBIT k 99999999999999999999999999 1",
    "BITFIELD k SET u8 4294967288 1",
    "BITFIELD k SET u8 #536870911 1",
    "BITFIELD k INCRBY i64 #67108863 1",
    "SRANDMEMBER k -1000000000",
    "HRANDFIELD k -1000000000 WITHVALUES",
    "ZRANDMEMBER k -1000000000",
    "SSCAN k 0 MATCH *a*a*a*a*b",
    "XAUTOCLAIM k g c 0 0 COUNT 1000000000",
    "MGET a a a a a a a a",
    "GET \"\"",
    "SET \"\" x",
    "SET a \"unterminated",
    "SET a 'unterminated",
    "SET a \"b\"c",
    "NOSUCHCOMMAND a",
    "GET|x a",
    "\"\\x00\" a",
    "\"GET\\x00\" a",
    "OBJECT FREQQ a",
    "ZUNION 0 a",
    "ZUNION 3 a b",
    "ZUNIONSTORE hitrate:page_hits 99999999999999999999 a",
    "XREAD COUNT 1 a",
];

#[test]
fn what_could_do_harm_is_refused_before_it_is_sent() {
    let hitrate = Hitrate::start();
    hitrate.get("/");
    hitrate.get("/profiles?id=123");
    let (visitor, other) = (Visitor::new(&hitrate), Visitor::new(&hitrate));
    other.run("SET mine 1");
    visitor.run("SADD k a b");
    let mut redis = hitrate.own_redis();
    let but = visitor.prefix();
    let before = others(&mut redis, &but);
    assert!(before.len() > 2, "{before:?}");
    for command in HOSTILE {
        let why = visitor.refused(command);
        assert!(why.ends_with('.') && !why.contains("hitrate:demo"), "{command}: {why}");
    }
    assert_eq!(others(&mut redis, &but), before);
    assert_eq!(hitrate.get("/readyz").json()["redis"], "up");
}

#[test]
fn whatever_runs_touches_only_the_visitors_own_keys() {
    let hitrate = Hitrate::start();
    hitrate.get("/");
    let (visitor, other) = (Visitor::new(&hitrate), Visitor::new(&hitrate));
    other.run("SET mine secret");
    let theirs = format!("{}mine", other.prefix());
    let mut redis = hitrate.own_redis();
    let but = visitor.prefix();
    let before = others(&mut redis, &but);
    for command in [
        "GET hitrate:page_hits",
        "SET hitrate:page_hits 0",
        "DEL hitrate:page_hits",
        "GET THEIRS",
        "SET THEIRS mine",
        "DEL THEIRS",
        "RENAME k THEIRS",
        "RENAME THEIRS k",
        "COPY THEIRS k",
        "COPY k THEIRS REPLACE",
        "MSET a 1 THEIRS 2",
        "BITOP NOT THEIRS k",
        "SUNIONSTORE THEIRS k THEIRS",
        "ZUNIONSTORE THEIRS 1 k",
        "ZUNIONSTORE k 2 THEIRS THEIRS",
        "ZRANGESTORE THEIRS k 0 -1",
        "GEOSEARCHSTORE THEIRS k FROMLONLAT 1 1 BYRADIUS 1 km",
        "LMOVE THEIRS k LEFT LEFT",
        "SMOVE THEIRS k m",
        "LMPOP 1 THEIRS LEFT",
        "SINTERCARD 1 THEIRS",
        "XREAD STREAMS THEIRS 0",
        "XGROUP CREATE THEIRS g $ MKSTREAM",
        "OBJECT FREQ THEIRS",
        "MEMORY USAGE THEIRS",
        "EXPIRE THEIRS 1",
        "PFMERGE THEIRS k",
        "EXISTS ../mine",
        "GET \"\\x00\"",
        "SET a\\nb c",
    ] {
        let command = command.replace("THEIRS", &theirs);
        let answer = visitor.post(&command);
        assert!([200, 422].contains(&answer.status), "{command}: {answer:?}");
        assert!(!answer.json()["reply"].as_str().unwrap_or_default().contains("secret"));
    }
    assert_eq!(others(&mut redis, &but), before, "nothing but the visitor's keys changed");
    assert_eq!(other.run("GET mine"), "\"secret\"");
}

#[test]
fn commands_run_as_a_user_who_can_do_no_more() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET a 1");
    let mut redis = hitrate.own_redis();
    let run = |redis: &mut redis::Connection, words: &[&str]| {
        redis::cmd("ACL").arg("DRYRUN").arg("hitrate-console").arg(words).query::<String>(redis)
    };
    let own = format!("{}a", visitor.prefix());
    for good in [&["PING"][..], &["SET", &own, "1"], &["XREAD", "STREAMS", &own, "0"]] {
        assert_eq!(run(&mut redis, good).as_deref(), Ok("OK"), "{good:?}");
    }
    for bad in [
        &["GET", "hitrate:page_hits"][..],
        &["GET", "a"],
        &["FLUSHALL"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["CONFIG", "GET", "*"],
        &["EVAL", "return 1", "0"],
        &["SORT", &own],
        &["COPY", &own, "b"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["SUBSCRIBE", "a"],
        &["MULTI"],
        &["BLPOP", &own, "0"],
    ] {
        let told = run(&mut redis, bad);
        assert!(told.as_ref().map_or(true, |it| it != "OK"), "{bad:?}: {told:?}");
    }
}

#[test]
fn no_user_is_made_on_a_configured_server() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET a 1");
    let users: Vec<String> = redis::from_redis_value(redis.run(&["ACL", "USERS"])).unwrap();
    assert_eq!(users, ["default"]);
    hitrate.get("/");
    for command in HOSTILE {
        visitor.refused(command);
    }
    assert_eq!(visitor.run("GET a"), "\"1\"");
    assert_eq!(hitrate.json("/")["hits"], 2);
}

#[test]
fn keys_end_after_a_day_and_a_shorter_end_is_kept() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let ttl = |name: &str| -> i64 {
        let told = visitor.run(&format!("TTL {name}"));
        told.trim_start_matches("(integer) ").parse().unwrap()
    };
    for (command, name, expected) in [
        ("SET a 1", "a", 86_390..=86_400),
        ("SET b 1 EX 60", "b", 50..=60),
        ("APPEND b x", "b", 50..=60),
        ("PERSIST b", "b", 86_390..=86_400),
        ("EXPIRE a 999999999", "a", 86_390..=86_400),
        ("RENAME a c", "c", 86_390..=86_400),
        ("COPY c d", "d", 86_390..=86_400),
        ("XGROUP CREATE s g $ MKSTREAM", "s", 86_390..=86_400),
        ("GETEX b PERSIST", "b", 86_390..=86_400),
        ("MSET e 1 f 2", "f", 86_390..=86_400),
    ] {
        visitor.run(command);
        assert!(expected.contains(&ttl(name)), "{command}: {}", ttl(name));
    }
}

#[test]
fn what_a_visitor_keeps_has_a_bound() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for n in 0..4 {
        let pairs: Vec<_> = (0..25).map(|key| format!("k{n}-{key} 1")).collect();
        visitor.run(&format!("MSET {}", pairs.join(" ")));
    }
    assert!(visitor.refused("SET more 1").contains("You have 100 keys"));
    assert_eq!(visitor.run("SET k0-0 2"), "OK", "what is there may change");
    assert_eq!(visitor.run("DEL k0-0"), "(integer) 1");
    assert_eq!(visitor.run("SET more 1"), "OK");

    let visitor = Visitor::new(&hitrate);
    let mut refused = None;
    for n in 0..12 {
        let answer = visitor.post(&format!("SETBIT big{n} 1048575 1"));
        refused = refused.or((answer.status == 422).then_some(n));
    }
    assert!(refused.is_some_and(|n| (5..=9).contains(&n)), "{refused:?}");
    for grows in ["APPEND big0 x", "XREADGROUP GROUP g c STREAMS big0 >", "RENAME big0 more"] {
        assert!(visitor.refused(grows).contains("Remove some with DEL first"), "{grows}");
    }
    assert_eq!(visitor.run("UNLINK big0 big1"), "(integer) 2");
    assert_eq!(visitor.run("APPEND big2 x"), "(integer) 131073");
    let long = visitor.run("GET big2");
    assert!(long.len() < 20_000 && long.contains("cut here"), "{}", long.len());
}

#[test]
fn a_list_that_begins_with_little_is_counted_whole() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    // Six nodes of a list, of which short marks are left.
    let filling = "z".repeat(3_900);
    for mark in 0..6 {
        visitor.run(&format!("RPUSH l {mark}"));
        visitor.run(&format!("RPUSH l {filling}"));
        visitor.run(&format!("RPUSH l {filling}"));
    }
    assert_eq!(visitor.run(&format!("LREM l 0 {filling}")), "(integer) 12");
    let long = "y".repeat(3_900);
    let refused = (0..400).find(|_| visitor.post(&format!("RPUSH l {long}")).status == 422);
    assert!(refused.is_some_and(|n| n < 300), "1 MiB has room for 268 of them: {refused:?}");
    assert!(visitor.refused("COPY l more").contains("Remove some with DEL first"));
}

#[test]
fn what_is_no_line_of_text_is_no_command() {
    let hitrate = Hitrate::start();
    for (body, status) in [
        ("", 422),
        ("command=", 422),
        ("command=+", 422),
        ("command=PING%0aFLUSHALL", 400),
        ("command=PING%00", 400),
        ("command=%ff", 400),
        ("command=PING&command=PING", 400),
        ("commands=PING", 400),
    ] {
        assert_eq!(hitrate.post_with("/console", body, &[JSON]).status, status, "{body}");
    }
    let long = |length: usize| format!("command=SET+a+{}", "x".repeat(length));
    assert_eq!(hitrate.post("/console", &long(4_000)).status, 303);
    assert_eq!(hitrate.post("/console", &long(5_000)).status, 422);
    assert_eq!(hitrate.post("/console", &long(60_000)).status, 422);
    assert_eq!(hitrate.post("/console", &long(1_000_000)).status, 413);
    assert_eq!(
        hitrate.post("/console", &format!("command=SET+a+{}", "ü".repeat(3_000))).status,
        422
    );
    let many = format!("command=DEL{}", "+a".repeat(64));
    assert_eq!(hitrate.post("/console", &many).status, 422);
}

#[test]
fn the_page_shows_the_reply_the_history_and_the_wire_and_escapes_them() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let other = Visitor::new(&hitrate);
    visitor.run("SET x \"<script>alert(1)</script>\"");
    visitor.run("GET x");
    let page = visitor.page();
    assert!(page.contains("&lt;script&gt;alert(1)") || page.contains("&#60;script&#62;alert(1)"));
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("COMMAND GETKEYS GET") && page.contains("Get the value of a key"));
    assert!(!other.page().contains("alert(1)"), "a history is its visitor's own");
    let cleared = hitrate.post_with("/console/clear", "", &[("cookie", &visitor.cookie)]);
    assert_eq!(cleared.status, 303);
    assert!(visitor.page().contains("Nothing typed yet"));
    assert!(visitor.run("GET x").contains("alert"), "the keys stay");
}

#[test]
fn it_is_off_where_others_can_connect_unless_turned_on() {
    for (bind, switch, is_on) in [
        ("127.0.0.1:0", "auto", true),
        ("127.0.0.1:0", "off", false),
        ("0.0.0.0:0", "auto", false),
        ("0.0.0.0:0", "", false),
        ("0.0.0.0:0", "on", true),
    ] {
        let hitrate = setup().set("HITRATE_BIND", bind).set("HITRATE_CONSOLE", switch).start();
        let (shown, ran) = (hitrate.json("/console"), hitrate.post("/console", "command=PING"));
        assert_eq!(shown["is_on"], is_on, "{bind} {switch}");
        assert_eq!(ran.status, if is_on { 303 } else { 403 }, "{bind} {switch}: {ran:?}");
        let page = hitrate.get("/console");
        assert_eq!(page.status, 200);
        assert_eq!(page.body.contains("HITRATE_CONSOLE=on"), !is_on);
    }
}

#[test]
fn redis_may_go_and_come_back() {
    let mut hitrate = Hitrate::start();
    let cookie = Visitor::new(&hitrate).cookie;
    crate::harness::send_signal(hitrate.own_redis_pid(), "KILL");
    hitrate.await_log("is started again", Duration::from_secs(10));
    let visitor = Visitor { hitrate: &hitrate, cookie };
    // The new one does not know the user yet.
    eventually(Duration::from_secs(20), "the console works again", || {
        let answer = visitor.post("INCR a");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        assert_eq!(hitrate.get_with("/console", &[("cookie", &visitor.cookie)]).status, 200);
        answer.status == 200
    });
}

#[test]
fn without_redis_the_page_says_so() {
    let mut redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    redis.kill();
    eventually(Duration::from_secs(5), "the page knows", || {
        visitor.page().contains("Redis can&#39;t be reached")
            || visitor.page().contains("Redis can't be reached")
    });
    let answer = visitor.post("GET a");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(visitor.page().contains("PONG"), "what was typed is still shown");
    redis.restart(&[]);
    eventually(Duration::from_secs(10), "it is back", || visitor.post("GET a").status == 200);
}

#[test]
fn a_frozen_redis_keeps_nobody_waiting() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET a 1");
    redis.signal("STOP");
    let answer = visitor.post("GET a");
    redis.signal("CONT");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.took < Duration::from_millis(900), "a command's deadline: {:?}", answer.took);
    eventually(Duration::from_secs(10), "it goes on", || visitor.post("GET a").status == 200);
}
