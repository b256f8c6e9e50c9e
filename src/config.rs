//! Settings, read once at start from flags or the environment.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use hitrate_cache::{Cache, CacheBuilder, redis::Address};

/// All settings of the process. Doc comments of the fields are the text of
/// `hitrate --help`. A flag's `value_name` is its variable, because clap's message
/// about a bad value shows that name.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Config {
    /// Address to listen on
    #[arg(
        long,
        env = "HITRATE_BIND",
        value_name = "HITRATE_BIND",
        default_value = "127.0.0.1:5000",
        global = true
    )]
    pub bind: SocketAddr,

    /// URL of Redis: redis://, rediss:// or redis+unix://. If unset, REDIS_HOST and
    /// REDIS_PORT apply; if these are unset too, hitrate starts its own redis-server
    // Parsed later, not by clap, whose error message would include the password.
    #[arg(
        long,
        env = "REDIS_URL",
        value_name = "REDIS_URL",
        hide_env_values = true,
        global = true
    )]
    pub redis_url: Option<String>,

    /// Redis host, if REDIS_URL is unset [default: localhost if REDIS_PORT is set]
    #[arg(long, env = "REDIS_HOST", value_name = "REDIS_HOST", global = true)]
    pub redis_host: Option<String>,

    /// Redis port, if REDIS_URL is unset [default: 6379 if REDIS_HOST is set]
    #[arg(
        long,
        env = "REDIS_PORT",
        value_name = "REDIS_PORT",
        value_parser = port,
        global = true
    )]
    pub redis_port: Option<Port>,

    /// URL of the database, which starts with sqlite: and names a file [default: hitrate.db
    /// in the data directory]
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: Option<String>,

    /// Directory for the SQLite file and the Redis that hitrate starts
    #[arg(
        long,
        env = "HITRATE_DATA_DIR",
        value_name = "HITRATE_DATA_DIR",
        default_value = "var",
        global = true
    )]
    pub data_dir: PathBuf,

    /// JSON file of profiles to import at start, keyed by id [default: the file in data/ if
    /// there is one, else built-in profiles]
    #[arg(long, env = "HITRATE_PROFILES", value_name = "HITRATE_PROFILES", global = true)]
    pub profiles: Option<PathBuf>,

    /// Whether visitors may type commands on /console: on, off or auto, which means on
    /// if hitrate listens on a loopback address
    #[arg(
        long,
        env = "HITRATE_CONSOLE",
        value_name = "HITRATE_CONSOLE",
        default_value = "auto",
        value_parser = switch,
        global = true
    )]
    pub console: Switch,

    /// Prefix of all Redis keys
    #[arg(
        long,
        env = "HITRATE_KEY_PREFIX",
        value_name = "HITRATE_KEY_PREFIX",
        default_value = "hitrate:",
        value_parser = key_prefix,
        global = true
    )]
    pub key_prefix: String,

    /// Simulated latency of each database read on the demo pages; 0 disables it
    #[arg(
        long,
        env = "HITRATE_DATABASE_DELAY",
        value_name = "HITRATE_DATABASE_DELAY",
        default_value = "2s",
        value_parser = delay,
        global = true
    )]
    pub database_delay: Duration,

    /// TTL of cached profiles
    #[arg(
        long,
        env = "HITRATE_PROFILE_TTL",
        value_name = "HITRATE_PROFILE_TTL",
        default_value = "300s",
        value_parser = ttl,
        global = true
    )]
    pub profile_ttl: Duration,

    /// TTL of cached products
    #[arg(
        long,
        env = "HITRATE_PRODUCT_TTL",
        value_name = "HITRATE_PRODUCT_TTL",
        default_value = "60s",
        value_parser = ttl,
        global = true
    )]
    pub product_ttl: Duration,

    /// Caching policy of profiles and products, unless a request names another: none,
    /// cache-aside, read-through, near-cache, write-through, write-around, write-behind
    /// or refresh-ahead
    #[arg(
        long,
        env = "HITRATE_POLICY",
        value_name = "HITRATE_POLICY",
        default_value = "read-through",
        global = true
    )]
    pub policy: String,

    /// Write-behind: flush when this many writes are queued
    #[arg(
        long,
        env = "HITRATE_FLUSH_SIZE",
        value_name = "HITRATE_FLUSH_SIZE",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1000),
        global = true
    )]
    pub flush_size: u32,

    /// Write-behind: flush queued writes after this time at the latest
    #[arg(
        long,
        env = "HITRATE_FLUSH_INTERVAL",
        value_name = "HITRATE_FLUSH_INTERVAL",
        default_value = "200ms",
        value_parser = flush_interval,
        global = true
    )]
    pub flush_interval: Duration,

    /// Deliberate fault, for tests; ignored by release builds
    #[arg(long, env = "HITRATE_FAILPOINT", hide = true, global = true)]
    pub failpoint: Option<String>,

    /// Largest cache entry, in bytes; a larger value is not cached
    #[arg(
        long,
        env = "HITRATE_MAX_ENTRY_BYTES",
        value_name = "HITRATE_MAX_ENTRY_BYTES",
        default_value = "1048576",
        value_parser = max_entry_bytes,
        global = true
    )]
    pub max_entry_bytes: usize,

    /// Directory of the stylesheet, the script and the icon [default: static in the
    /// working directory, else in the source directory of the build]
    #[arg(long, env = "HITRATE_STATIC_DIR", value_name = "HITRATE_STATIC_DIR", global = true)]
    pub static_dir: Option<PathBuf>,
}

/// Name of the connections to Redis, as CLIENT LIST shows them.
pub const CLIENT_NAME: &str = "hitrate";
/// Maximum number of tombstones that invalidations leave in a minute, some 150 bytes each.
const TOMBSTONES_MAX: u32 = 1_000;

impl Config {
    /// Starts to build the cache on this Redis.
    pub fn cache(&self, address: &Address) -> CacheBuilder {
        let builder = Cache::builder_at(address).client_name(CLIENT_NAME).prefix(&self.key_prefix);
        let builder = builder.max_entry_bytes(self.max_entry_bytes);
        // Visitors choose the ids to invalidate.
        builder.max_tombstones_per_minute(TOMBSTONES_MAX)
    }

    /// The URL of the configured Redis, or `None` if hitrate has to start one.
    pub fn redis(&self) -> Option<String> {
        if let Some(url) = filled(self.redis_url.as_ref()) {
            return Some(url.clone());
        }
        let (host, port) =
            (filled(self.redis_host.as_ref()), self.redis_port.and_then(|port| port.0));
        if host.is_none() && port.is_none() {
            return None;
        }
        let host = host.map_or("localhost", String::as_str);
        let port = port.unwrap_or(6379);
        Some(match host.contains(':') {
            true => format!("redis://[{host}]:{port}"),
            false => format!("redis://{host}:{port}"),
        })
    }

    /// Whether the console is enabled.
    pub fn has_console(&self) -> bool {
        match self.console {
            Switch::Auto => self.bind.ip().is_loopback(),
            switch => switch == Switch::On,
        }
    }

    /// The configured directory of the static files.
    pub fn static_dir(&self) -> Option<&Path> {
        self.static_dir.as_deref().filter(|dir| !dir.as_os_str().is_empty())
    }

    /// The URL of the database; by default a SQLite file in the data directory.
    pub fn database(&self) -> String {
        let default = || {
            let path = self.data_dir.join("hitrate.db").display().to_string();
            format!("sqlite://{}", path.replace('%', "%25").replace(' ', "%20").replace('?', "%3F"))
        };
        filled(self.database_url.as_ref()).cloned().unwrap_or_else(default)
    }
}

/// A setting that is on, off, or derived from other settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Derived from other settings.
    Auto,
    /// Enabled.
    On,
    /// Disabled.
    Off,
}

fn switch(text: &str) -> Result<Switch, String> {
    match text {
        "auto" | "" => Ok(Switch::Auto),
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        _ => Err("on, off or auto".to_owned()),
    }
}

/// An empty variable counts as unset: compose files pass those on.
fn filled(value: Option<&String>) -> Option<&String> {
    value.filter(|text| !text.is_empty())
}

/// A port, or `None` if the variable is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(Option<u16>);

fn port(text: &str) -> Result<Port, String> {
    match text.is_empty() {
        true => Ok(Port(None)),
        false => {
            let port = text.parse().map_err(|_| "a port from 1 to 65535".to_owned());
            port.map(|port| Port(Some(port)))
        }
    }
}

/// Glob characters are not allowed: the prefix is also the start of a SCAN pattern.
fn key_prefix(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":_.-{}/".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("1 to 64 letters, digits or : _ . - / { }".to_owned()),
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    bounded(text, Duration::ZERO, Duration::from_secs(60), "0 to 60s")
}

fn ttl(text: &str) -> Result<Duration, String> {
    bounded(text, Duration::from_millis(1), Duration::from_secs(30 * 86_400), "1ms to 30d")
}

fn flush_interval(text: &str) -> Result<Duration, String> {
    bounded(text, Duration::from_millis(10), Duration::from_secs(60), "10ms to 60s")
}

/// Default of `max_entry_bytes`, for an empty variable; in bytes.
const MAX_ENTRY_BYTES: usize = 1_048_576;

/// 1 KiB to 64 MiB. Redis serves no other client while it copies an entry.
fn max_entry_bytes(text: &str) -> Result<usize, String> {
    let number = if text.is_empty() { Ok(MAX_ENTRY_BYTES) } else { text.parse() };
    match number {
        Ok(bytes @ 1_024..=67_108_864) => Ok(bytes),
        _ => Err("a number of bytes from 1024 to 67108864".to_owned()),
    }
}

fn bounded(text: &str, min: Duration, max: Duration, range: &str) -> Result<Duration, String> {
    let wanted = format!("a duration from {range}, such as 2s or 500ms");
    let value = duration(text).ok_or_else(|| wanted.clone())?;
    if value < min || value > max {
        return Err(wanted);
    }
    Ok(value)
}

/// Parses `2s`, `500ms` or `1h 30m`; `0` needs no unit.
fn duration(text: &str) -> Option<Duration> {
    if text.trim() == "0" {
        return Some(Duration::ZERO);
    }
    jiff::SignedDuration::from_str(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(delay("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(delay("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(delay("0"), Ok(Duration::ZERO));
        for bad in ["", "2", "-1s", "61s", "fast"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
        assert!(ttl("0").is_err(), "a TTL of zero caches nothing");
    }

    #[test]
    fn an_entry_size_is_1_kib_to_64_mib() {
        assert_eq!(max_entry_bytes(""), max_entry_bytes("1048576"));
        assert_eq!(max_entry_bytes("1024"), Ok(1_024));
        for bad in ["0", "1023", "67108865", "1MiB", "-1"] {
            assert!(max_entry_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_contains_no_glob_characters() {
        assert!(key_prefix("hitrate:").is_ok());
        for bad in ["", "a*", "a b", "[x]", "ключ:"] {
            assert!(key_prefix(bad).is_err(), "{bad}");
        }
    }
}
