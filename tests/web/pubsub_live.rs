//! What a subscriber hears: a stream of events, from the moment it listens.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    faults::assert_no_panic,
    harness::{Hitrate, TestRedis, eventually, setup, text},
};

const LIVE: &str = "/patterns/publish-subscribe/live";

/// A browser that listens.
struct Listener {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Listener {
    fn new(hitrate: &Hitrate, cookie: &str) -> Self {
        let mut stream = hitrate.connect();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let host = &hitrate.address;
        write!(stream, "GET {LIVE} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n").unwrap();
        Self { stream, heard: Vec::new() }
    }

    fn heard(&mut self) -> String {
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = self.stream.read(&mut chunk) {
            self.heard.extend_from_slice(&chunk[..n]);
        }
        text(&self.heard)
    }

    fn await_text(&mut self, wanted: &str) {
        eventually(Duration::from_secs(10), wanted, || self.heard().contains(wanted));
    }
}

fn cookie(hitrate: &Hitrate) -> String {
    hitrate.get("/patterns/publish-subscribe").cookie().to_owned()
}

fn publish(hitrate: &Hitrate, cookie: &str, message: &str) -> String {
    let headers = [("cookie", cookie), ("accept", "application/json")];
    let form = format!("act=publish&text={message}");
    let told = hitrate.post_with("/patterns/publish-subscribe", &form, &headers);
    assert_eq!(told.status, 200, "{told:?}");
    told.json()["lines"][0].as_str().unwrap().to_owned()
}

#[test]
fn a_listener_hears_what_comes_and_not_what_came() {
    let hitrate = Hitrate::start();
    let (own, other) = (cookie(&hitrate), cookie(&hitrate));
    assert_eq!(
        publish(&hitrate, &own, "before"),
        "No subscriber: the message was not delivered and is lost."
    );
    let mut listener = Listener::new(&hitrate, &own);
    listener.await_text("Subscribed. Messages published earlier are not delivered.");
    publish(&hitrate, &other, "elsewhere");
    assert_eq!(publish(&hitrate, &own, "%3Cb%3Enow"), "Delivered to 1 subscriber.");
    listener.await_text("now");
    let heard = listener.heard();
    assert!(heard.contains("text/event-stream") && heard.contains("&#60;b&#62;now"), "{heard}");
    assert!(!heard.contains("elsewhere") && !heard.contains("<li>before"), "{heard}");
}

#[test]
fn a_listener_is_told_that_redis_is_away_and_listens_again() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let own = cookie(&hitrate);
    let mut listener = Listener::new(&hitrate, &own);
    listener.await_text("Subscribed.");
    redis.kill();
    listener.await_text("Not subscribed");
    redis.restart();
    eventually(Duration::from_secs(10), "it is heard again", || {
        let headers = [("cookie", own.as_str())];
        let form = "act=publish&text=again";
        hitrate.post_with("/patterns/publish-subscribe", form, &headers).status == 303
            && listener.heard().contains("<li>again")
    });
    redis.kill();
    eventually(Duration::from_secs(10), "one who comes now is told, too", || {
        let mut late = Listener::new(&hitrate, &own);
        late.await_text("data: ");
        late.heard().contains("Not subscribed")
    });
    assert_no_panic(&hitrate);
}

#[test]
fn only_so_many_listen_and_places_are_given_back() {
    let hitrate = Hitrate::start();
    let own = cookie(&hitrate);
    let mut listeners: Vec<_> = (0..50).map(|_| Listener::new(&hitrate, &own)).collect();
    for listener in &mut listeners {
        listener.await_text("Subscribed.");
    }
    let refused = hitrate.get(LIVE);
    assert_eq!(refused.status, 503, "{refused:?}");
    drop(listeners);
    eventually(Duration::from_secs(20), "a place is given back", || {
        // Who has left is noticed when there is something to tell them.
        publish(&hitrate, &own, "anyone");
        let mut listener = Listener::new(&hitrate, &own);
        eventually(Duration::from_secs(5), "an answer", || listener.heard().contains("\r\n\r\n"));
        listener.heard().starts_with("HTTP/1.1 200")
    });
}

#[test]
fn the_server_ends_while_someone_listens() {
    let hitrate = Hitrate::start();
    let mut listener = Listener::new(&hitrate, &cookie(&hitrate));
    listener.await_text("Subscribed.");
    assert!(hitrate.end("TERM").success());
}
