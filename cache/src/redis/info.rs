//! INFO, and the number of keys under the store's prefix.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::redis::{Client, RedisError, connection::check_error, typed};

/// The fields of INFO that the panels show (redis.io/docs/latest/commands/info).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerInfo {
    /// `Redis` or `Valkey`.
    pub server: &'static str,
    /// The server's version.
    pub version: String,
    /// Bytes in use.
    pub used_memory: u64,
    /// `maxmemory` in bytes; 0 is unlimited.
    pub max_memory: u64,
    /// `maxmemory-policy`.
    pub eviction_policy: String,
    /// Connections, ours included.
    pub connected_clients: u64,
    /// Commands processed since the server started.
    pub commands_processed: u64,
    /// Reads that found their key, by all clients.
    pub keyspace_hits: u64,
    /// Reads that found no key, by all clients.
    pub keyspace_misses: u64,
    /// Keys evicted because of `maxmemory`.
    pub evicted_keys: u64,
    /// Keys removed because their TTL expired.
    pub expired_keys: u64,
    /// Whether an append-only file is written.
    pub append_only: bool,
    /// Time since the server started.
    pub uptime: Duration,
    /// Microseconds since 1970 by the server's clock, if it reports it.
    pub time_us: Option<u64>,
}

impl ServerInfo {
    fn parse(text: &str) -> Self {
        let fields: HashMap<&str, &str> =
            text.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let word = |name| fields.get(name).copied().unwrap_or_default();
        let number = |name| word(name).parse().unwrap_or_default();
        let valkey = fields.get("valkey_version");
        Self {
            server: if valkey.is_some() { "Valkey" } else { "Redis" },
            version: valkey.copied().unwrap_or_else(|| word("redis_version")).to_owned(),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            eviction_policy: word("maxmemory_policy").to_owned(),
            connected_clients: number("connected_clients"),
            commands_processed: number("total_commands_processed"),
            keyspace_hits: number("keyspace_hits"),
            keyspace_misses: number("keyspace_misses"),
            evicted_keys: number("evicted_keys"),
            expired_keys: number("expired_keys"),
            append_only: word("aof_enabled") == "1",
            uptime: Duration::from_secs(number("uptime_in_seconds")),
            time_us: word("server_time_usec").parse().ok(),
        }
    }
}

/// Counts the keys under the store's prefix by SCAN, a slice at a time, so that a
/// large keyspace costs the server no more per second than a small one.
#[derive(Debug, Default)]
pub struct KeyCount {
    cursor: u64,
    so_far: u64,
    last: Option<(u64, Instant)>,
}

/// SCAN calls per slice, and keys examined per call.
const SCANS_PER_SLICE: usize = 20;
const SCAN_COUNT: usize = 500;

impl KeyCount {
    /// Restarts the count; the last complete one stays.
    pub fn restart(&mut self) {
        (self.cursor, self.so_far) = (0, 0);
    }

    /// The last complete count, and its age.
    pub fn last(&self) -> Option<(u64, Duration)> {
        self.last.map(|(count, at)| (count, at.elapsed()))
    }
}

impl Client {
    /// Reads INFO, and synchronises the clock with it.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unavailable or denies INFO.
    pub async fn info(&self) -> Result<ServerInfo, RedisError> {
        let sent = Instant::now();
        let text: String =
            typed(self.send_one(&redis::cmd("INFO")).await.value.and_then(check_error)?)?;
        let info = ServerInfo::parse(&text);
        if let Some(time) = info.time_us {
            self.health.clock.set(time, sent);
        }
        Ok(info)
    }

    /// Continues the count by one slice. SCAN may return a key twice, so the number
    /// is approximate while keys are added and removed.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unavailable or denies SCAN.
    pub async fn count_keys(&self, count: &mut KeyCount) -> Result<(), RedisError> {
        let pattern = self.key_pattern("*");
        for _ in 0..SCANS_PER_SLICE {
            let mut scan = redis::cmd("SCAN");
            scan.arg(count.cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let (cursor, keys): (u64, Vec<redis::Value>) =
                typed(self.send_one(&scan).await.value.and_then(check_error)?)?;
            count.cursor = cursor;
            count.so_far += keys.len() as u64;
            if cursor == 0 {
                count.last = Some((std::mem::take(&mut count.so_far), Instant::now()));
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_line_by_line() {
        let info = ServerInfo::parse(
            "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:61\r\n\
             # Memory\r\nused_memory:1024\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
        );
        assert_eq!((info.server, info.version.as_str()), ("Redis", "7.0.15"));
        assert_eq!((info.used_memory, info.uptime), (1024, Duration::from_secs(61)));
    }

    #[test]
    fn valkey_is_recognised() {
        let info = ServerInfo::parse("redis_version:7.2.4\r\nvalkey_version:9.0.1\r\n");
        assert_eq!((info.server, info.version.as_str()), ("Valkey", "9.0.1"));
    }
}
