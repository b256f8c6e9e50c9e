//! A Redis behind TLS: `rediss://`, and whose certificates are believed.

use std::{
    fs,
    path::Path,
    process,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    faults::{BACK, JSON, assert_no_panic, assert_normal_within, in_time},
    harness::{TestRedis, eventually, run, setup, text},
    proxy::{Mode, Proxy},
};

/// One that speaks TLS on its port, with a certificate that nobody but us believes.
struct Secured {
    redis: TestRedis,
    port: u16,
    dir: TempDir,
}

impl Secured {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, content: String| {
            fs::write(dir.path().join(name), content).unwrap();
            dir.path().join(name).display().to_string()
        };
        let certificate = file("certificate.pem", made.cert.pem());
        let key = file("key.pem", made.signing_key.serialize_pem());
        #[rustfmt::skip]
        let args = [
            "--bind", "127.0.0.1", "--tls-auth-clients", "no",
            "--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-port",
        ];
        let (redis, port) = (0..20)
            .find_map(|_| start_on(next_port(), &args))
            .expect("one of 20 ports should be free");
        Self { redis, port, dir }
    }

    fn settings(&self, believed: &Path) -> [(&'static str, String); 2] {
        self.settings_at(self.port, believed)
    }

    /// By way of another port, as through a network that breaks.
    fn settings_at(&self, port: u16, believed: &Path) -> [(&'static str, String); 2] {
        [
            ("REDIS_URL", format!("rediss://localhost:{port}")),
            ("SSL_CERT_FILE", believed.display().to_string()),
        ]
    }
}

/// Returns `None` if the port is in use. It is the last of the arguments.
fn start_on(port: u16, args: &[&str]) -> Option<(TestRedis, u16)> {
    match TestRedis::with_args(&[args, &[&port.to_string()]].concat()) {
        Ok(redis) => Some((redis, port)),
        Err(error) => {
            assert!(error.to_string().contains("Address already in use"), "{error}");
            None
        }
    }
}

/// A port below the ephemeral range, so that none is taken while its server is down;
/// each process starts at another one.
fn next_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static USED: AtomicU16 = AtomicU16::new(0);
    let used = u32::from(USED.fetch_add(1, Ordering::Relaxed));
    let port = FIRST + (process::id().wrapping_mul(97) % COUNT + used) % COUNT;
    u16::try_from(port).expect("a port is below 30,000")
}

#[test]
fn everything_works_over_tls_and_again_after_a_restart() {
    let mut secured = Secured::start();
    let [(url, at), (file, believed)] =
        secured.settings(&secured.dir.path().join("certificate.pem"));
    let hitrate = setup().set(url, at).set(file, believed).start();
    for hits in 1..=3 {
        assert_eq!(hitrate.json("/")["hits"], hits);
    }
    for source in ["database", "cache"] {
        assert_eq!(hitrate.json("/profiles?id=123")["source"], source);
    }
    eventually(Duration::from_secs(5), "the near cache is told over TLS", || {
        hitrate.json("/profiles?id=123&policy=near-cache")["source"] == "memory"
    });
    secured.redis.kill();
    assert_eq!(hitrate.json("/")["hits"], serde_json::Value::Null);
    assert_eq!(hitrate.get("/profiles?id=123").status, 200);
    secured.redis.restart();
    eventually(Duration::from_secs(5), "it connects again", || {
        hitrate.json("/")["hits"].is_number()
    });
    assert!(!hitrate.log().contains("panicked"), "{}", hitrate.log());
}

/// In the middle of an answer, so in the middle of a record of TLS: nobody says
/// farewell. Whatever is connected anew meanwhile is cut off as well.
#[test]
fn a_connection_that_breaks_under_a_command_is_lost_and_comes_back() {
    let secured = Secured::start();
    let proxy = Proxy::before_port(secured.port);
    let believed = secured.dir.path().join("certificate.pem");
    let [(url, at), (file, believed)] = secured.settings_at(proxy.port, &believed);
    let hitrate = setup().set(url, at).set(file, believed).start();
    let lost = "This visit was not counted: Redis disconnected before replying. \
                Redis may have counted it.";
    // A ping may find it broken before the visit does.
    let is_lost = (0..5).any(|_| {
        proxy.set(Mode::Pass);
        assert_normal_within(BACK, &hitrate);
        proxy.set(Mode::CutOff(7));
        in_time(hitrate.get("/")).body.contains(lost)
    });
    assert!(is_lost, "{}", hitrate.log());
    let lookup = || in_time(hitrate.get_with("/profiles?id=123", &[JSON])).json();
    let next = lookup();
    assert_eq!((&next["source"], &next["profile"]["age"]), (&"database".into(), &22.into()));
    proxy.set(Mode::Pass);
    assert_normal_within(BACK, &hitrate);

    eventually(BACK, "it is cached", || lookup()["source"] == "cache");
    proxy.set(Mode::CutOff(7));
    assert_eq!(lookup()["source"], "database", "where a lookup itself is cut off, too");
    proxy.set(Mode::Pass);
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let secured = Secured::start();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let believed = secured.dir.path().join("other.pem");
    fs::write(&believed, other.cert.pem()).unwrap();
    let checked = run(secured.dir.path(), &secured.settings(&believed), &["check"]);
    assert!(!checked.status.success());
    assert!(text(&checked.stdout).contains("Redis connection failed"), "{}", text(&checked.stdout));
}
