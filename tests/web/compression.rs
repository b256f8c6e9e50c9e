use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use flate2::read::GzDecoder;

use crate::harness::{Hitrate, text};

/// An answer whose body may be compressed.
struct Sent {
    status: String,
    head: String,
    body: Vec<u8>,
}

impl Sent {
    /// All values of a header, in lower case.
    fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let values = lines.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, it)| it);
        values.collect::<Vec<_>>().join(", ").to_lowercase()
    }

    fn is_compressed(&self) -> bool {
        self.header("content-encoding") == "gzip"
    }

    fn unpacked(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(self.body.as_slice()).read_to_string(&mut text).unwrap();
        text
    }
}

fn ask(hitrate: &Hitrate, method: &str, path: &str, headers: &[(&str, &str)]) -> Sent {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let address = &hitrate.address;
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{lines}\r\n");
    let mut stream = hitrate.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = text(&answer[..end]);
    let status = head[..12].to_owned();
    Sent { status, head, body: answer[end + 4..].to_vec() }
}

const BROWSER: (&str, &str) = ("accept-encoding", "gzip, deflate, br, zstd");

#[test]
fn a_page_that_arrives_in_one_round_trip_is_sent_as_it_is() {
    let hitrate = Hitrate::start();
    for path in ["/", "/profiles?id=123", "/profiles?id=nobody", "/product/1", "/nowhere"] {
        let page = ask(&hitrate, "GET", path, &[BROWSER]);
        assert!(!page.is_compressed() && page.body.len() < 14_000, "{path}");
        assert!(!page.header("vary").contains("encoding"), "{path} is the same for all");
    }
}

#[test]
fn a_large_page_is_compressed_for_those_who_read_gzip() {
    let hitrate = Hitrate::start();
    let plain = ask(&hitrate, "GET", "/openapi.json", &[]);
    assert!(!plain.is_compressed() && plain.body.len() > 14_000);
    assert_eq!(plain.header("vary"), "accept-encoding");
    for asked in ["gzip", "gzip, deflate, br, zstd", "br;q=1, gzip;q=0.5, identity;q=0.1"] {
        let page = ask(&hitrate, "GET", "/openapi.json", &[("accept-encoding", asked)]);
        assert!(page.is_compressed() && page.body.len() * 3 < plain.body.len(), "{asked}");
        assert_eq!(page.header("vary"), "accept-encoding");
        assert_eq!(page.unpacked(), text(&plain.body));
    }
    for asked in ["", "identity", "br", "gzip;q=0", "gzip;q=0.5, identity;q=1"] {
        let page = ask(&hitrate, "GET", "/openapi.json", &[("accept-encoding", asked)]);
        assert!(!page.is_compressed() && page.body == plain.body, "{asked}");
    }
    let page = ask(&hitrate, "GET", "/structures/strings", &[BROWSER]);
    assert!(page.is_compressed() && page.unpacked().contains("</html>"));
    assert_eq!(page.header("vary"), "accept, accept-encoding");
}

#[test]
fn head_says_what_get_would() {
    let hitrate = Hitrate::start();
    for path in ["/openapi.json", "/static/app.css", "/product/1"] {
        for headers in [&[BROWSER][..], &[]] {
            let (get, head) =
                (ask(&hitrate, "GET", path, headers), ask(&hitrate, "HEAD", path, headers));
            for name in ["content-length", "content-encoding", "content-type", "etag", "vary"] {
                assert_eq!(head.header(name), get.header(name), "{name} of {path}");
            }
            assert_eq!(get.header("content-length"), get.body.len().to_string());
            assert!(head.body.is_empty());
        }
    }
}

#[test]
fn a_static_file_is_compressed_once_and_its_tag_says_so() {
    let hitrate = Hitrate::start();
    let path = "/static/app.css";
    let plain = ask(&hitrate, "GET", path, &[]);
    let packed = ask(&hitrate, "GET", path, &[BROWSER]);
    assert!(!plain.is_compressed() && packed.is_compressed());
    assert_eq!(packed.unpacked(), text(&plain.body));
    assert_eq!(
        (plain.header("vary"), packed.header("vary")),
        ("accept-encoding".to_owned(), "accept-encoding".to_owned())
    );
    // The strong tag names the plain bytes, so the compressed ones have a weak one.
    let tag = plain.header("etag");
    assert_eq!(packed.header("etag"), format!("w/{tag}"));
    assert_eq!(packed.header("last-modified"), plain.header("last-modified"));
}

#[test]
fn conditions_and_ranges_hold_for_a_compressed_file() {
    let hitrate = Hitrate::start();
    let path = "/static/app.css";
    let packed = ask(&hitrate, "GET", path, &[BROWSER]);
    let tag = packed.header("etag").replacen('w', "W", 1);
    let known = ask(&hitrate, "GET", path, &[BROWSER, ("if-none-match", &tag)]);
    assert_eq!((known.status.as_str(), known.body.len()), ("HTTP/1.1 304", 0));
    assert_eq!(known.header("etag"), packed.header("etag"));
    assert_eq!(known.header("vary"), "accept-encoding");
    let plain = ask(&hitrate, "GET", path, &[]);
    let part = ask(&hitrate, "GET", path, &[BROWSER, ("range", "bytes=10-19")]);
    assert_eq!((part.status.as_str(), &*part.body), ("HTTP/1.1 206", &plain.body[10..20]));
    assert!(!part.is_compressed());
    assert_eq!(part.header("etag"), plain.header("etag"));
    // A weak tag never vouches for a part: the whole file is sent.
    let whole =
        ask(&hitrate, "GET", path, &[BROWSER, ("range", "bytes=10-19"), ("if-range", &tag)]);
    assert_eq!((whole.status.as_str(), &whole.body), ("HTTP/1.1 200", &packed.body));
}

#[test]
fn a_stream_of_events_is_not_held_back() {
    let hitrate = Hitrate::start();
    let host = &hitrate.address;
    let request =
        format!("GET /stats/live HTTP/1.1\r\nhost: {host}\r\naccept-encoding: gzip\r\n\r\n");
    let mut stream = hitrate.connect();
    stream.write_all(request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut answer, mut chunk) = (String::new(), [0; 4096]);
    while !answer.contains("data: <section") {
        let read = stream.read(&mut chunk).unwrap();
        answer += &text(&chunk[..read]);
    }
    assert!(!answer.to_lowercase().contains("content-encoding: gzip"));
}
