//! Rejected commands, and a disabled console.

use super::{JSON, Visitor, others};
use crate::harness::{Hitrate, TestRedis, setup};

/// Commands that are rejected before they are sent.
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
fn harmful_commands_are_rejected_before_they_are_sent() {
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
fn no_acl_user_is_created_on_a_configured_server() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET a 1");
    assert_eq!(redis.command(&["ACL", "USERS"]), "default");
    hitrate.get("/");
    for command in HOSTILE {
        visitor.refused(command);
    }
    assert_eq!(visitor.run("GET a"), "\"1\"");
    assert_eq!(hitrate.json("/")["hits"], 2);
}

#[test]
fn input_that_is_not_a_line_of_text_is_rejected() {
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
fn the_console_is_off_on_public_addresses_unless_enabled() {
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
