//! The address of a Redis server: parsed once, and displayed without its password.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    io::tcp::TcpSettings,
};

/// The address of a Redis server, with credentials, database number, and the name that
/// connections to it have.
#[derive(Clone)]
pub struct Address {
    info: ConnectionInfo,
    client_name: Arc<str>,
}

/// The default name of connections, as CLIENT LIST shows them.
const CLIENT_NAME: &str = "hitrate-cache";

/// A URL that is not the address of a Redis server. The text never repeats the URL, which
/// may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a valid Redis address: expected redis://[user:password@]host:port[/db], \
     rediss://… or redis+unix:///path"
)]
pub struct BadAddress;

impl Address {
    fn of(info: ConnectionInfo) -> Self {
        Self { info, client_name: CLIENT_NAME.into() }
    }

    /// Sets the name of connections to this server, as CLIENT LIST shows them: printable
    /// ASCII without spaces.
    #[must_use]
    pub fn with_client_name(self, name: &str) -> Self {
        Self { client_name: name.into(), ..self }
    }

    pub(super) fn client_name(&self) -> &str {
        &self.client_name
    }

    /// Parses a `redis://`, `rediss://` or `redis+unix://` URL.
    ///
    /// # Errors
    /// Returns [`BadAddress`] if the URL is malformed or has another scheme.
    pub fn parse(url: &str) -> Result<Self, BadAddress> {
        let info = url.into_connection_info().map_err(|_| BadAddress)?;
        let supported = info.addr().is_supported();
        supported.then(|| Self::of(with_settings(info))).ok_or(BadAddress)
    }

    /// The unix socket of a managed server.
    pub fn unix(socket: &Path) -> Self {
        let addr = ConnectionAddr::Unix(socket.to_owned());
        Self::of(with_settings(addr.into_connection_info().expect("a path is an address")))
    }

    /// This server, with the credentials of another ACL user (redis.io/docs:
    /// "ACL").
    pub fn as_user(&self, name: &str, password: &str) -> Self {
        let redis = self.info.redis_settings().clone();
        let redis = redis.set_username(name).set_password(password);
        Self { info: self.info.clone().set_redis_settings(redis), ..self.clone() }
    }

    /// Creates a client for this address; does not connect.
    pub fn client(&self) -> Client {
        Client::open(self.info.clone()).expect("the address is valid, as it was parsed")
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Creates a client that speaks RESP3, which has push messages, unlike RESP2.
    pub(super) fn resp3_client(&self) -> Client {
        let redis = self.info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Client::open(self.info.clone().set_redis_settings(redis))
            .expect("the address is valid, as it was parsed")
    }

    /// The `redis-cli` command that connects to this server. redis-cli prompts for
    /// a password itself.
    pub fn redis_cli(&self) -> String {
        let server = match self.info.addr() {
            ConnectionAddr::Unix(path) => format!("-s {}", shell_quoted(path)),
            ConnectionAddr::Tcp(host, port) => format!("-h {host} -p {port}"),
            ConnectionAddr::TcpTls { host, port, .. } => format!("--tls -h {host} -p {port}"),
            _ => String::new(),
        };
        let redis = self.info.redis_settings();
        let user = redis.username().map_or_else(String::new, |user| format!(" --user {user}"));
        let db = if redis.db() == 0 { String::new() } else { format!(" -n {}", redis.db()) };
        format!("redis-cli {server}{user}{db}")
    }
}

/// An absolute path, quoted for a shell.
fn shell_quoted(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Without TCP_NODELAY a small command waits for the previous reply. The user
/// timeout closes a connection whose peer dropped off the network.
fn with_settings(info: ConnectionInfo) -> ConnectionInfo {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(1));
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    // Connections have a name, which says more than the library's.
    let redis = redis.set_skip_set_lib_name();
    info.set_tcp_settings(settings).set_redis_settings(redis)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let db = self.info.redis_settings().db();
        match self.info.addr() {
            ConnectionAddr::Unix(path) => write!(f, "unix socket {}", path.display()),
            ConnectionAddr::Tcp(host, port) => write!(f, "redis://{host}:{port}/{db}"),
            ConnectionAddr::TcpTls { host, port, .. } => write!(f, "rediss://{host}:{port}/{db}"),
            _ => f.write_str("Redis"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let address = Address::parse("redis://me:secret@127.0.0.1:6379/2").unwrap();
        assert_eq!(address.to_string(), "redis://127.0.0.1:6379/2");
        assert_eq!(address.redis_cli(), "redis-cli -h 127.0.0.1 -p 6379 --user me -n 2");
        assert!(!BadAddress.to_string().contains("secret"));
    }

    #[test]
    fn other_schemes_are_rejected() {
        for url in ["", "localhost", "http://localhost:6379", "redis://"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        assert!(Address::parse("redis+unix:///run/redis.sock").is_ok());
        let secured = Address::parse("rediss://cache.example.com:6380");
        assert_eq!(secured.is_ok(), cfg!(feature = "tls"));
    }
}
