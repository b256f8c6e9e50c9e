//! The console while Redis is down or frozen.

use std::time::Duration;

use super::Visitor;
use crate::{
    faults::PAGE,
    harness::{BUSY, Hitrate, TestRedis, eventually, setup},
};

#[test]
fn the_console_recovers_after_a_restart_of_redis() {
    let mut hitrate = Hitrate::start();
    let cookie = Visitor::new(&hitrate).cookie;
    crate::harness::send_signal(hitrate.own_redis_pid(), "KILL");
    hitrate.await_log("restarting it", Duration::from_secs(10));
    let visitor = Visitor { hitrate: &hitrate, cookie };
    // The new process does not have the ACL user yet.
    eventually(Duration::from_secs(20), "the console works again", || {
        let answer = visitor.post("INCR a");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        assert_eq!(hitrate.get_with("/console", &[("cookie", &visitor.cookie)]).status, 200);
        answer.status == 200
    });
}

#[test]
fn the_page_reports_a_missing_redis() {
    let mut redis = TestRedis::start().unwrap();
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
    redis.restart();
    eventually(Duration::from_secs(10), "it is back", || visitor.post("GET a").status == 200);
}

#[test]
fn commands_time_out_on_a_frozen_redis() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let visitor = Visitor::new(&hitrate);
    visitor.run("SET a 1");
    redis.freeze();
    let answer = visitor.post("GET a");
    redis.thaw();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.took < PAGE * BUSY, "a command's deadline: {:?}", answer.took);
    eventually(Duration::from_secs(10), "it goes on", || visitor.post("GET a").status == 200);
}
