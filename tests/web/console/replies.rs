//! Replies, and how the page shows them.

use serde_json::{Value, json};

use super::{JSON, Visitor};
use crate::harness::Hitrate;

#[test]
fn the_creation_of_the_acl_user_is_not_traced() {
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

#[test]
fn the_tutorials_commands_reply_as_in_redis_cli() {
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
fn error_replies_have_status_422() {
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

#[test]
fn the_page_shows_reply_history_and_trace_and_escapes_them() {
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
    assert!(visitor.page().contains("No commands yet"));
    assert!(visitor.run("GET x").contains("alert"), "the keys stay");
}
