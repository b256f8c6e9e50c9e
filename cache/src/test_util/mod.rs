//! A private Redis for the tests of programs that use this crate.
//!
//! Requires the feature `test-util`, which belongs in the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! hitrate-cache = { version = "0.1", features = ["test-util"] }
//! ```
//!
//! [`TestRedis`] needs `redis-server` or `valkey-server` on `PATH`, and a Unix.

mod process;

use std::{
    io,
    os::unix::net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use ::redis::{RedisResult, Value};
use tempfile::TempDir;

use self::process::{Process, START_TIMEOUT};
use crate::redis::Address;

/// Timeout of [`TestRedis::command`].
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// A redis-server of one test: on a unix socket in a temporary folder, empty and without
/// persistence. The server is killed when this value is dropped, and when the test
/// process ends for any other reason, `kill -9` included.
///
/// Each test should start its own: a start takes a few milliseconds, and tests that run
/// at the same time do not see each other's keys.
///
/// All methods block. They may be called in async tests, where they hold up the other
/// tasks of their thread. All methods but the constructors panic on failure, as a test
/// does.
///
/// ```
/// use hitrate_cache::test_util::TestRedis;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = TestRedis::start()?;
/// // Connect the code under test to redis.url(), run it, and look at its keys.
/// redis.command(&["SET", "greeting", "hello"]);
/// assert_eq!(redis.command(&["GET", "greeting"]), "hello");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TestRedis {
    args: Vec<String>,
    socket: PathBuf,
    /// Absent after a kill. Declared before its folder, so that it is dropped first.
    process: Option<Process>,
    dir: TempDir,
}

/// Reason why a [`TestRedis`] can't be started.
///
/// ```
/// use hitrate_cache::test_util::{TestRedis, TestRedisError};
///
/// let error = TestRedis::with_args(&["--no-such-option", "1"]).unwrap_err();
/// // The text contains what the server has logged.
/// assert!(matches!(error, TestRedisError::Exited(..)), "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestRedisError {
    /// No server is installed.
    #[error(
        "neither redis-server nor valkey-server is on PATH. Install one of them \
         (Debian, Ubuntu: sudo apt-get install redis-server; Fedora: sudo dnf install valkey; \
         Alpine: sudo apk add redis; macOS: brew install redis)"
    )]
    NotInstalled,
    /// The temporary folder can't be written, or its path is too long for a unix socket.
    #[error("the temporary folder of the test server can't be used: {0}")]
    Directory(#[source] io::Error),
    /// The server can't be started.
    #[error("the shell that starts the test server can't be run: {0}")]
    Spawn(#[source] io::Error),
    /// The server has exited with this status; the text is its log.
    #[error("the test server exited before it was ready ({0}):\n{1}")]
    Exited(ExitStatus, String),
    /// The server did not reply in time; the text is its log.
    #[error("the test server was not ready within {} s:\n{log}", START_TIMEOUT.as_secs(), log = .0)]
    TimedOut(String),
}

impl TestRedis {
    /// Starts a server, and waits until it accepts commands.
    ///
    /// # Errors
    /// Returns a [`TestRedisError`] if no server is installed or it can't be started.
    ///
    /// ```
    /// use hitrate_cache::test_util::TestRedis;
    ///
    /// let redis = TestRedis::start().expect("a redis-server should be installed");
    /// assert_eq!(redis.command(&["DBSIZE"]), "0");
    /// ```
    pub fn start() -> Result<Self, TestRedisError> {
        Self::with_args(&[])
    }

    /// Starts a server with these arguments, which take precedence over the defaults.
    ///
    /// # Errors
    /// As [`TestRedis::start`].
    ///
    /// ```
    /// use hitrate_cache::test_util::TestRedis;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let redis = TestRedis::with_args(&["--maxmemory", "10mb"])?;
    /// assert_eq!(redis.command(&["CONFIG", "GET", "maxmemory"]), "maxmemory\n10485760");
    /// # Ok(()) }
    /// ```
    pub fn with_args(args: &[&str]) -> Result<Self, TestRedisError> {
        let dir = tempfile::tempdir().map_err(TestRedisError::Directory)?;
        let socket = dir.path().join("redis.sock");
        SocketAddr::from_pathname(&socket).map_err(TestRedisError::Directory)?;
        let mut redis = Self { args: Vec::new(), socket, process: None, dir };
        redis.launch(args)?;
        Ok(redis)
    }

    fn launch(&mut self, args: &[&str]) -> Result<(), TestRedisError> {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self.process = Some(Process::start(self.dir.path(), &self.socket, &self.args)?);
        Ok(())
    }

    /// The address of the server, `redis+unix:///…`. It stays the same after a restart.
    ///
    /// ```
    /// use hitrate_cache::{redis::Address, test_util::TestRedis};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let redis = TestRedis::start()?;
    /// let address = Address::parse(&redis.url())?;
    /// assert!(address.to_string().starts_with("unix socket /"));
    /// # Ok(()) }
    /// ```
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// The unix socket of the server, e.g. for a proxy in front of it.
    ///
    /// ```
    /// use hitrate_cache::test_util::TestRedis;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let redis = TestRedis::start()?;
    /// std::os::unix::net::UnixStream::connect(redis.socket())?;
    /// # Ok(()) }
    /// ```
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Suspends the server: connections stay open and new ones are accepted by the
    /// kernel, but nothing is answered until [`TestRedis::thaw`].
    ///
    /// # Panics
    /// Panics if the server was killed.
    ///
    /// ```
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream, time::Duration};
    ///
    /// use hitrate_cache::test_util::TestRedis;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let redis = TestRedis::start()?;
    /// redis.freeze();
    /// let mut stream = UnixStream::connect(redis.socket())?;
    /// stream.write_all(b"PING\r\n")?;
    /// stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    /// assert!(stream.read(&mut [0; 7]).is_err(), "no reply");
    /// redis.thaw();
    /// assert_eq!(redis.command(&["PING"]), "PONG");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// Resumes the server after [`TestRedis::freeze`]. The server then runs what it
    /// received meanwhile.
    ///
    /// # Panics
    /// Panics if the server was killed.
    ///
    /// ```
    /// # use hitrate_cache::test_util::TestRedis;
    /// # let redis = TestRedis::start().unwrap();
    /// redis.freeze();
    /// redis.thaw();
    /// assert_eq!(redis.command(&["PING"]), "PONG");
    /// ```
    #[track_caller]
    pub fn thaw(&self) {
        self.process().thaw();
    }

    #[track_caller]
    fn process(&self) -> &Process {
        self.process.as_ref().expect("the test server was killed and not restarted")
    }

    /// Kills the server: connections break, and new ones are refused. Does nothing if the
    /// server was killed before.
    ///
    /// ```
    /// # use hitrate_cache::test_util::TestRedis;
    /// # let mut redis = TestRedis::start().unwrap();
    /// redis.kill();
    /// assert!(std::os::unix::net::UnixStream::connect(redis.socket()).is_err());
    /// ```
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills the server and starts another one on the same socket, with the same
    /// arguments, and empty, unless these arguments turn on persistence.
    ///
    /// # Panics
    /// Panics if the server can't be started again.
    ///
    /// ```
    /// # use hitrate_cache::test_util::TestRedis;
    /// # let mut redis = TestRedis::start().unwrap();
    /// redis.command(&["SET", "greeting", "hello"]);
    /// redis.restart();
    /// assert_eq!(redis.command(&["DBSIZE"]), "0");
    /// ```
    #[track_caller]
    pub fn restart(&mut self) {
        let args = self.args.clone();
        self.restart_with_args(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// [`TestRedis::restart`] with other arguments.
    ///
    /// # Panics
    /// Panics if the server can't be started again.
    ///
    /// ```
    /// # use hitrate_cache::test_util::TestRedis;
    /// # let mut redis = TestRedis::start().unwrap();
    /// redis.restart_with_args(&["--databases", "1"]);
    /// assert_eq!(redis.command(&["CONFIG", "GET", "databases"]), "databases\n1");
    /// ```
    #[track_caller]
    pub fn restart_with_args(&mut self, args: &[&str]) {
        self.kill();
        if let Err(error) = self.launch(args) {
            panic!("{error}");
        }
    }

    /// Deletes all keys.
    ///
    /// # Panics
    /// As [`TestRedis::command`].
    ///
    /// ```
    /// # use hitrate_cache::test_util::TestRedis;
    /// # let redis = TestRedis::start().unwrap();
    /// redis.command(&["SET", "greeting", "hello"]);
    /// redis.flush();
    /// assert_eq!(redis.command(&["DBSIZE"]), "0");
    /// ```
    #[track_caller]
    pub fn flush(&self) {
        self.command(&["FLUSHALL"]);
    }

    /// Runs a command on a connection of its own. Returns the reply as `redis-cli --raw`
    /// prints it: a number in digits, an absent value as an empty text, and the elements
    /// of an array on one line each. Bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// # Panics
    /// Panics if the server replies with an error, or does not reply within 10 s.
    ///
    /// ```
    /// # use hitrate_cache::test_util::TestRedis;
    /// # let redis = TestRedis::start().unwrap();
    /// assert_eq!(redis.command(&["RPUSH", "list", "a", "b"]), "2");
    /// assert_eq!(redis.command(&["LRANGE", "list", "0", "-1"]), "a\nb");
    /// assert_eq!(redis.command(&["GET", "absent"]), "");
    /// ```
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        match self.query(words) {
            Ok(reply) => raw_text(&reply),
            Err(error) => panic!("{}: {error}", words.join(" ")),
        }
    }

    fn query(&self, words: &[&str]) -> RedisResult<Value> {
        let (name, args) = words.split_first().expect("a command has a name");
        let client = Address::unix(&self.socket).client();
        let mut connection = client.get_connection_with_timeout(COMMAND_TIMEOUT)?;
        connection.set_read_timeout(Some(COMMAND_TIMEOUT))?;
        connection.set_write_timeout(Some(COMMAND_TIMEOUT))?;
        ::redis::cmd(name).arg(args).query(&mut connection)
    }
}

fn raw_text(reply: &Value) -> String {
    match reply {
        Value::Nil => String::new(),
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Array(parts) => parts.iter().map(raw_text).collect::<Vec<_>>().join("\n"),
        Value::ServerError(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}
