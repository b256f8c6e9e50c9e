//! What holds for every request and every response.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use crate::harness::{Hitrate, setup};

#[test]
fn every_response_that_may_be_shown_carries_the_security_headers() {
    let hitrate = Hitrate::start();
    let answers = [
        hitrate.get("/"),
        hitrate.get("/static/app.css"),
        hitrate.get("/metrics"),
        hitrate.get("/nowhere"),
        hitrate.get("/profiles?id=*"),
        hitrate.send("PUT", "/", &[], ""),
        hitrate.post_with("/sessions", "username=a", &[("origin", "http://evil.example")]),
        hitrate.get_with("/", &[("host", "evil.example")]),
        hitrate.get_with("/metrics", &[("accept-encoding", "identity;q=0")]),
        hitrate.post("/sessions", "username=a&ttl=0"),
        hitrate.post("/sessions", &format!("username={}", "x".repeat(100_000))),
        hitrate.send("POST", "/sessions", &[("content-type", "text/plain")], "x"),
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{answer:?}"
        );
        assert!(!policy.contains("unsafe-inline"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("server"), "", "nothing tells the version");
    }
}

#[test]
fn json_carries_only_the_headers_that_mean_something_there() {
    let hitrate = Hitrate::start();
    let json = [("accept", "application/json")];
    let answers = [
        hitrate.get_with("/profiles?id=123", &json),
        hitrate.get_with("/nowhere", &json),
        hitrate.get("/product/1"),
        hitrate.get("/healthz"),
        hitrate.get("/openapi.json"),
    ];
    for answer in answers {
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        for name in ["content-security-policy", "x-frame-options", "referrer-policy"] {
            assert_eq!(answer.header(name), "", "{name}: {answer:?}");
        }
    }
}

#[test]
fn no_page_needs_anything_inline() {
    let hitrate = Hitrate::start();
    let run = hitrate.post("/strategies", "act=run&delay_ms=0");
    let counted = hitrate.post("/patterns/shopping-cart", "act=trial");
    for path in [
        "/",
        "/profiles?id=123",
        "/profiles?id=nobody",
        run.header("location"),
        "/console",
        "/patterns/key-names",
        "/patterns/round-trips",
        "/sessions",
        "/stampede",
        "/patterns",
        "/patterns/trending-topics",
        counted.header("location"),
        "/stats",
        "/structures",
        "/structures/geospatial",
        "/nowhere",
    ] {
        let page = hitrate.get(path).body;
        for inline in [" style=", "<style", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
        assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/static/").count());
    }
}

#[test]
fn another_site_can_not_post() {
    let hitrate = Hitrate::start();
    let own = format!("http://{}", hitrate.address);
    for (headers, status) in [
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site"), ("origin", own.as_str())], 403),
        (vec![("origin", own.as_str())], 303),
        (vec![("sec-fetch-site", "same-origin"), ("origin", own.as_str())], 303),
        (vec![], 303),
    ] {
        let answer = hitrate.post_with("/sessions", "username=qiross", &headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.cookie().is_empty(), status == 403);
    }
}

#[test]
fn another_host_is_not_answered_on_loopback() {
    let hitrate = Hitrate::start();
    let port = hitrate.address.split(':').nth(1).unwrap();
    for good in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
    {
        assert_eq!(hitrate.get_with("/healthz", &[("host", &good)]).status, 200, "{good}");
    }
    for bad in ["evil.example", "localhost.evil.example", "10.0.0.1"] {
        let answer = hitrate.get_with("/", &[("host", bad), ("accept", "application/json")]);
        assert_eq!(answer.status, 421, "{bad}");
        assert!(answer.json()["error"].is_string());
    }
    assert!(hitrate.raw(b"GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 421"), "no host at all");
    let absolute =
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(hitrate.raw(absolute).starts_with("HTTP/1.1 421"), "the address names the host");
    assert_eq!(hitrate.json("/")["hits"], 1, "none of them was a visit");
}

#[test]
fn an_open_bind_answers_other_hosts() {
    let hitrate = setup().set("HITRATE_BIND", "0.0.0.0:0").start();
    assert_eq!(hitrate.get_with("/healthz", &[("host", "hitrate.example.com")]).status, 200);
}

#[test]
fn a_slow_head_and_a_slow_body_are_cut_off() {
    let hitrate = Hitrate::start();
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n", hitrate.address);
    let body = format!(
        "POST /sessions HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nusername=",
        hitrate.address
    );
    let is_cut_off = |request: String| {
        let mut stream = hitrate.connect();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let start = Instant::now();
        let mut answer = [0; 64];
        let n = stream.read(&mut answer).unwrap();
        assert!(
            answer[..n].starts_with(b"HTTP/1.1 408"),
            "{:?}",
            String::from_utf8_lossy(&answer[..n])
        );
        assert!(start.elapsed() < Duration::from_secs(15));
    };
    std::thread::scope(|scope| {
        for request in [head, body] {
            scope.spawn(|| is_cut_off(request));
        }
    });
    assert_eq!(hitrate.get("/healthz").status, 200);
}
