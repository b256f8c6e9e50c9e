//! Settings: read once at start, from flags or the environment.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Args;

/// Everything about this process that an operator can choose. Each field's
/// flag, variable and default stand in `hitrate --help`, made from here.
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

    /// Where Redis is: redis://, rediss:// or redis+unix://. Unset: REDIS_HOST and
    /// REDIS_PORT if either is set, else an own redis-server in the data directory
    // A plain string, checked later: clap would print a bad value, password and all.
    #[arg(
        long,
        env = "REDIS_URL",
        value_name = "REDIS_URL",
        hide_env_values = true,
        global = true
    )]
    pub redis_url: Option<String>,

    /// Redis host, when REDIS_URL is unset [default: localhost if REDIS_PORT is set]
    #[arg(long, env = "REDIS_HOST", value_name = "REDIS_HOST", global = true)]
    pub redis_host: Option<String>,

    /// Redis port, when REDIS_URL is unset [default: 6379 if REDIS_HOST is set]
    #[arg(
        long,
        env = "REDIS_PORT",
        value_name = "REDIS_PORT",
        value_parser = port,
        global = true
    )]
    pub redis_port: Option<Port>,

    /// The database: a SQLite file [default: hitrate.db in the data directory]
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: Option<String>,

    /// Directory of the SQLite file and of the own Redis
    #[arg(
        long,
        env = "HITRATE_DATA_DIR",
        value_name = "HITRATE_DATA_DIR",
        default_value = "var",
        global = true
    )]
    pub data_dir: PathBuf,

    /// Profiles imported at start: a JSON object keyed by id [default: built in]
    #[arg(long, env = "HITRATE_PROFILES", value_name = "HITRATE_PROFILES", global = true)]
    pub profiles: Option<PathBuf>,

    /// Whether visitors may type commands on /console: on, off, or auto, which is on
    /// where only this machine can connect
    #[arg(
        long,
        env = "HITRATE_CONSOLE",
        value_name = "HITRATE_CONSOLE",
        default_value = "auto",
        value_parser = switch,
        global = true
    )]
    pub console: Switch,

    /// Put before every key
    #[arg(
        long,
        env = "HITRATE_KEY_PREFIX",
        value_name = "HITRATE_KEY_PREFIX",
        default_value = "hitrate:",
        value_parser = key_prefix,
        global = true
    )]
    pub key_prefix: String,

    /// Simulated latency added to each database read of the demo pages; 0 turns it off
    #[arg(
        long,
        env = "HITRATE_DATABASE_DELAY",
        value_name = "HITRATE_DATABASE_DELAY",
        default_value = "2s",
        value_parser = delay,
        global = true
    )]
    pub database_delay: Duration,

    /// How long a profile stays in the cache
    #[arg(
        long,
        env = "HITRATE_PROFILE_TTL",
        value_name = "HITRATE_PROFILE_TTL",
        default_value = "300s",
        value_parser = ttl,
        global = true
    )]
    pub profile_ttl: Duration,

    /// How profiles and products are cached unless a request says otherwise: none, plain,
    /// default, near, write-through, write-around, write-behind or refresh-ahead
    #[arg(
        long,
        env = "HITRATE_POLICY",
        value_name = "HITRATE_POLICY",
        default_value = "read-through",
        global = true
    )]
    pub policy: String,

    /// Writes that go to the database together, with write-behind
    #[arg(
        long,
        env = "HITRATE_FLUSH_SIZE",
        value_name = "HITRATE_FLUSH_SIZE",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1000),
        global = true
    )]
    pub flush_size: u32,

    /// How long such a write waits at most, unless the database fails
    #[arg(
        long,
        env = "HITRATE_FLUSH_INTERVAL",
        value_name = "HITRATE_FLUSH_INTERVAL",
        default_value = "200ms",
        value_parser = flush_interval,
        global = true
    )]
    pub flush_interval: Duration,

    /// A deliberate bug, for tests; builds for use have none
    #[arg(long, env = "HITRATE_FAILPOINT", hide = true, global = true)]
    pub broken: Option<String>,

    /// The largest cache entry, in bytes; a larger value is not cached, but counted
    #[arg(
        long,
        env = "HITRATE_MAX_ENTRY_BYTES",
        value_name = "HITRATE_MAX_ENTRY_BYTES",
        default_value = "1048576",
        value_parser = max_entry_bytes,
        global = true
    )]
    pub max_entry_bytes: usize,

    /// Folder of the stylesheet, the script and the icon [default: static, where hitrate
    /// is started or where it was built]
    #[arg(long, env = "HITRATE_STATIC_DIR", value_name = "HITRATE_STATIC_DIR", global = true)]
    pub static_dir: Option<PathBuf>,

    /// How long a product stays in the cache
    #[arg(
        long,
        env = "HITRATE_PRODUCT_TTL",
        value_name = "HITRATE_PRODUCT_TTL",
        default_value = "60s",
        value_parser = ttl,
        global = true
    )]
    pub product_ttl: Duration,
}

impl Config {
    /// The configured Redis, or `None` for an own one.
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

    /// Whether visitors may type commands.
    pub fn has_console(&self) -> bool {
        match self.console {
            Switch::Auto => self.bind.ip().is_loopback(),
            switch => switch == Switch::On,
        }
    }

    /// The configured folder of the static files.
    pub fn static_dir(&self) -> Option<&Path> {
        self.static_dir.as_deref().filter(|dir| !dir.as_os_str().is_empty())
    }

    /// The database's URL: the configured one, or the SQLite file in the data directory.
    pub fn database(&self) -> String {
        let own = || {
            let path = self.data_dir.join("hitrate.db").display().to_string();
            format!("sqlite://{}", path.replace('%', "%25").replace(' ', "%20").replace('?', "%3F"))
        };
        filled(self.database_url.as_ref()).cloned().unwrap_or_else(own)
    }
}

/// Something that is on, off, or as the rest of the settings suggests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// As the rest suggests.
    Auto,
    /// In any case.
    On,
    /// In no case.
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

/// Compose files pass variables on that are empty: those count as unset.
fn filled(value: Option<&String>) -> Option<&String> {
    value.filter(|text| !text.is_empty())
}

/// A port, or none where the variable is empty.
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

/// No glob characters: the prefix is also the start of a SCAN pattern.
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

/// The default, for a variable that is empty.
const MAX_ENTRY_BYTES: usize = 1_048_576;

/// 1 KiB to 64 MiB: Redis does nothing else while it copies an entry.
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

/// `2s`, `500ms`, `1h 30m`; a bare `0` needs no unit.
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
    fn durations_carry_their_unit() {
        assert_eq!(delay("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(delay("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(delay("0"), Ok(Duration::ZERO));
        for bad in ["", "2", "-1s", "61s", "fast"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
        assert!(ttl("0").is_err(), "a TTL of nothing caches nothing");
    }

    #[test]
    fn an_entry_may_have_a_kibibyte_to_64_mebibytes() {
        assert_eq!(max_entry_bytes(""), max_entry_bytes("1048576"));
        assert_eq!(max_entry_bytes("1024"), Ok(1_024));
        for bad in ["0", "1023", "67108865", "1MiB", "-1"] {
            assert!(max_entry_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_holds_no_pattern() {
        assert!(key_prefix("hitrate:").is_ok());
        for bad in ["", "a*", "a b", "[x]", "ключ:"] {
            assert!(key_prefix(bad).is_err(), "{bad}");
        }
    }
}
