//! What is wrong is refused with a clear sentence, and touches no other key.

use crate::harness::{Answer, Hitrate};

const JSON: (&str, &str) = ("accept", "application/json");

/// Percent-encoded ids that are none.
const BAD_IDS: [&str; 14] = [
    "",
    "%00",
    "1%0d%0aSET%20x%201",
    "%F0%9F%98%80",
    "..%2f",
    "%2e%2e%2f%2e%2e%2fetc",
    "1'%20OR%20'1'='1",
    "1;DROP%20TABLE%20profiles",
    "%3Cscript%3E",
    "*",
    "%5Ba-z%5D",
    "a:b",
    "%7Bx%7D",
    "%ff%fe",
];

fn assert_refused(answer: &Answer, statuses: &[u16], what: &str) {
    assert!(statuses.contains(&answer.status), "{what}: {answer:?}");
    let told = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(told.len() > 10 && told.ends_with('.'), "{what}: a sentence, not {told:?}");
}

fn keys(hitrate: &Hitrate) -> Vec<String> {
    redis::cmd("KEYS").arg("*").query(&mut hitrate.own_redis()).unwrap()
}

#[test]
fn an_id_outside_the_grammar_is_400_and_reaches_nothing() {
    let hitrate = Hitrate::start();
    let long = "x".repeat(10_000);
    for id in BAD_IDS.into_iter().chain([long.as_str()]) {
        let short = id.get(..20).unwrap_or(id);
        let asked = hitrate.get_with(&format!("/profiles?id={id}"), &[JSON]);
        assert_refused(&asked, &[400], short);
        let form = "name=A&email=a%40example.com&age=1";
        let edited = hitrate.post_with(&format!("/profiles/{id}"), form, &[JSON]);
        assert_refused(&edited, &[400, 404, 405], short);
        let invalidated = hitrate.post_with(&format!("/profiles/{id}/invalidate"), "", &[JSON]);
        assert_refused(&invalidated, &[400, 404], short);
    }
    assert_eq!(keys(&hitrate), Vec::<String>::new());
    assert_eq!(hitrate.logged("WARN") + hitrate.logged("ERROR"), 0, "{}", hitrate.log());
}

#[test]
fn a_query_out_of_range_is_422_and_a_malformed_one_400() {
    let hitrate = Hitrate::start();
    for (query, status) in [
        ("id=123&delay_ms=-1", 422),
        ("id=123&delay_ms=5001", 422),
        ("id=123&delay_ms=99999999999999999999", 422),
        ("id=123&delay_ms=x", 422),
        ("id=123&delay_ms=1e3", 422),
        ("id=123&cache=maybe", 422),
        ("id=123&id=456", 400),
        ("id=123&unknown=1", 400),
        ("id[]=123", 400),
    ] {
        let answer = hitrate.get_with(&format!("/profiles?{query}"), &[JSON]);
        assert_refused(&answer, &[status], query);
    }
    let page = hitrate.get("/profiles?id=%3Cscript%3E");
    assert_eq!(page.status, 400);
    assert!(page.body.contains("An id is 1 to 64 letters") && !page.body.contains("\"<script>"));
    let page = hitrate.post("/sessions/end", "x=1");
    assert!(page.status == 400 && page.body.contains("Go back and correct it"));
}

#[test]
fn an_edit_out_of_range_changes_nothing() {
    let hitrate = Hitrate::start();
    let long = format!("name={}&email=a%40example.com&age=1", "x".repeat(101));
    for (form, status) in [
        ("name=A&email=a%40example.com&age=-1", 422),
        ("name=A&email=a%40example.com&age=1000", 422),
        ("name=A&email=a%40example.com&age=x", 422),
        ("name=A&email=a%40example.com", 422),
        ("name=&email=a%40example.com&age=1", 422),
        ("name=A&email=nobody&age=1", 422),
        ("name=A%00&email=a%40example.com&age=1", 400),
        ("name=A%0aB&email=a%40example.com&age=1", 400),
        ("name=A&email=a%40example.com&age=1&admin=1", 400),
        ("name=A&name=B&email=a%40example.com&age=1", 400),
        (long.as_str(), 422),
    ] {
        assert_refused(&hitrate.post_with("/profiles/123", form, &[JSON]), &[status], form);
    }
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Shaunak Dhande");
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    let hitrate = Hitrate::start();
    let deep = "[".repeat(50_000);
    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        ("{\"name\": \"A\",}", 400),
        ("{\"name\": {}, \"email\": \"a@example.com\", \"age\": 1}", 422),
        ("{\"name\": \"A\", \"email\": \"a@example.com\", \"age\": 1.5}", 422),
        ("{\"name\": \"A\", \"email\": \"a@example.com\", \"age\": 1e400}", 400),
        ("{\"name\": \"A\", \"email\": \"a@example.com\", \"age\": 1, \"admin\": 1}", 400),
        ("{\"name\": \"\\ud800\", \"email\": \"a@example.com\", \"age\": 1}", 400),
        (deep.as_str(), 400),
    ] {
        let headers = [("content-type", "application/json"), JSON];
        let answer = hitrate.send("POST", "/profiles/123", &headers, body);
        assert_refused(&answer, &[status], body.get(..40).unwrap_or(body));
    }
    for kind in ["text/plain", "application/xml", "multipart/form-data; boundary=x"] {
        let answer = hitrate.send("POST", "/profiles/123", &[("content-type", kind), JSON], "x=1");
        assert_refused(&answer, &[415], kind);
    }
}

#[test]
fn a_session_out_of_range_is_not_started() {
    let hitrate = Hitrate::start();
    for ttl in [
        "0",
        "-1",
        "86401",
        "9223372036854775807",
        "99999999999999999999",
        "1.5",
        "1e3",
        "ten",
        "NaN",
    ] {
        let form = format!("username=qiross&ttl={ttl}");
        assert_refused(&hitrate.post_with("/sessions", &form, &[JSON]), &[422], ttl);
    }
    let long = format!("username={}", "x".repeat(65));
    for (form, status) in [
        ("username=", 422),
        ("", 422),
        ("username=a%0d%0ab", 400),
        ("username=%00", 400),
        ("username=a&expiry=never", 422),
        ("username=a&other=1", 400),
        (long.as_str(), 422),
    ] {
        assert_refused(&hitrate.post_with("/sessions", form, &[JSON]), &[status], form);
    }
    assert_eq!(keys(&hitrate), Vec::<String>::new());
    let page = hitrate.post("/sessions", "username=%3Cb%3Ebold%3C%2Fb%3E");
    let page = hitrate.get_with("/sessions", &[("cookie", page.cookie())]).body;
    assert!(!page.contains("<b>bold") && page.contains("&#60;b&#62;bold"));
}

#[test]
fn ten_megabytes_are_413() {
    let hitrate = Hitrate::start();
    let head = |path: &str, how: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n{how}\r\n\r\n",
            hitrate.address
        )
    };
    let body = vec![b'x'; 10 * 1024 * 1024];
    for path in
        ["/profiles/123", "/sessions", "/sessions/end", "/profiles/123/invalidate", "/stampede"]
    {
        let mut told = head(path, &format!("Content-Length: {}", body.len())).into_bytes();
        told.extend(&body);
        assert!(hitrate.raw(&told).starts_with("HTTP/1.1 413"), "{path}");

        let mut chunked = head(path, "Transfer-Encoding: chunked").into_bytes();
        chunked.extend(format!("{:x}\r\n", body.len()).bytes());
        chunked.extend(&body);
        chunked.extend(b"\r\n0\r\n\r\n");
        assert!(hitrate.raw(&chunked).starts_with("HTTP/1.1 413"), "{path} in chunks");
    }
    assert_eq!(hitrate.get("/healthz").status, 200);
}

#[test]
fn malformed_requests_get_an_answer_and_harm_nobody() {
    let hitrate = Hitrate::start();
    let host = &hitrate.address;
    let long = "x".repeat(70_000);
    for (request, statuses) in [
        (format!("GET /profiles?id={long} HTTP/1.1\r\nHost: {host}\r\n\r\n"), ["400", "414"]),
        (
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
            ["431", "400"],
        ),
        (
            format!("POST /sessions HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n"),
            ["400", "400"],
        ),
        (
            format!(
                "POST /sessions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
            ),
            ["400", "400"],
        ),
        (format!("GET /\u{e9} HTTP/1.1\r\nHost: {host}\r\n\r\n"), ["400", "404"]),
        ("nonsense\r\n\r\n".to_owned(), ["400", "400"]),
    ] {
        let answer = hitrate.raw(request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert!(
            statuses.contains(&status),
            "{} got {answer:.200}",
            request.get(..60).unwrap_or(&request)
        );
    }
    assert_eq!(hitrate.get("/").status, 200);
}

#[test]
fn a_method_that_is_not_answered_is_405_and_says_which_are() {
    let hitrate = Hitrate::start();
    for (method, path, allowed) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/profiles", "GET, HEAD"),
        ("GET", "/profiles/123", "POST"),
        ("GET", "/sessions/end", "POST"),
        ("PUT", "/sessions", "GET, HEAD, POST"),
        ("PUT", "/stampede", "GET, HEAD, POST"),
    ] {
        let answer = hitrate.send(method, path, &[JSON], "");
        assert_refused(&answer, &[405], path);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[test]
fn an_address_without_a_page_helps() {
    let hitrate = Hitrate::start();
    let page = hitrate.get("/nowhere/%3Cscript%3E");
    assert_eq!(page.status, 404);
    assert!(
        page.body.contains("There is no page at this address.")
            && page.body.contains("href=\"/profiles\"")
    );
    assert!(!page.body.contains("nowhere"), "nothing is echoed");
    assert_refused(&hitrate.get_with("/nowhere", &[JSON]), &[404], "JSON");
}
