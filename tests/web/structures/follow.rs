//! Live updates of a stream.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use super::Player;
use crate::harness::Hitrate;

/// Reads events until one contains `text`.
fn await_event(stream: &mut std::net::TcpStream, text: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    let (mut seen, mut chunk) = (String::new(), [0; 4096]);
    while !seen.contains(text) {
        assert!(Instant::now() < end, "no {text:?} in {seen}");
        let n = stream.read(&mut chunk).unwrap();
        assert!(n > 0, "it ended: {seen}");
        seen += &String::from_utf8_lossy(&chunk[..n]);
    }
}

#[test]
fn a_stream_can_be_followed() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    assert!(player.page("streams").contains("data-live=\"/structures/streams/live\""));
    player.play("streams", "act=xadd-event&user=first");
    assert_eq!(hitrate.get("/structures/streams/live").status, 204, "nobody's streams");
    let mut stream = hitrate.connect();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "GET /structures/streams/live HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
        hitrate.address, player.cookie
    );
    stream.write_all(request.as_bytes()).unwrap();
    await_event(&mut stream, "first");
    player.play("streams", "act=xadd-event&user=second");
    await_event(&mut stream, "second");
    player.play("streams", "act=reset");
    await_event(&mut stream, "Nothing yet.");
    player.play("streams", "act=xadd-event&id=1-1&user=third");
    await_event(&mut stream, "third");
    Player::new(&hitrate).play("streams", "act=xadd-event&user=stranger");
    player.play("streams", "act=xadd-event&user=fourth");
    await_event(&mut stream, "fourth");
}
